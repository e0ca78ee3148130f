"""Weights from elsewhere: read a foreign checkpoint as plain tensors and copy what fits.

Foreign files are unpickled by torch's restricted loader only (`weights_only`): tensors and plain
containers, nothing that could run code. The state dict is looked for inside the usual wrappings,
prefixes of wrappers (`module.`, `_orig_mod.`) are stripped, and a tensor is copied where name and
shape agree. Names may differ in what stands before a common ending, as between a bare ResNet
(`layer1.0.conv1.weight`) and the same inside a network: such pairs of prefixes are found by
counting the tensors they would match. Every key that is not copied is reported with its reason.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cinc_ecg.errors import CardError
from cinc_ecg.models.card import load_model, save_model

#: Where training programs keep the state dict inside a checkpoint, most telling first.
_WRAPPINGS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network"),
    *("module", "generator", "encoder", "params", "weights"),
)
_WRAPPERS = ("module.", "_orig_mod.")
#: What a damaged or foreign pickle makes torch's loader raise.
_DAMAGE = (
    *(pickle.UnpicklingError, SafetensorError, EOFError, RuntimeError, ValueError),
    *(LookupError, AttributeError, TypeError, AssertionError, struct.error),
)
#: Fewer tensors than this under one pair of prefixes may be chance.
_MIN_PAIRED = 2
Reason = Literal["copied", "shape", "unknown", "not_a_tensor"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What became of one key of the foreign file.

    Attributes:
        key: As it stands in the file.
        shape: Of its tensor; None for anything else.
        own_key: The network's tensor it belongs to, or None.
        own_shape: Of that tensor.
        reason: "copied", "shape" (another shape), "unknown" (no such name), "not_a_tensor".
    """

    key: str
    shape: Shape | None
    own_key: str | None
    own_shape: Shape | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Every key of the file, and every tensor of the network that got nothing."""

    source: str
    keys: tuple[KeyReport, ...]
    untouched: tuple[str, ...]

    @property
    def copied(self) -> tuple[KeyReport, ...]:
        """Keys that fit."""
        return tuple(entry for entry in self.keys if entry.reason == "copied")

    @property
    def skipped(self) -> tuple[KeyReport, ...]:
        """Keys that did not."""
        return tuple(entry for entry in self.keys if entry.reason != "copied")

    def lines(self) -> Iterator[str]:
        """Yield a line per key, then per tensor without a source, then a summary."""
        for entry in self.keys:
            shape = "-" if entry.shape is None else _text(entry.shape)
            yield f"{entry.reason:12} {entry.key} {shape}{_target(entry)}"
        for name in self.untouched:
            yield f"{'untouched':12} {name}"
        yield (
            f"{self.source}: {len(self.copied)} of {len(self.keys)} keys fit, "
            f"{len(self.untouched)} tensors of the network get nothing"
        )


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _target(entry: KeyReport) -> str:
    if entry.own_key is None or (entry.own_key == entry.key and entry.reason == "copied"):
        return ""
    shape = f" {_text(entry.own_shape or ())}" if entry.reason == "shape" else ""
    return f" -> {entry.own_key}{shape}"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state dict of a .pth, .pt, .ckpt, .bin or .safetensors file, prefixes stripped.

    Entries that are no tensors are kept, so that they can be reported.

    Raises:
        CardError: unreadable, not plain tensors, or without a state dict (checkpoint_unreadable).
    """
    try:
        if path.suffix == ".safetensors":
            held: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                # remarks about pickle protocols: the file loads or it does not
                warnings.simplefilter("ignore")
                held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _unreadable(path, f"cannot be read ({error.strerror or error})") from error
    except _DAMAGE as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise _unreadable(
                path,
                "holds Python objects beside tensors, which could run code when loaded; save "
                "its state_dict() alone, in an environment that trusts it",
            ) from error
        raise _unreadable(path, f"is no checkpoint ({_first_line(error)})") from error
    state = _unwrap(held)
    if state is None:
        raise _unreadable(path, f"holds no state dict ({_contents(held)})")
    return _strip(state)


def _unreadable(path: Path, text: str) -> CardError:
    return CardError(f"{path}: {text}", code="checkpoint_unreadable")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _contents(held: Any) -> str:
    if isinstance(held, Mapping):
        return "keys " + ", ".join(map(str, list(held)[:8]))
    return type(held).__name__


