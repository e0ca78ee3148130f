"""Files of a page network (`net_card`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cinc_ecg.models.net_card import NetFiles
from cinc_ecg.models.page_net import PageNet, PageNetConfig

FILES = NetFiles("page_reader", "page reader")
CARD = FILES.card_name


def save_page_net(
    folder: Path, net: PageNet, training: Mapping[str, Any], figures: Mapping[str, float]
) -> dict[str, Any]:
    """Write a page network and its card; see `NetFiles.save`."""
    return FILES.save(folder, net, net.config, training, figures)


def read_page_card(folder: Path) -> dict[str, Any]:
    """Read the card of a page network; see `NetFiles.read`."""
    return FILES.read(folder)


def load_page_net(folder: Path) -> tuple[PageNet, dict[str, Any]]:
    """Load a page network for inference, and its card; see `NetFiles.load`."""
    net, card = FILES.load(folder, PageNetConfig, PageNet)
    assert isinstance(net, PageNet)
    return net, card
