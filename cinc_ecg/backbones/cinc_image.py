"""Small residual encoders that train from random weights on a CPU.

Traces are one to three pixels wide, so the stem halves the picture twice with 3x3 convolutions
instead of one large stride. Group normalization does not depend on the batch: pages are large and
batches small.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from cinc_ecg.backbones.probe import ImageBackbone, take_options
from cinc_ecg.backbones.weights import load_weights
from cinc_ecg.plugins.providers import BackboneRequest, UnknownNameError

#: Name -> widths of the maps at strides 2, 4, 8, 16, 32 and residual blocks at each.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((8, 12, 20, 32, 48), (0, 1, 1, 1, 1)),
    "small": ((12, 24, 40, 64, 104), (0, 1, 2, 2, 2)),
}
_GROUP_CHANNELS = 4


def names() -> tuple[str, ...]:
    """Return the encoders' names."""
    return tuple(SIZES)


def build(request: BackboneRequest) -> ImageBackbone:
    """Build an encoder; option `scale` multiplies its widths.

    Raises:
        PluginError: Unknown name or option, or weights that do not fit.
    """
    if request.name not in SIZES:
        raise UnknownNameError(request.name)
    spec = f"cinc:{request.name}"
    options = take_options(request.options, {"scale": 1.0}, spec)
    widths, blocks = SIZES[request.name]
    scaled = tuple(max(1, round(w * options["scale"] / 4)) * 4 for w in widths)
    backbone = ImageBackbone(
        Encoder(scaled, blocks, in_channels=request.in_channels),
        in_channels=request.in_channels,
        levels=request.levels,
        finest_stride=2,
    )
    load_weights(backbone, request.weights, spec)
    return backbone


class Encoder(nn.Module):
    """Residual stages at strides 2, 4, 8, ...

    Args:
        widths: Channels of each stage, multiples of 4.
        blocks: Residual blocks of each stage.
        in_channels: Channels of the picture.
    """

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], *, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = in_channels
        for width, n_blocks in zip(widths, blocks, strict=True):
            down = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
            rest = [ResidualBlock(width) for _ in range(n_blocks)]
            self.stages.append(nn.Sequential(down, _norm(width), nn.ReLU(inplace=True), *rest))
            before = width

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of all stages, fine to coarse, of (B, C, H, W)."""
        maps = []
        features = image
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and the identity; starts as the identity (last gain 0)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = _norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = _norm(width)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        inner = functional.relu(self.norm1(self.conv1(features)))
        return functional.relu(features + self.norm2(self.conv2(inner)))


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(width // _GROUP_CHANNELS, width)