def _unwrap(held: Any, depth: int = 3) -> dict[str, Any] | None:
    """Return the mapping that holds tensors by name, looking into known wrappings."""
    if not isinstance(held, Mapping):
        return None
    if any(isinstance(value, Tensor) for value in held.values()):
        return {str(key): value for key, value in held.items()}
    if depth == 0:
        return None
    for name in (*_WRAPPINGS, *(key for key in held if key not in _WRAPPINGS)):
        # an optimizer's state also holds tensors, by number
        if name in held and "optim" not in str(name):
            found = _unwrap(held[name], depth - 1)
            if found is not None:
                return found
    return None


def _strip(state: dict[str, Any]) -> dict[str, Any]:
    """Remove wrappers' prefixes, wherever all tensors carry them."""
    while state:
        prefix = next((p for p in _WRAPPERS if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def match(
    state: Mapping[str, Any], module: nn.Module, *, source: str = ""
) -> tuple[dict[str, Tensor], ImportReport]:
    """Find which tensors of a state dict fit a module.

    Returns:
        The module's tensors that get a new value, and the report.
    """
    own = module.state_dict()
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    names = _pair_names(tensors, own)
    copied: dict[str, Tensor] = {}
    reports = []
    for key, value in state.items():
        if key not in tensors:
            reports.append(KeyReport(key, None, None, None, "not_a_tensor"))
            continue
        target = names.get(key)
        shape = tuple(value.shape)
        if target is None:
            reports.append(KeyReport(key, shape, None, None, "unknown"))
            continue
        wanted = tuple(own[target].shape)
        fits = shape == wanted
        if fits:
            copied[target] = value.to(own[target].dtype)
        reports.append(KeyReport(key, shape, target, wanted, "copied" if fits else "shape"))
    untouched = tuple(name for name in own if name not in copied)
    return copied, ImportReport(source, tuple(reports), untouched)


def _pair_names(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, str]:
    """Return foreign name -> own name: equal names first, then by pairs of prefixes."""
    names = {key: key for key in theirs if key in ours}
    while True:
        free = [key for key in ours if key not in set(names.values())]
        open_ = [key for key in theirs if key not in names]
        votes = Counter(
            pair
            for key in open_
            for name in free
            if theirs[key].shape == ours[name].shape
            for pair in _prefixes(key, name)
        )
        if not votes:
            return names
        (before, after), count = max(votes.items(), key=lambda item: (item[1], item[0]))
        if count < _MIN_PAIRED:
            return names
        for key in open_:
            name = after + key.removeprefix(before)
            if key.startswith(before) and name in free:
                names[key] = name


def _prefixes(key: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the pair of prefixes that stand before the longest common ending of two names.

    An ending is at least two parts: "weight" alone says nothing.
    """
    theirs, ours = key.split("."), name.split(".")
    common = 0
    while common < min(len(theirs), len(ours)) and theirs[-1 - common] == ours[-1 - common]:
        common += 1
    if common >= 2:
        cut = [".".join(parts[: len(parts) - common]) for parts in (theirs, ours)]
        yield tuple(f"{part}." if part else "" for part in cut)  # type: ignore[misc]


def diagnose(path: Path, folder: Path) -> ImportReport:
    """Say which keys of a foreign file would fit the network in a model folder; write nothing.

    Raises:
        CardError: the file or the folder cannot be read.
    """
    network, _ = load_model(folder)
    return match(read_checkpoint(path), network, source=str(path))[1]


def import_checkpoint(path: Path, folder: Path) -> ImportReport:
    """Copy what fits of a foreign file into the network of a model folder, and save it there.

    Args:
        path: The foreign checkpoint.
        folder: A model folder; its card says afterwards what was imported.

    Raises:
        CardError: the file or the folder cannot be read, or nothing fits (checkpoint_no_match).
        OutputError: the folder cannot be written; it then holds the model it held.
    """
    network, card = load_model(folder)
    copied, report = match(read_checkpoint(path), network, source=str(path))
    if not copied:
        raise CardError(
            f"{path}: none of its {len(report.keys)} keys fits the network in {folder}; "
            "--diagnose lists them",
            code="checkpoint_no_match",
        )
    network.load_state_dict({**network.state_dict(), **copied}, strict=True)
    imported = {
        "file": path.name,
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "copied": len(report.copied),
        "skipped": [entry.key for entry in report.skipped],
    }
    save_model(folder, network, replace(card, training={**card.training, "imported": imported}))
    return report
