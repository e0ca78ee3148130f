"""Blocks between a backbone and its heads: normalised convolutions, coordinates, the pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cinc_ecg.errors import ConfigError


def groups(channels: int) -> int:
    """Return the largest of 8, 4, 2, 1 groups that divides the channels."""
    return next(n for n in (8, 4, 2, 1) if channels % n == 0)


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, group normalisation and GELU.

    Group normalisation rather than batch normalisation: pages are large, batches small.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(groups(outputs), outputs),
        nn.GELU(),
    )


def conv_block_1d(inputs: int, outputs: int, kernel: int = 5) -> nn.Sequential:
    """Return the same along time."""
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.GroupNorm(groups(outputs), outputs),
        nn.GELU(),
    )


def add_coordinates(x: Tensor) -> Tensor:
    """Append x and y in -1..1 as two channels (CoordConv: Liu et al., arXiv 1807.03247).

    A convolution sees the same anywhere; which of several equal-looking rows a pixel belongs to is
    a matter of where it stands.
    """
    batch, _, height, width = x.shape
    down = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
    across = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
    return torch.cat(
        [
            x,
            across[None, None, None, :].expand(batch, 1, height, width),
            down[None, None, :, None].expand(batch, 1, height, width),
        ],
        dim=1,
    )


class CoordPyramid(nn.Module):
    """Merge feature maps from coarse to fine (Lin et al., arXiv 1612.03144), with coordinates.

    Args:
        channels: Of the maps, fine to coarse.
        width: Channels of the result, which has the size of the finest map.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(n + 2, width, 1) for n in channels)
        self.smooth = nn.ModuleList(conv_block(width, width) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, width, H, W) at the finest map's size."""
        merged: Tensor | None = None
        for k in range(len(self.lateral) - 1, -1, -1):
            level = self.lateral[k](add_coordinates(maps[k]))
            if merged is not None:
                level = level + resize(merged, level.shape[-2], level.shape[-1])
            merged = self.smooth[k](level)
        if merged is None:
            raise ValueError("a pyramid needs at least one feature map")
        return merged


class Shallow(nn.Module):
    """Look at the picture itself, whose edges a backbone's strides have lost.

    Args:
        width: Channels of the result.
        cell: (y, x) picture pixels per pixel of the result.
    """

    def __init__(self, width: int, cell: tuple[int, int]) -> None:
        super().__init__()
        kernel = cell[0] + 2, cell[1] + 2
        self.look = nn.Sequential(
            nn.Conv2d(3, width, kernel, cell, padding=1, bias=False),
            nn.GroupNorm(groups(width), width),
            nn.GELU(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, width, H / cell y, W / cell x) of a picture with sides that divide evenly."""
        features: Tensor = self.look(image)
        return features


class FineFeatures(nn.Module):
    """Bring a pyramid to the resolution of the heads, joined with a shallow look.

    Args:
        width: Channels in and out.
        cell: (y, x) picture pixels per pixel of the result.
    """

    def __init__(self, width: int, cell: tuple[int, int]) -> None:
        super().__init__()
        self.cell = cell
        shallow = max(8, width // 2)
        self.shallow = Shallow(shallow, cell)
        self.join = conv_block(width + shallow, width)
        self.refine = conv_block(width, width)

    def forward(self, features: Tensor, image: Tensor, keep: tuple[int, int]) -> Tensor:
        """Return (B, width, H', W').

        Args:
            features: (B, width, h, w).
            image: (B, 3, H, W) normalised picture, its sides multiples of the cell.
            keep: (height, width) px of the picture before it was padded.
        """
        shallow = self.shallow(image)
        around = resize(features, shallow.shape[-2], shallow.shape[-1])
        joined: Tensor = self.refine(self.join(torch.cat([around, shallow], dim=1)))
        return joined[..., : -(-keep[0] // self.cell[0]), : -(-keep[1] // self.cell[1])]


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Interpolate bilinearly to a size, cell centres as they lie."""
    if x.shape[-2:] == (height, width):
        return x
    return functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)


def padded_size(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return (height, width) rounded up to a multiple."""
    height, width = size
    return height + -height % multiple, width + -width % multiple


def pad_to(image: Tensor, size: tuple[int, int], value: float = 1.0) -> Tensor:
    """Continue a picture to the right and below with white paper; pixel coordinates stay.

    Args:
        image: (B, C, height, width).
        size: (height, width) wanted, no smaller than the picture's.
        value: Of the paper.

    Raises:
        ConfigError: the picture is larger (model_config).
    """
    below, right = size[0] - image.shape[-2], size[1] - image.shape[-1]
    if below < 0 or right < 0:
        raise ConfigError(
            f"a picture of {image.shape[-2]}x{image.shape[-1]} px is larger than the "
            f"{size[0]}x{size[1]} px that the backbone was built for; shrink it, or build with "
            "a larger model.image_size",
            code="model_config",
        )
    return functional.pad(image, (0, right, 0, below), value=value) if right or below else image
