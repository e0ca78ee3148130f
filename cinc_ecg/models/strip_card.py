"""Files of a strip network (`net_card`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cinc_ecg.models.net_card import NetFiles
from cinc_ecg.models.strip_net import StripNet, StripNetConfig

FILES = NetFiles("strip_reader", "strip reader")
CARD = FILES.card_name


def save_strip_net(
    folder: Path, net: StripNet, training: Mapping[str, Any], figures: Mapping[str, float]
) -> dict[str, Any]:
    """Write a strip network and its card; see `NetFiles.save`."""
    return FILES.save(folder, net, net.config, training, figures)


def read_strip_card(folder: Path) -> dict[str, Any]:
    """Read the card of a strip network; see `NetFiles.read`."""
    return FILES.read(folder)


def load_strip_net(folder: Path) -> tuple[StripNet, dict[str, Any]]:
    """Load a strip network for inference, and its card; see `NetFiles.load`."""
    net, card = FILES.load(folder, StripNetConfig, StripNet)
    assert isinstance(net, StripNet)
    return net, card
