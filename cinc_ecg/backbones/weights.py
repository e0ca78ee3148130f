"""Weights of backbones: named, found on this machine, checked tensor by tensor.

Nothing here uses the network: `hub:` weights are fetched before, by `cinc-ecg backbones fetch`.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cinc_ecg.errors import PluginError

#: Folder of fetched weights; the cache folder of the user by default.
FOLDER_VARIABLE = "CINC_ECG_WEIGHTS"
#: What a state dict may lie under in a checkpoint of another project.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
#: Names of the contract's wrappers, which a library's own file does not carry.
_PREFIXES = ("", "body.", "body.extractor.")
_SHOWN = 3
#: What reading a damaged file raises; unpickling alone has half a dozen ways.
_DAMAGED = (
    SafetensorError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Parsed weights: kind "none", "local" or "hub"; path or id; revision (hub)."""

    kind: str
    place: str = ""
    revision: str = "main"


def parse_source(weights: str) -> Source:
    """Parse "none", "local:PATH" or "hub:ID@REVISION".

    Raises:
        PluginError: It is none of these.
    """
    kind, _, place = weights.partition(":")
    if weights == "none":
        return Source("none")
    if kind == "local" and place:
        return Source("local", place)
    if kind == "hub" and place:
        name, _, revision = place.partition("@")
        return Source("hub", name, revision or "main")
    raise PluginError(
        f"weights {weights!r} are not understood: write none, local:PATH or hub:ID@REVISION",
        code="weights_missing",
    )


def hub_folder(name: str, revision: str) -> Path:
    """Return where fetched weights of an id and revision lie."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = os.environ.get(FOLDER_VARIABLE) or Path(cache) / "cinc_ecg" / "weights"
    return Path(base) / f"{name.replace('/', '--')}@{revision}"


def locate(weights: str, spec: str) -> Path | None:
    """Return the folder or file of `weights`; None for random ones.

    Raises:
        PluginError: It is not on this machine; says what to fetch or where to place it.
    """
    source = parse_source(weights)
    if source.kind == "none":
        return None
    if source.kind == "local":
        path = Path(source.place).expanduser()
        if not path.exists():
            raise PluginError(
                f"{spec}: no weights at {path}; check the path", code="weights_missing"
            )
        return path
    folder = hub_folder(source.place, source.revision)
    if not any(folder.glob("*.safetensors")):
        raise PluginError(
            f"{spec}: {weights} is not on this machine; run `cinc-ecg backbones fetch {spec} "
            f"--weights {source.place}@{source.revision}` where there is a network, or place its "
            f"config.json and model.safetensors in {folder}",
            code="weights_missing",
        )
    return folder


def weight_file(path: Path, spec: str) -> Path:
    """Return the one weight file of a path: itself, or the folder's.

    Raises:
        PluginError: The folder has none, or several.
    """
    if path.is_file():
        return path
    found = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.pth"))
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise PluginError(
            f"{spec}: {what} *.safetensors in {path}; name the file: local:{path}/FILE",
            code="weights_missing",
        )
    return found[0]


def read_state(path: Path, spec: str) -> dict[str, Tensor]:
    """Read a state dict: safetensors, or a torch file with tensors only; never runs its code.

    Raises:
        PluginError: The file is damaged or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        reason = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise PluginError(
            f"{spec}: {path} holds no weights that can be read ({reason})", code="weights_missing"
        ) from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise PluginError(f"{spec}: {path} holds no state dict", code="weights_missing")
    state = {k: v for k, v in loaded.items() if isinstance(v, Tensor)}
    return {key.removeprefix("module."): value for key, value in state.items()}


def load_weights(module: nn.Module, weights: str, spec: str) -> None:
    """Load `weights` into `module` in place, all of its tensors or none.

    Keys may carry the prefix `body.` of the wrapper or not; tensors that the module does not have
    (a classifier) are left out.

    Raises:
        PluginError: A tensor is missing or of another shape; names the first ones.
    """
    path = locate(weights, spec)
    if path is not None:
        load_state(module, read_state(weight_file(path, spec), spec), spec, place=path)


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], spec: str, *, place: Path | str
) -> None:
    """Copy a state dict into `module`; see `load_weights`."""
    own = module.state_dict()
    renamed = {_own_key(k, own): v for k, v in state.items()}
    missing = [k for k in own if k not in renamed and not k.endswith("num_batches_tracked")]
    wrong = [
        f"{k} is {_shape(renamed[k])}, expected {_shape(own[k])}"
        for k in own
        if k in renamed and renamed[k].shape != own[k].shape
    ]
    if missing or wrong:
        raise shape_error(spec, place, wrong, missing)
    module.load_state_dict({k: renamed[k] for k in own if k in renamed}, strict=False)


def shape_error(spec: str, place: Path | str, wrong: list[str], missing: list[str]) -> PluginError:
    """Return the error for weights of another architecture, naming the first tensors."""
    parts = []
    if wrong:
        parts.append(f"{len(wrong)} tensors of another shape: {_some(wrong)}")
    if missing:
        parts.append(f"{len(missing)} tensors missing: {_some(missing)}")
    return PluginError(
        f"{spec}: weights {place} are of another model ({'; '.join(parts)}); "
        "check the backbone's name and in_channels",
        code="weights_shape",
    )


def _own_key(key: str, own: Mapping[str, Tensor]) -> str:
    return next((p + key for p in _PREFIXES if p + key in own), key)


def _some(lines: list[str]) -> str:
    rest = len(lines) - _SHOWN
    return ", ".join(lines[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
