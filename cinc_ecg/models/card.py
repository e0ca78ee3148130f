"""Models on disk: `card.json` beside safetensors files named by their content.

The card says what was built and what it may be used for; weights are plain tensors. Nothing is
ever unpickled, no class name is ever looked up. Weights are written first, under a name that holds
part of their checksum, then the card in one rename: whoever reads the folder sees the old model or
the new one, and a full disk leaves the old one intact.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from cinc_ecg._version import __version__
from cinc_ecg.errors import CardError, ConfigError, PluginError
from cinc_ecg.io.atomic import make_folder, write_bytes, write_text
from cinc_ecg.models.config import BackboneConfig, ModelConfig, config_from_dict, config_to_dict
from cinc_ecg.models.network import EcgNetwork, build_network

_LOG = logging.getLogger(__name__)
CARD_FILE = "card.json"
SCHEMA = "cinc_ecg/model"
SCHEMA_VERSION = 2
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a model; `files` is filled in by `save_model`.

    Attributes:
        config: The network's resolved configuration (view, backbone, heads, leads, rate, classes).
        task: "digitization", "diagnosis" or "digitization+diagnosis".
        thresholds: Class -> probability from which it is reported.
        temperature: Logits are divided by it before the sigmoid.
        preprocessing: What is done to an input before the network sees it.
        training: What it was trained on: records, their fingerprint, seed, settings.
        metrics: Split name -> figures.
        licences: What was used -> its licence.
        summary: One or two sentences for a reader.
        files: File name -> {"sha256", "bytes", "tensors"}.
        extra: Keys of other parts of the package (readers, parts of a blend), kept as they are.
    """

    config: ModelConfig
    task: str = "digitization"
    thresholds: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    preprocessing: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the logits."""
        return tuple(self.config.dx.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON values; what a reader looks for first comes first."""
        config = self.config
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "cinc_ecg_version": __version__,
            "task": self.task,
            "summary": self.summary,
            "view": config.view,
            "backbone": config.backbone.name,
            "heads": {"digitization": config.head.kind, "classes": list(config.dx.classes)},
            "leads": list(config.leads),
            "fs_hz": config.fs_hz,
            **{name: getattr(self, name) for name in _COPIED},
            "config": config_to_dict(config),
            **self.extra,
        }


_COPIED = (
    "thresholds",
    "temperature",
    "preprocessing",
    "training",
    "metrics",
    "licences",
    "files",
)
#: Keys that repeat the configuration for a human reader.
_REPEATED = ("view", "backbone", "heads", "leads", "fs_hz")
_OWN = {
    *("schema", "schema_version", "cinc_ecg_version", "task", "summary", "config"),
    *_COPIED,
    *_REPEATED,
}


def card_from_dict(values: Mapping[str, Any], where: str) -> Card:
    """Build a card from JSON values.

    Raises:
        CardError: it describes no network, or not one this version knows (card).
    """
    if not isinstance(values.get("config"), dict):
        raise CardError(f"{where}: describes no network (no key 'config')")
    try:
        config = config_from_dict(values["config"])
    except ConfigError as error:
        raise CardError(f"{where}: {error}; written by another version?") from error
    known = {item.name for item in fields(Card)}
    given = {name: values[name] for name in (*_COPIED, "task", "summary") if name in values}
    extra = {name: value for name, value in values.items() if name not in _OWN}
    return Card(config, extra=extra, **{name: given[name] for name in given if name in known})


def read_card(path: Path) -> dict[str, Any]:
    """Read a card's JSON, of a folder or a file, and check its schema.

    Raises:
        CardError: missing, not JSON, of another schema, or of a later version (card).
    """
    file = path / CARD_FILE if path.is_dir() else path
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(
            f"{file}: cannot be read ({error.strerror}); is this a model folder?"
        ) from error
    except ValueError as error:
        raise CardError(f"{file}: is no JSON ({error}); copy the model folder again") from error
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise CardError(f"{file}: is no card of schema {SCHEMA}")
    version = card.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise CardError(
            f"{file}: schema version {version}, this package knows up to {SCHEMA_VERSION}; "
            "update cinc_ecg"
        )
    return card


