"""Checks that the author of a backbone runs on it: `check_image_backbone`, `check_signal_backbone`.

Every check that fails is one `BackboneCheckError` that says what was expected.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone
from cinc_ecg.plugins.providers import Kind

#: Least difference between the features of two inputs, as a share of the largest feature.
_CHANGE = 1e-3


class BackboneCheckError(PluginError, AssertionError):
    """A backbone breaks the contract."""


def check_image_backbone(
    backbone: nn.Module | str,
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> list[str]:
    """Check an image backbone against the contract.

    Args:
        backbone: The module, or its name as given to `build_backbone`.
        in_channels: Channels of the picture.
        image_size: (height, width) in px to feed; twice and four times a suitable multiple if
            None, so that exchanged axes are seen.
        seed: Seed of the pictures.

    Returns:
        What was checked, one line each.

    Raises:
        BackboneCheckError: The first rule that is broken.
    """
    module = _module(backbone, "image", in_channels, image_size)
    _check_numbers(module, kind="image", in_channels=in_channels)
    size = image_size or getattr(module, "image_size", None) or _suitable_size(module)
    shape = (2, in_channels, *size)
    maps = _run(module, _inputs(shape, seed))
    _require(
        len(maps) == len(module.channels), f"forward gives {len(maps)} maps", "one per channel"
    )
    for k, (m, channels, stride) in enumerate(
        zip(maps, module.channels, module.strides, strict=True)
    ):
        expected = (2, channels, size[0] // stride, size[1] // stride)
        _require(tuple(m.shape) == expected, f"map {k} is {tuple(m.shape)}", expected)
    return [
        "channels, strides, min_multiple",
        "mean, std",
        "shapes of the maps",
        *_behave(module, shape, seed),
    ]


def check_signal_backbone(
    backbone: nn.Module | str, *, in_channels: int = 12, n_samples: int = 1000, seed: int = 0
) -> list[str]:
    """Check a signal backbone against the contract.

    Args:
        backbone: The module, or its name as given to `build_backbone`.
        in_channels: Leads.
        n_samples: Samples per lead to feed; the length that is not a multiple of the stride is
            tried as well.
        seed: Seed of the signals.

    Returns:
        What was checked, one line each.

    Raises:
        BackboneCheckError: The first rule that is broken.
    """
    module = _module(backbone, "signal", in_channels, None)
    _check_numbers(module, kind="signal", in_channels=in_channels)
    stride, channels = module.strides[0], module.channels[0]
    whole = max(1, n_samples // module.min_multiple) * module.min_multiple
    shape = (2, in_channels, whole)
    features = _run(module, _inputs(shape, seed))
    _require(len(features) == 1, f"forward gives {len(features)} outputs", "one tensor")
    expected = (2, channels, whole // stride)
    _require(
        tuple(features[0].shape) == expected, f"output is {tuple(features[0].shape)}", expected
    )
    return ["channels, strides, min_multiple", "shape of the output", *_behave(module, shape, seed)]


def _module(
    backbone: nn.Module | str, kind: Kind, in_channels: int, size: tuple[int, int] | None
) -> Any:
    if isinstance(backbone, str):
        backbone = build_backbone(backbone, kind=kind, in_channels=in_channels, image_size=size)
    _require(isinstance(backbone, nn.Module), f"{type(backbone).__name__}", "a torch.nn.Module")
    return backbone


def _check_numbers(module: Any, *, kind: Kind, in_channels: int) -> None:
    for name in ("channels", "strides"):
        value = getattr(module, name, None)
        good = isinstance(value, tuple) and value and all(type(v) is int and v > 0 for v in value)
        _require(bool(good), f".{name} is {value!r}", "a tuple of positive ints")
    _require(
        len(module.channels) == len(module.strides),
        f".channels {module.channels} and .strides {module.strides}",
        "equally many",
    )
    ordered = list(module.strides) == sorted(module.strides)
    _require(ordered, f".strides are {module.strides}", "fine to coarse")
    multiple = getattr(module, "min_multiple", None)
    _require(type(multiple) is int and multiple > 0, f".min_multiple is {multiple!r}", "an int > 0")
    if kind == "signal":
        _require(len(module.channels) == 1, f".channels is {module.channels}", "(C',)")
        return
    for name in ("mean", "std"):
        value = getattr(module, name, None)
        values = value if isinstance(value, tuple) else ()
        inside = len(values) == in_channels and all(0 <= v <= 1 for v in values)
        _require(inside, f".{name} is {value!r}", f"{in_channels} numbers in 0..1")
    _require(min(module.std) > 0, f".std is {module.std}", "numbers above 0")


def _behave(module: Any, shape: tuple[int, ...], seed: int) -> list[str]:
    """Check gradients, determinism, dependence on the input, and saving and loading."""
    inputs = _inputs(shape, seed)
    first, second = _run(module, inputs), _run(module, inputs)
    same = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    _require(same, "two runs in eval mode differ", "equal outputs for equal inputs")
    alone = _run(module, inputs[:1])
    close = all(torch.allclose(a, b[:1], atol=1e-3) for a, b in zip(alone, first, strict=True))
    _require(close, "an input's output depends on its batch", "each by itself in eval mode")
    for k, features in enumerate(first):
        _require(bool(torch.isfinite(features).all()), f"output {k} is not finite", "numbers")
        change = float((features[0] - features[1]).abs().max())
        scale = float(features.abs().max())
        _require(
            change > _CHANGE * scale, f"output {k} is the same for two inputs", "different outputs"
        )
    _check_gradient(module, inputs)
    _check_round_trip(module, inputs, first)
    return [
        "gradient reaches every stage and the input",
        "eval mode is deterministic and independent of the batch",
        "different inputs give different outputs",
        "state dict round trip",
    ]


def _check_gradient(module: Any, inputs: Tensor) -> None:
    was_training = module.training
    module = copy.deepcopy(module).train()  # statistics of the caller's module stay as they are
    leaf = inputs.clone().requires_grad_()
    features = _outputs(module(leaf))
    weights = [torch.randn_like(f) for f in features]
    total = torch.stack([(f * w).sum() for f, w in zip(features, weights, strict=True)]).sum()
    total.backward()
    reached = leaf.grad is not None and float(leaf.grad.abs().max()) > 0
    _require(reached, "no gradient reaches the input", "a differentiable forward")
    trained = [p for p in module.parameters() if p.requires_grad]
    got = [p for p in trained if p.grad is not None and bool(torch.isfinite(p.grad).all())]
    _require(bool(trained), "no parameter wants a gradient", "trainable parameters")
    _require(
        len(got) == len(trained),
        f"{len(trained) - len(got)} of {len(trained)} parameters get no finite gradient",
        "every parameter in use",
    )
    module.train(was_training)


def _check_round_trip(module: Any, inputs: Tensor, expected: list[Tensor]) -> None:
    state = {key: value.clone() for key, value in module.state_dict().items()}
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter))
    changed = _run(twin, inputs)
    moved = any(not torch.allclose(a, b) for a, b in zip(changed, expected, strict=True))
    _require(moved, "changed weights change nothing", "outputs that depend on the weights")
    twin.load_state_dict(state)
    again = _run(twin, inputs)
    same = all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))
    _require(same, "a loaded state dict gives other outputs", "all state in the state dict")


def _run(module: Any, inputs: Tensor) -> list[Tensor]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return [f.clone() for f in _outputs(module(inputs))]
    finally:
        module.train(was_training)


def _outputs(result: Any) -> list[Tensor]:
    outputs = list(result) if isinstance(result, list | tuple) else [result]
    tensors = all(isinstance(o, Tensor) for o in outputs)
    _require(tensors, f"forward gives {type(result).__name__}", "tensors")
    return outputs


def _inputs(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _suitable_size(module: Any) -> tuple[int, int]:
    """Return an oblong size of at least two rows of the coarsest map."""
    unit = module.min_multiple
    while unit < max(module.strides) or unit % max(module.strides):
        unit += module.min_multiple
    return 2 * unit, 4 * unit


def _require(condition: bool, found: str, expected: object) -> None:
    if not condition:
        raise BackboneCheckError(f"{found}; expected {expected}", code="backbone_check")
