"""Backbones of Hugging Face transformers.

`AutoBackbone.from_pretrained` asks the hub even for a local folder (transformers 5). Configuration
and class are therefore looked up one by one, and weights are read from files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_BACKBONE_MAPPING,
    MODEL_FOR_BACKBONE_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from cinc_ecg.backbones.presets import PRESETS, preset
from cinc_ecg.backbones.probe import IMAGENET_MEAN, IMAGENET_STD, ImageBackbone, take_options
from cinc_ecg.backbones.weights import hub_folder, locate, read_state, shape_error, weight_file
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins.providers import BackboneRequest, UnknownNameError

_SCHEME = "hf:"
_DUMMY_PX = 256
#: A stack with more stages than this is a plain transformer: all its maps have one stride.
_MOST_PYRAMID_STAGES = 6
#: Fresh norms per map that a backbone adds to a model trained as classifier.
_FRESH = ("hidden_states_norms.",)


def names() -> tuple[str, ...]:
    """Return the presets' ids and the model types; any id that was fetched is understood too."""
    ids = [p.spec.removeprefix(_SCHEME) for p in PRESETS if p.spec.startswith(_SCHEME)]
    return (*ids, *MODEL_FOR_BACKBONE_MAPPING_NAMES)


def build(request: BackboneRequest) -> ImageBackbone:
    """Build a transformers backbone from a preset, a model type, a folder or fetched files.

    Raises:
        PluginError: Unknown name, a configuration or weights that are not on this machine, or
            weights that do not fit.
    """
    spec = f"{_SCHEME}{request.name}"
    take_options(request.options, {}, spec)
    path = locate(request.weights, spec)
    config, is_local = _config(request, path, spec)
    architecture = config.to_json_string() if is_local else ""
    config.num_channels = request.in_channels
    size = _bind_size(config, request.image_size)
    config.out_indices = _stages(config, request.levels, spec)
    kind: Any = MODEL_FOR_BACKBONE_MAPPING[type(config)]
    try:
        body = kind._from_config(config) if path is None else _load(kind, config, path, spec)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise PluginError(f"{spec}: {reason}", code="package_missing") from error
    _leave_out_unused(body, kind, config, (request.in_channels, *size))
    mean, std = _preprocessing(path)
    try:
        backbone = ImageBackbone(
            _Maps(body),
            in_channels=request.in_channels,
            levels=request.levels,
            image_size=size if _is_bound(config) else None,
            dummy_size=size,
            mean=mean,
            std=std,
        )
    except PluginError as error:
        raise PluginError(f"{spec} {error}") from error
    backbone.architecture = architecture
    return backbone


class _Maps(nn.Module):
    """A list of maps out of a transformers backbone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps, fine to coarse."""
        return list(self.model(image).feature_maps)


def _config(request: BackboneRequest, path: Path | None, spec: str) -> tuple[Any, bool]:
    """Find the configuration: given, beside the weights, in the presets, by type, or fetched.

    Returns:
        The configuration and whether it came from a file, so that others may lack it.
    """
    if request.architecture:
        return _from_json(request.architecture, spec), True
    folder = path if path is not None and path.is_dir() else None
    known = preset(spec)
    if folder is None and known is not None:
        return CONFIG_MAPPING[known.model_type](**known.config), False
    if folder is None and request.name in MODEL_FOR_BACKBONE_MAPPING_NAMES:
        # through JSON: some classes have tuples as defaults where their networks add lists
        text = CONFIG_MAPPING[request.name]().to_json_string()
        return _from_json(text, spec), False
    places: list[str | Path] = [folder] if folder else _places(request.name)
    for place in places:
        try:
            config = AutoConfig.from_pretrained(place, local_files_only=True)
        except (OSError, ValueError):
            continue
        if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
            raise PluginError(f"{spec}: models of type {config.model_type} give no feature maps")
        return config, True
    if folder:
        raise PluginError(
            f"{spec}: no config.json that transformers knows in {folder}; place the model's there",
            code="weights_missing",
        )
    raise UnknownNameError(
        request.name,
        f"for any other model of the hub run `cinc-ecg backbones fetch {spec}` where there is a "
        f"network, or place its config.json in {hub_folder(request.name, 'main')}",
    )