def save_model(
    folder: Path, network: EcgNetwork, card: Card, *, stem: str = "network", name: str = CARD_FILE
) -> Card:
    """Write a network and its card; a model that was there before is replaced at once.

    Args:
        folder: Made when missing; other files in it stay.
        network: Its configuration replaces the card's.
        card: What is known about it.
        stem: Start of the weights' file name.
        name: Of the card; several networks may share a folder under different names and stems.

    Returns:
        The card as written, with its files.

    Raises:
        OutputError: the disk is full or the folder cannot be written (disk_full,
            output_unwritable); the previous model is intact.
    """
    make_folder(folder)
    files = write_weights(folder, {stem: network.state_dict()})
    written = replace(card, config=network.config, files=files)
    old = _old_files(folder / name)
    write_text(folder / name, json.dumps(written.to_dict(), indent=2) + "\n")
    remove_files(folder, old - set(files))
    return written


def write_weights(
    folder: Path, states: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, dict[str, Any]]:
    """Write each state dict as `STEM-CHECKSUM.safetensors`; return a card's `files`."""
    files: dict[str, dict[str, Any]] = {}
    for stem, state in states.items():
        # a clone each: safetensors refuses tensors that share memory
        tensors = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
        data = save_tensors(tensors)
        digest = hashlib.sha256(data).hexdigest()
        file = f"{stem}-{digest[:12]}.safetensors"
        write_bytes(folder / file, data)
        files[file] = {"sha256": digest, "bytes": len(data), "tensors": len(tensors)}
    return files


def _old_files(card: Path) -> set[str]:
    """Return the weights an earlier card names, as far as it can be read."""
    try:
        files = read_card(card).get("files", {})
    except CardError:
        return set()
    return (
        {name for name in files if _SAFE_NAME.fullmatch(name)} if isinstance(files, dict) else set()
    )


def remove_files(folder: Path, names: set[str]) -> None:
    """Remove weights that no card names any more; what cannot be removed is left."""
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("%s: old weights cannot be removed (%s)", folder / name, error)


def load_model(path: Path | str, *, device: str = "cpu") -> tuple[EcgNetwork, Card]:
    """Load a network for inference (evaluation mode), without any network access.

    Args:
        path: A model folder, or a card file in it.
        device: Where its tensors go.

    Raises:
        CardError: card or weights are missing, damaged, or of another network (card,
            weights_damaged, weights_mismatch); the message names file and tensor.
        PluginError: its backbone is not available here.
    """
    path = Path(path)
    card = card_from_dict(read_card(path), str(path))
    folder = path if path.is_dir() else path.parent
    if len(card.files) != 1:
        raise CardError(f"{path}: names {len(card.files)} weight files, one was expected")
    (file,) = card.files
    state = read_weights(folder, file, card.files[file])
    network = _rebuild(card.config)
    load_strictly(network, state, str(folder / file))
    return network.to(torch.device(device)).eval(), card


def _rebuild(config: ModelConfig) -> EcgNetwork:
    """Build a network whose weights are about to be replaced.

    The pretrained weights it once started from are not looked for, unless the backbone cannot be
    built without the configuration that lies beside them.
    """
    bare: BackboneConfig = replace(config.backbone, weights="none")
    try:
        return build_network(replace(config, backbone=bare))
    except PluginError:
        if config.backbone.weights == "none":
            raise
        return build_network(config)


def read_weights(folder: Path, file: str, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read one safetensors file and compare it with its checksum.

    Raises:
        CardError: missing, changed or truncated (weights_damaged).
    """
    if not _SAFE_NAME.fullmatch(file):
        raise CardError(f"{folder}: {file!r} is no name of a weight file", code="weights_damaged")
    path = folder / file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CardError(
            f"{path}: cannot be read ({error.strerror}); copy the whole model folder",
            code="weights_damaged",
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.get("sha256"):
        raise CardError(
            f"{path}: is not the file the card names (sha256 {digest[:12]}..., {len(data)} bytes; "
            f"{str(entry.get('sha256'))[:12]}..., {entry.get('bytes')} bytes expected); "
            "copy it again",
            code="weights_damaged",
        )
    try:
        return dict(load_tensors(data))
    except (SafetensorError, ValueError) as error:
        raise CardError(
            f"{path}: is no safetensors file ({error})", code="weights_damaged"
        ) from error


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy every tensor, or say which ones do not fit.

    Raises:
        CardError: a tensor is missing, unexpected or of another shape (weights_mismatch).
    """
    own = module.state_dict()
    faults = [f"{key} is missing" for key in own if key not in state]
    faults += [f"{key} is not in the network" for key in state if key not in own]
    faults += [
        f"{key} is {tuple(state[key].shape)}, the network has {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise CardError(
            f"{where}: does not fit the network its card describes: {'; '.join(faults[:3])}{more}",
            code="weights_mismatch",
        )
    module.load_state_dict(dict(state), strict=True)
