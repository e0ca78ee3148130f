"""Backbones of torchvision through `create_feature_extractor`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from cinc_ecg.backbones.probe import ImageBackbone, run_once, take_options
from cinc_ecg.backbones.weights import load_weights
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins.providers import BackboneRequest, UnknownNameError

#: Where a model keeps its stages; models without any of these keep them at the top.
_TRUNKS = ("features", "trunk_output", "layers", "blocks")
_DUMMY_PX = 224
_FINEST, _COARSEST = 4, 32


def names() -> tuple[str, ...]:
    """Return the classification models' names; not every one has maps at whole strides."""
    return tuple(models.list_models(module=models))


def build(request: BackboneRequest) -> ImageBackbone:
    """Build a torchvision model that gives feature maps.

    Raises:
        PluginError: Unknown name, no maps at whole strides, or weights that do not fit.
    """
    spec = f"torchvision:{request.name}"
    if request.name not in names():
        raise UnknownNameError(request.name)
    take_options(request.options, {}, spec)
    family = models.get_model_builder(request.name).__module__.rpartition(".")[2]
    size = (request.image_size or (_DUMMY_PX, _DUMMY_PX)) if family == "maxvit" else None
    arguments: dict[str, Any] = {}
    if family == "maxvit":
        arguments = {"input_size": size}
    elif family in ("googlenet", "inception"):
        arguments = {"init_weights": True, "aux_logits": False}
    model = models.get_model(request.name, weights=None, **arguments)
    _widen_input(model, request.in_channels)
    channels_last = family == "swin_transformer"
    nodes = _stages(model, request.in_channels, size or (_DUMMY_PX, _DUMMY_PX), channels_last)
    if not nodes:
        raise PluginError(
            f"{spec} has no maps at whole strides, so that places on the page are not kept; "
            "choose another, or timm's model of the family"
        )
    body = _Maps(create_feature_extractor(model, nodes[-request.levels :]))
    backbone = ImageBackbone(
        body,
        in_channels=request.in_channels,
        levels=request.levels,
        image_size=size,
        channels_last=channels_last,
    )
    load_weights(backbone, request.weights, spec)
    return backbone


class _Maps(nn.Module):
    """A list of maps out of torchvision's dictionary of them."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps, fine to coarse."""
        return list(self.extractor(image).values())


def _stages(
    model: nn.Module, in_channels: int, size: tuple[int, int], channels_last: bool
) -> list[str]:
    """Return the last module at each of the strides 4, 8, 16, 32; empty if they are not whole."""
    seen: dict[int, str] = {}
    handles = []
    for name, module in _candidates(model):

        def note(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 4:
                height = output.shape[1 if channels_last else 2]
                if height > 1 and size[0] % height == 0:
                    seen[size[0] // height] = name

        handles.append(module.register_forward_hook(note))
    try:
        run_once(model, (1, in_channels, *size))
    finally:
        for handle in handles:
            handle.remove()
    kept = {stride: name for stride, name in seen.items() if _FINEST <= stride <= _COARSEST}
    return [kept[stride] for stride in sorted(kept)] if _COARSEST in kept else []


def _candidates(model: nn.Module) -> list[tuple[str, nn.Module]]:
    for trunk in _TRUNKS:
        inner = getattr(model, trunk, None)
        if isinstance(inner, nn.Module):
            return [(f"{trunk}.{name}", module) for name, module in inner.named_children()]
    return list(model.named_children())


def _widen_input(model: nn.Module, in_channels: int) -> None:
    """Replace the first convolution where the picture has not three channels."""
    if in_channels == 3:
        return
    name, first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    made = nn.Conv2d(
        in_channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, made)
