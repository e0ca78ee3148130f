"""Learn a backbone's channels and strides by running it once on a dummy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cinc_ecg.errors import PluginError

#: ImageNet's mean and standard deviation of RGB in 0..1, which most image backbones expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_DUMMY_PX = 256
_DUMMY_SAMPLES = 1024
#: Finest map that is kept of a foreign backbone: a stride-2 map costs more than it tells.
_FINEST_STRIDE = 4


class ImageBackbone(nn.Module):
    """Any network with feature maps, under the one contract.

    Args:
        body: (B, C, H, W) -> sequence of 4-D maps, fine to coarse.
        in_channels: Channels of the picture.
        levels: How many maps to give, the coarsest ones.
        image_size: (height, width) in px if the body takes no other; None otherwise.
        dummy_size: (height, width) in px to learn the maps with; 256 by default.
        channels_last: The body's maps are (B, H, W, C).
        mean: Mean of RGB in 0..1 that the weights expect.
        std: Standard deviation of RGB in 0..1 that the weights expect.
        min_multiple: Height and width must be multiples of this; the coarsest stride if None.
        finest_stride: Maps finer than this are left out.

    Attributes:
        channels: Channels of each map.
        strides: Input pixels per pixel of each map.
        image_size: As given.
        architecture: What builds the same network without the files it was described in; "" where
            the name is enough.

    Raises:
        PluginError: The maps are not 4-D, or lie at no whole stride.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        in_channels: int,
        levels: int,
        image_size: tuple[int, int] | None = None,
        dummy_size: tuple[int, int] | None = None,
        channels_last: bool = False,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        min_multiple: int | None = None,
        finest_stride: int = _FINEST_STRIDE,
    ) -> None:
        super().__init__()
        self.body = body
        self.channels_last = channels_last
        self.image_size = image_size
        self.architecture = ""
        self.mean = matching(mean, in_channels)
        self.std = matching(std, in_channels)
        size = image_size or dummy_size or (_DUMMY_PX, _DUMMY_PX)
        shapes = [tuple(m.shape) for m in run_once(self, (1, in_channels, *size))]
        strides = [_stride(size, shape) for shape in shapes]
        kept = [k for k, stride in enumerate(strides) if stride >= finest_stride][-levels:]
        self._kept = tuple(kept)
        self.channels = tuple(int(shapes[k][1]) for k in kept)
        self.strides = tuple(strides[k] for k in kept)
        self.min_multiple = min_multiple or max(self.strides)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return feature maps, fine to coarse.

        Args:
            image: Normalized picture (B, C, H, W), H and W multiples of `min_multiple`.

        Returns:
            Maps (B, channels[k], H / strides[k], W / strides[k]).
        """
        bound = self.image_size is not None and not torch.jit.is_tracing()
        if bound and tuple(image.shape[2:]) != self.image_size:
            raise PluginError(
                f"this backbone was built for pictures of {_by(self.image_size)} px, not "
                f"{_by(tuple(image.shape[2:]))}; "
                "build it with that image_size"
            )
        maps = list(self.body(image))
        if self.channels_last:
            maps = [m.permute(0, 3, 1, 2).contiguous() for m in maps]
        kept = getattr(self, "_kept", None)
        return maps if kept is None else [maps[k] for k in kept]


class SignalBackbone(nn.Module):
    """A one-dimensional network under the one contract.

    Args:
        body: (B, C, T) -> (B, C', T').
        in_channels: Leads.

    Attributes:
        channels: (C',).
        strides: (T / T',), in samples.
        min_multiple: The stride: other lengths work, the last output then covers fewer samples.
    """

    def __init__(self, body: nn.Module, *, in_channels: int) -> None:
        super().__init__()
        self.body = body
        shape = run_once(self, (1, in_channels, _DUMMY_SAMPLES))[0].shape
        self.channels = (int(shape[1]),)
        self.strides = (round(_DUMMY_SAMPLES / shape[2]),)
        self.min_multiple = self.strides[0]

    def forward(self, signal: Tensor) -> Tensor:
        """Return the feature sequence (B, channels[0], T / strides[0]) of (B, C, T)."""
        features: Tensor = self.body(signal)
        return features


def run_once(module: nn.Module, shape: tuple[int, ...]) -> list[Tensor]:
    """Run `module` on random numbers without a trace: no gradient, no statistics, no RNG draw.

    Returns:
        Its outputs as a list.
    """
    parameter = next(module.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    devices = [] if device.type in ("cpu", "meta") else [device]
    with _evaluating(module), torch.no_grad(), torch.random.fork_rng(devices):
        output = module(torch.randn(shape, device=device))
    return list(output) if isinstance(output, list | tuple) else [output]


def matching(values: tuple[float, ...], n: int) -> tuple[float, ...]:
    """Return one value per channel: as given where the count fits, their mean otherwise."""
    return tuple(values) if len(values) == n else (sum(values) / len(values),) * n


def take_options(given: Mapping[str, Any], allowed: Mapping[str, Any], spec: str) -> dict[str, Any]:
    """Return the architecture's options with the given ones in place.

    Raises:
        PluginError: An option is unknown or of another type than its default.
    """
    taken = dict(allowed)
    for key, value in given.items():
        if key not in allowed:
            raise PluginError(
                f"{spec} has no option {key!r}; known: {', '.join(sorted(allowed)) or 'none'}"
            )
        kind = type(allowed[key])
        whole = kind is float and type(value) is int
        if not (whole or type(value) is kind) or (kind is not bool and value < 0):
            raise PluginError(f"{spec}: {key}={value} is not a {kind.__name__} that can be used")
        taken[key] = kind(value)
    return taken


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


def _by(size: tuple[int, ...] | None) -> str:
    return "x".join(map(str, size or ()))


def _stride(size: tuple[int, int], shape: tuple[int, ...]) -> int:
    """Return input px per map px; both axes must agree and divide the input."""
    if len(shape) != 4:
        raise PluginError(f"gives an output of shape {shape} where a map (B, C, H, W) was expected")
    height, width = size[0] / shape[2], size[1] / shape[3]
    if height != width or not height.is_integer():
        raise PluginError(
            f"gives a map of {shape[2]}x{shape[3]} for a picture of {size[0]}x{size[1]}: "
            "no whole stride, so that places on the page are not kept; choose another backbone"
        )
    return int(height)
