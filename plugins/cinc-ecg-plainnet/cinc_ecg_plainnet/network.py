"""Plain strided convolutions: how they are built."""

from torch import Tensor, nn

from cinc_ecg.plugins import BackboneRequest, UnknownNameError

#: Name -> channels at the strides 4, 8, 16, 32.
WIDTHS = {"narrow": (8, 16, 24, 32), "wide": (24, 48, 96, 192)}
_STEM = 8


class PlainNet(nn.Module):
    """One 3x3 convolution with stride 2 per stage.

    Args:
        widths: Channels at the strides 4, 8, 16, ...
        in_channels: Channels of the picture.
        levels: How many maps to give, the coarsest ones.
    """

    def __init__(self, widths: tuple[int, ...], in_channels: int, levels: int) -> None:
        super().__init__()
        self.stem = _stage(in_channels, _STEM)
        before = (_STEM, *widths)
        self.stages = nn.ModuleList(_stage(a, b) for a, b in zip(before, widths, strict=False))
        self.levels = levels
        self.channels = widths[-levels:]
        self.strides = tuple(4 * 2**k for k in range(len(widths)))[-levels:]
        self.min_multiple = self.strides[-1]
        self.mean = (0.5,) * in_channels
        self.std = (0.25,) * in_channels

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return maps, fine to coarse, of a normalized picture (B, C, H, W)."""
        maps = []
        features = self.stem(image)
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps[-self.levels :]


def names() -> tuple[str, ...]:
    """Return what can stand after `plainnet:`."""
    return tuple(WIDTHS)


def build(request: BackboneRequest) -> PlainNet:
    """Build a network with random weights."""
    if request.name not in WIDTHS:
        raise UnknownNameError(request.name)
    return PlainNet(WIDTHS[request.name], request.in_channels, request.levels)


def _stage(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(1, after), nn.GELU())
