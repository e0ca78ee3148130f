"""Backbones of timm through `features_only`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from cinc_ecg.backbones.probe import ImageBackbone, take_options
from cinc_ecg.backbones.weights import locate, read_state, shape_error, weight_file
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins.providers import BackboneRequest, UnknownNameError

_OPTIONS = {"drop_path_rate": 0.0}


def names() -> tuple[str, ...]:
    """Return the architectures' names; `name.tag` is understood too."""
    return tuple(timm.list_models())


def build(request: BackboneRequest) -> ImageBackbone:
    """Build a timm model that gives feature maps.

    Raises:
        PluginError: Unknown name, no feature maps, or weights that do not fit.
    """
    spec = f"timm:{request.name}"
    if not timm.is_model(request.name):
        raise UnknownNameError(request.name)
    take_options(request.options, _OPTIONS, spec)
    settings: Any = timm.get_pretrained_cfg(request.name)
    size, arguments = _size(request, settings)
    arguments |= request.options
    path = locate(request.weights, spec)
    if path is None:
        body = _create(request.name, request.in_channels, arguments, spec)
    else:
        body = _load(request, weight_file(path, spec), arguments, spec)
    layout = str(getattr(body, "output_fmt", "NCHW")).rpartition(".")[2]
    try:
        return ImageBackbone(
            body,
            in_channels=request.in_channels,
            levels=request.levels,
            image_size=size,
            channels_last=layout == "NHWC",
            mean=tuple(settings.mean),
            std=tuple(settings.std),
        )
    except PluginError as error:
        raise PluginError(f"{spec} {error}") from error


def _size(request: BackboneRequest, settings: Any) -> tuple[tuple[int, int] | None, dict[str, Any]]:
    """Return the size that the model is bound to, if any, and the arguments that bind it."""
    if not settings.fixed_input_size:
        return None, {}
    default = (int(settings.input_size[1]), int(settings.input_size[2]))
    size = request.image_size or default
    return size, {} if size == default else {"img_size": size}


def _create(name: str, in_channels: int, arguments: dict[str, Any], spec: str) -> nn.Module:
    try:
        body: nn.Module = timm.create_model(
            name, features_only=True, in_chans=in_channels, **arguments
        )
    except (RuntimeError, AttributeError, AssertionError, NotImplementedError) as error:
        raise PluginError(
            f"{spec} gives no feature maps ({error or type(error).__name__}); choose another"
        ) from error
    except TypeError as error:
        raise PluginError(f"{spec} cannot be built for {arguments} ({error})") from error
    return body


def _load(request: BackboneRequest, path: Path, arguments: dict[str, Any], spec: str) -> nn.Module:
    """Build the model with the weights of a file, through timm's own conversions.

    timm leaves out silently what a file does not hold. A twin with the same seed and no file tells:
    whatever is random in both was not in the file.
    """
    read_state(path, spec)  # a damaged file is named before timm meets it
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        twin = _create(request.name, request.in_channels, arguments, spec).state_dict()
        torch.manual_seed(0)
        extra: dict[str, Any] = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}
        try:
            body = timm.create_model(
                request.name,
                features_only=True,
                in_chans=request.in_channels,
                **extra,
                **arguments,
            )
        except (RuntimeError, KeyError, AssertionError) as error:
            lines = [t.strip() for t in str(error).splitlines() if "size mismatch" in t]
            wrong = [line.removeprefix("size mismatch for ") for line in lines]
            raise shape_error(spec, path, wrong or [str(error)], []) from error
    untouched = [
        key
        for key, value in body.state_dict().items()
        if value.ndim > 1 and value.std() > 0 and torch.equal(value, twin[key])
    ]
    parameters = {key for key, _ in body.named_parameters()}
    missing = [key for key in untouched if key in parameters]
    if missing:
        raise shape_error(spec, path, [], missing)
    return body
