"""Files of a digitizer's network: safetensors and a card that names them with their checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cinc_ecg._version import __version__
from cinc_ecg.errors import CardError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.models.card import load_strictly, read_weights, remove_files, write_weights

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class NetFiles:
    """One kind of network on disk.

    Attributes:
        kind: "strip_reader" or "page_reader": the stem of the card and of the weights.
        title: What it is called in messages.
    """

    kind: str
    title: str

    @property
    def card_name(self) -> str:
        """File name of the card."""
        return f"{self.kind}.json"

    def save(
        self,
        folder: Path,
        net: nn.Module,
        config: Any,
        training: Mapping[str, Any],
        figures: Mapping[str, float],
    ) -> dict[str, Any]:
        """Write a network and its card; return the card.

        Args:
            folder: Made when missing; a network of this kind that was there is replaced.
            net: The network.
            config: The dataclass that it was built from.
            training: How it was trained, for the card.
            figures: Its figures, for the card.

        Raises:
            OutputError: The folder cannot be written.
        """
        make_folder(folder)
        try:
            old = set(self.read(folder)["files"])
        except CardError:
            old = set()
        files = write_weights(folder, {self.kind: net.state_dict()})
        card = {
            "schema": SCHEMA,
            "kind": self.kind,
            "made_by": f"cinc_ecg {__version__}",
            "net": asdict(config),
            "parameters": sum(p.numel() for p in net.parameters()),
            "training": dict(training),
            "figures": dict(figures),
            "files": files,
        }
        write_text(folder / self.card_name, json.dumps(card, indent=2) + "\n")
        remove_files(folder, old - set(files))
        return card

    def read(self, folder: Path) -> dict[str, Any]:
        """Read a card.

        Raises:
            CardError: Missing, damaged, of another kind or schema; names the file.
        """
        path = folder / self.card_name
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CardError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise CardError(f"{path}: is no JSON ({error})") from error
        right = isinstance(card, dict) and card.get("kind") == self.kind
        if not right or card.get("schema") != SCHEMA or not card.get("files"):
            raise CardError(f"{path}: is no card of a {self.title} (schema {SCHEMA})")
        assert isinstance(card, dict)
        return card

    def load(
        self, folder: Path, config: type[Any], build: type[nn.Module]
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Load a network for inference, and its card.

        Args:
            folder: Of the card.
            config: Dataclass of the card's "net".
            build: Called with it.

        Raises:
            CardError: Card or weights are missing, damaged or do not fit (card, weights_damaged,
                weights_mismatch).
        """
        card = self.read(folder)
        (file,) = card["files"]
        state = read_weights(folder, file, card["files"][file])
        try:
            net = build(config(**card["net"]))
        except TypeError as error:
            path = folder / self.card_name
            raise CardError(f"{path}: describes an unknown network ({error})") from error
        load_strictly(net, state, str(folder / file))
        return net.eval(), card
