"""Files of a strip network: safetensors and a card that names them with their checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cinc_ecg._version import __version__
from cinc_ecg.errors import CardError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.models.card import load_strictly, read_weights, remove_files, write_weights
from cinc_ecg.models.strip_net import StripNet, StripNetConfig

CARD = "strip_reader.json"
SCHEMA = 1


def save_strip_net(
    folder: Path, net: StripNet, training: Mapping[str, Any], figures: Mapping[str, float]
) -> dict[str, Any]:
    """Write a strip network and its card; return the card.

    Args:
        folder: Made when missing; a network that was there is replaced.
        net: The network.
        training: How it was trained, for the card.
        figures: Its figures, for the card.

    Raises:
        OutputError: The folder cannot be written.
    """
    make_folder(folder)
    try:
        old = set(read_strip_card(folder)["files"])
    except CardError:
        old = set()
    files = write_weights(folder, {"strip_reader": net.state_dict()})
    card = {
        "schema": SCHEMA,
        "kind": "strip_reader",
        "made_by": f"cinc_ecg {__version__}",
        "net": asdict(net.config),
        "parameters": sum(p.numel() for p in net.parameters()),
        "training": dict(training),
        "figures": dict(figures),
        "files": files,
    }
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")
    remove_files(folder, old - set(files))
    return card


def read_strip_card(folder: Path) -> dict[str, Any]:
    """Read the card of a strip network.

    Raises:
        CardError: Missing, damaged or of another schema; names the file.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CardError(f"{path}: is no JSON ({error})") from error
    if not isinstance(card, dict) or card.get("schema") != SCHEMA or not card.get("files"):
        raise CardError(f"{path}: is no card of a strip reader (schema {SCHEMA})")
    return card


def load_strip_net(folder: Path) -> tuple[StripNet, dict[str, Any]]:
    """Load a strip network for inference, and its card.

    Raises:
        CardError: Card or weights are missing, damaged or do not fit (card, weights_damaged,
            weights_mismatch).
    """
    card = read_strip_card(folder)
    (file,) = card["files"]
    state = read_weights(folder, file, card["files"][file])
    try:
        net = StripNet(StripNetConfig(**card["net"]))
    except TypeError as error:
        raise CardError(f"{folder / CARD}: describes an unknown network ({error})") from error
    load_strictly(net, state, str(folder / file))
    return net.eval(), card