def _places(name: str) -> list[str | Path]:
    """Return where the configuration of a name may lie: a folder, fetched, transformers' cache."""
    fetched = hub_folder(name, "main")
    revisions = sorted(fetched.parent.glob(f"{fetched.name.removesuffix('main')}*"))
    folders = [Path(name), fetched, *revisions]
    return [*(folder for folder in folders if folder.is_dir()), name]


def _from_json(text: str, spec: str) -> Any:
    try:
        values = json.loads(text)
        return CONFIG_MAPPING[values["model_type"]].from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise PluginError(f"{spec}: its stored architecture cannot be read ({error})") from error


def _bind_size(config: Any, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Set the size of the pictures where the configuration has one; return it."""
    given = getattr(config, "image_size", None)
    if wanted is not None and given is not None:
        is_pair = isinstance(given, list | tuple)
        config.image_size = list(wanted) if is_pair or wanted[0] != wanted[1] else wanted[0]
        return wanted
    if isinstance(given, list | tuple):
        return int(given[0]), int(given[1])
    side = int(given or _DUMMY_PX)
    return wanted or (side, side)


def _is_bound(config: Any) -> bool:
    """Whether position codes tie the model to one size (those that interpolate are not)."""
    return config.model_type in ("hiera", "vitpose_backbone", "lw_detr_vit")


def _stages(config: Any, levels: int, spec: str) -> list[int]:
    """Return the indices of the maps to ask for, without the stem."""
    stages = getattr(config, "stage_names", None)
    if not stages:
        raise PluginError(f"{spec}: models of type {config.model_type} give no feature maps")
    first = 1 if stages[0] in ("stem", "embeddings") else 0
    indices = list(range(first, len(stages)))
    if len(indices) <= _MOST_PYRAMID_STAGES:
        return indices[-levels:]
    n = min(levels, len(indices))
    return [indices[round((k + 1) * len(indices) / n) - 1] for k in range(n)]


def _leave_out_unused(body: nn.Module, kind: Any, config: Any, shape: tuple[int, ...]) -> None:
    """Let no parameter be trained that no map depends on: it would stop training on several GPUs.

    A twin without memory (torch's meta device) tells which get a gradient.
    """
    try:
        with torch.device("meta"):
            twin = kind._from_config(config).eval()
            maps = twin(torch.empty(1, *shape)).feature_maps
            torch.stack([m.sum() for m in maps]).sum().backward()
    except RuntimeError:  # a network that makes tensors of its own on the CPU
        return
    used = {name for name, p in twin.named_parameters() if p.grad is not None}
    for name, parameter in body.named_parameters():
        if name not in used:
            parameter.requires_grad_(False)


def _load(kind: Any, config: Any, path: Path, spec: str) -> nn.Module:
    file = weight_file(path, spec)
    state = read_state(file, spec)
    with _quiet():
        model, info = kind.from_pretrained(
            None,
            config=config,
            state_dict=state,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    wrong = [_mismatch(item) for item in info["mismatched_keys"]]
    missing = sorted(k for k in info["missing_keys"] if not k.startswith(_FRESH))
    if wrong or missing:
        raise shape_error(spec, file, sorted(wrong), missing)
    loaded: nn.Module = model
    return loaded


def _mismatch(item: Any) -> str:
    key, *shapes = (item,) if isinstance(item, str) else tuple(item)
    texts = ["x".join(map(str, shape)) for shape in shapes]
    return f"{key} is {texts[0]}, expected {texts[1]}" if len(texts) == 2 else str(key)


def _preprocessing(path: Path | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std beside the weights, or ImageNet's."""
    file = path / "preprocessor_config.json" if path is not None and path.is_dir() else None
    if file is None or not file.exists():
        return IMAGENET_MEAN, IMAGENET_STD
    values = json.loads(file.read_text(encoding="utf-8"))
    return (
        _floats(values.get("image_mean", IMAGENET_MEAN)),
        _floats(values.get("image_std", IMAGENET_STD)),
    )


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own report of keys back; what matters of it is raised."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
