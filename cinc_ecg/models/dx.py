"""A diagnosis model: several small networks whose logits are blended and calibrated.

On disk it is one folder: `card.json` names the members, each with its own weights file, the kinds'
shares, the temperature, and the threshold of each class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.errors import CardError, ConfigError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.models.card import (
    CARD_FILE,
    Card,
    card_from_dict,
    load_strictly,
    read_card,
    read_weights,
    remove_files,
    write_weights,
)
from cinc_ecg.models.config import config_from_dict, config_to_dict
from cinc_ecg.models.dx_input import INPUT_KINDS, prepare, standard_strip
from cinc_ecg.models.network import EcgNetwork, build_network
from cinc_ecg.types import Diagnosis, FloatArray, Signal

TASK = "diagnosis"
_KEY = "members"
#: The card's key for each class's share of the networks that see beats.
BEAT_SHARE = "beat_share"


@dataclass(frozen=True, slots=True)
class Member:
    """One network of the model and the kind of input it takes ("strip" or "beat")."""

    kind: str
    network: EcgNetwork


@dataclass(frozen=True, slots=True)
class DxModel:
    """Members that agree on their classes, and the card that describes them."""

    members: tuple[Member, ...]
    card: Card

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the logits."""
        return self.card.classes

    @property
    def reported(self) -> tuple[str, ...]:
        """Classes with a threshold: those that may be given as a label."""
        return tuple(name for name in self.classes if name in self.card.thresholds)

    def diagnose(self, signal: Signal) -> Diagnosis | None:
        """Return calibrated probabilities, or None when the signal shows nothing.

        Args:
            signal: As digitized: any leads and rate, NaN where not printed.
        """
        strip = standard_strip(signal)
        if not np.isfinite(strip).any():
            return None
        logits = self.logits([strip])[0]
        return self.to_diagnosis(logits)

    def logits(self, strips: Sequence[FloatArray]) -> NDArray[np.float64]:
        """Return the members' blended logits, not calibrated: (n, classes).

        Args:
            strips: Each (12, 1000) mV at 100 Hz, NaN where not printed.
        """
        if not len(strips):
            return np.zeros((0, len(self.classes)))
        sums: dict[str, NDArray[np.float64]] = {}
        for kind in dict.fromkeys(member.kind for member in self.members):
            values, masks = zip(*(prepare(strip, kind) for strip in strips), strict=True)
            inputs = np.stack(values), np.stack(masks)
            networks = [member.network for member in self.members if member.kind == kind]
            sums[kind] = np.mean([run(network, *inputs) for network in networks], axis=0)
        return blend(sums, self.classes, self.card.extra.get(BEAT_SHARE, {}))

    def to_diagnosis(self, logits: NDArray[np.float64]) -> Diagnosis:
        """Calibrate one record's logits."""
        p = probabilities(logits, self.card.temperature)
        named = {name: round(float(x), 6) for name, x in zip(self.classes, p, strict=True)}
        return Diagnosis(named, dict(self.card.thresholds))


def blend(
    by_kind: Mapping[str, NDArray[np.float64]], classes: Sequence[str], shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """Blend the logits of the input kinds.

    Args:
        by_kind: Input kind -> (n, classes).
        classes: Names of the columns.
        shares: Class -> share of "beat"; 0.5 for a class that is not listed. With one kind there
            is nothing to blend.
    """
    if len(by_kind) < 2:
        return next(iter(by_kind.values()))
    beat = np.array([shares.get(name, 0.5) for name in classes])
    return beat * by_kind["beat"] + (1 - beat) * by_kind["strip"]


def probabilities(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logit / temperature))."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits) / temperature))


@torch.no_grad()
def run(
    network: EcgNetwork, values: NDArray[np.float32], masks: NDArray[np.float32], size: int = 64
) -> NDArray[np.float64]:
    """Return logits of prepared inputs, in batches: (n, classes)."""
    was_training = network.training
    network.eval()
    parts = []
    for k in range(0, len(values), size):
        tensors = {
            "signal": torch.from_numpy(values[k : k + size]),
            "signal_mask": torch.from_numpy(masks[k : k + size]),
        }
        output = network(tensors)
        assert output.logits is not None
        parts.append(output.logits.double().numpy())
    network.train(was_training)
    return np.concatenate(parts)


def save_dx(folder: Path, model: DxModel) -> Card:
    """Write weights and card; return the card as written.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    make_folder(folder)
    old = _old_files(folder)
    files: dict[str, dict[str, Any]] = {}
    entries = []
    for number, member in enumerate(model.members):
        written = write_weights(folder, {f"{member.kind}-{number}": member.network.state_dict()})
        files |= written
        entries.append(
            {
                "input": member.kind,
                "file": next(iter(written)),
                "config": config_to_dict(member.network.config),
            }
        )
    card = replace(
        model.card,
        task=TASK,
        config=model.members[0].network.config,
        files=files,
        extra={**model.card.extra, _KEY: entries},
    )
    write_text(folder / CARD_FILE, json.dumps(card.to_dict(), indent=2) + "\n")
    remove_files(folder, old - set(files))
    return card


def load_dx(folder: Path) -> DxModel:
    """Load a diagnosis model for inference, without any network access.

    Raises:
        CardError: card or weights are missing, damaged, or of another model (card,
            weights_damaged, weights_mismatch); the message names the file.
    """
    values = read_card(folder)
    card = card_from_dict(values, str(folder / CARD_FILE))
    entries = card.extra.get(_KEY)
    if not isinstance(entries, list) or not entries:
        raise CardError(f"{folder / CARD_FILE}: names no members; is it a diagnosis model?")
    members = tuple(_member(folder, entry, card) for entry in entries)
    return DxModel(members, card)


def _member(folder: Path, entry: Mapping[str, Any], card: Card) -> Member:
    where = folder / CARD_FILE
    try:
        kind, file, config = entry["input"], entry["file"], config_from_dict(entry["config"])
        known = card.files[file]
    except (KeyError, TypeError, ConfigError) as error:
        raise CardError(f"{where}: a member is described wrongly ({error})") from error
    if kind not in INPUT_KINDS or tuple(config.dx.classes) != card.classes:
        raise CardError(f"{where}: {file} has another input or other classes than this version")
    state = read_weights(folder, file, known)
    network = build_network(replace(config, backbone=replace(config.backbone, weights="none")))
    load_strictly(network, state, str(folder / file))
    return Member(kind, network.eval())


def _old_files(folder: Path) -> set[str]:
    try:
        files = read_card(folder).get("files", {})
    except CardError:
        return set()
    return {str(name) for name in files if Path(str(name)).name == name}
