"""The body that the strip and the page network share: a plain U-Net with nearest upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def conv_block(n_in: int, n_out: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with batch normalisation and a ramp."""
    layers: Sequence[nn.Module] = (
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Features at the first level's resolution that have seen all levels.

    Args:
        n_in: Channels of the input.
        widths: Features per level; each has half the resolution of the one before.
        stem: Makes the first level out of the input; two convolutions by default.
    """

    def __init__(self, n_in: int, widths: Sequence[int], stem: nn.Module | None = None) -> None:
        super().__init__()
        self.stem = conv_block(n_in, widths[0]) if stem is None else stem
        self.down = nn.ModuleList(conv_block(a, b) for a, b in pairwise(widths))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(conv_block(a, a) for a in widths[:-1])

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of the first level and those of the deepest.

        Args:
            x: (B, n_in, h, w); sides divide by 2 per level.
        """
        levels = [self.stem(x)]
        for block in self.down:
            levels.append(block(F.max_pool2d(levels[-1], 2)))
        deepest = y = levels.pop()
        pairs = zip(reversed(self.up), reversed(self.lateral), reversed(levels), strict=True)
        for block, lateral, level in pairs:
            y = block(level + F.interpolate(lateral(y), scale_factor=2.0, mode="nearest"))
        return y, deepest
