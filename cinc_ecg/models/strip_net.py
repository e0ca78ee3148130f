"""A small U-Net that tells which ink of a rectified row is the row's own trace.

Per pixel: the probability of the row's own ink. Per node (two per strip column): a distribution
over rows whose mean is the line's height, whether its ink can be seen, and a standard error. The
network sees colour and two coordinates, the distance to the row's level and where a pixel lies
between the levels of the neighbouring rows: without them nothing says whose trace is whose where
rows overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cinc_ecg.models.unet import UNet

#: Nodes per strip column, as in the classical reader.
NODES_PER_COLUMN = 2
#: Width of the vertical coordinate, and its greatest value.
_REACH_MM, _MOST = 10.0, 3.0
#: Brightness of paper after light correction: the input's zero.
_PAPER, _SPREAD = 0.92, 0.25
_COLOURS, _COORDINATES = 3, 2


@dataclass(frozen=True, slots=True)
class StripNetConfig:
    """Size of the network.

    Attributes:
        cell: Side in pixels of the squares that the first level takes as one position.
        channels: Features per level; each has half the resolution of the one before.
        tail: Features of the layer that judges visibility and error per column.
    """

    cell: int = 4
    channels: tuple[int, ...] = (48, 64, 64, 96)
    tail: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))


@dataclass(frozen=True, slots=True)
class StripReading:
    """What the network says about strips.

    Attributes:
        ink_logit: (B, H, W) own ink per pixel.
        heat_logit: (B, H, N) per node, softmax over rows gives the line's height; N = 2 W - 1.
        visible_logit: (B, N).
        log_sigma: (B, N) natural logarithm of the line's error in pixels.
    """

    ink_logit: Tensor
    heat_logit: Tensor
    visible_logit: Tensor
    log_sigma: Tensor

    def line_px(self) -> Tensor:
        """Return the expected row per node, (B, N)."""
        row = torch.arange(self.heat_logit.shape[1], device=self.heat_logit.device)
        weight = self.heat_logit.float().softmax(1)
        return torch.einsum("bhn,h->bn", weight, row.float())


class StripNet(UNet):
    """U-Net over one row's strip; see the module's text."""

    def __init__(self, config: StripNetConfig = StripNetConfig()) -> None:
        widths, cell = config.channels, config.cell
        super().__init__(cell * cell * _COLOURS + _COORDINATES, widths)
        self.config = config
        self.ink = nn.Conv2d(widths[0], cell * cell, 1)
        self.heat = nn.Conv2d(widths[0], cell * cell * NODES_PER_COLUMN, 1)
        self.tail = nn.Sequential(
            nn.Conv1d(widths[0] + 1, config.tail, 9, padding=4),
            nn.ReLU(),
            nn.Conv1d(config.tail, config.tail, 9, padding=4),
            nn.ReLU(),
            nn.Conv1d(config.tail, 2 * cell * NODES_PER_COLUMN, 1),
        )

    @property
    def multiple(self) -> int:
        """Height and width are padded to multiples of this."""
        return int(self.config.cell * 2 ** (len(self.config.channels) - 1))

    def forward(
        self,
        pixels: Tensor,
        baseline_px: Tensor,
        above_px: Tensor,
        below_px: Tensor,
        px_per_mm: Tensor,
    ) -> StripReading:
        """Read strips.

        Args:
            pixels: (B, 3, H, W) RGB, 0..1 or uint8.
            baseline_px, above_px, below_px: (B,) levels of the row and of its neighbours.
            px_per_mm: (B,) scale.
        """
        height, width = pixels.shape[-2:]
        cell = self.config.cell
        levels = (baseline_px, above_px, below_px)
        features, _ = self.features(self._cells(pixels, *levels, px_per_mm))
        ink = F.pixel_shuffle(self.ink(features), cell)[:, 0, :height, :width]
        heat = _spread(self.heat(features), cell).float()
        n = NODES_PER_COLUMN * (width - 1) + 1
        padding = torch.arange(heat.shape[1], device=heat.device) >= height
        heat = heat.masked_fill(padding[None, :, None], -1e4)
        seen, sigma = self._judge(features, heat)
        return StripReading(ink, heat[:, :height, :n], seen[:, :n], sigma[:, :n])

    def _cells(self, pixels: Tensor, *levels_and_scale: Tensor) -> Tensor:
        """Return the first level's input: colours and coordinates of every square of pixels.

        Bytes are moved before they become numbers: that is a quarter of the memory.
        """
        cell, multiple = self.config.cell, self.multiple
        height = pixels.shape[-2]
        x = _lengthened(_lengthened(pixels, multiple, 2), multiple, 3)
        batch, _, rows, columns = x.shape
        size = (batch, _COLOURS, rows // cell, cell, columns // cell, cell)
        squares = x.reshape(size).permute(0, 2, 4, 1, 3, 5)
        n_colours = _COLOURS * cell * cell
        shape = (*squares.shape[:3], n_colours + _COORDINATES)
        cells = torch.empty(shape, device=x.device, dtype=torch.float32)
        colours = cells[..., :n_colours]
        colours.unflatten(-1, squares.shape[3:]).copy_(squares)
        if pixels.dtype == torch.uint8:
            colours.div_(255.0)
        colours.sub_(_PAPER).div_(_SPREAD)
        # Nothing changes along a row, so a square's width of columns is enough.
        narrow = torch.empty((batch, 1, height, cell), device=x.device, dtype=torch.float32)
        places = _lengthened(coordinates(narrow, *levels_and_scale), multiple, 2)
        cells[..., n_colours:] = F.avg_pool2d(places, cell).permute(0, 2, 3, 1)
        return cells.permute(0, 3, 1, 2)

    def _judge(self, features: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
        """Return visibility logit and log error per node from the features along the line."""
        cell, columns = self.config.cell, self.config.cell * NODES_PER_COLUMN
        weight = F.avg_pool2d(heat.softmax(1)[:, None], (cell, columns))[:, 0] * cell
        along = torch.einsum("bchw,bhw->bcw", features.float(), weight)
        strength = F.avg_pool1d(heat.logsumexp(1)[:, None], columns)
        out = self.tail(torch.cat([along, strength * 0.1], 1))
        batch, _, width = out.shape
        out = out.reshape(batch, 2, columns, width).transpose(2, 3)
        seen, sigma = out.reshape(batch, 2, -1).float().unbind(1)
        return seen, sigma.clamp(-3.0, 5.0)


def _lengthened(x: Tensor, multiple: int, axis: int) -> Tensor:
    """Repeat the last row or column of (B, C, H, W) up to a multiple of a length."""
    missing = -x.shape[axis] % multiple
    if not missing:
        return x
    last = x.narrow(axis, x.shape[axis] - 1, 1)
    size = [-1] * x.dim()
    size[axis] = missing
    return torch.cat([x, last.expand(size)], axis)


def coordinates(
    like: Tensor, baseline_px: Tensor, above_px: Tensor, below_px: Tensor, px_per_mm: Tensor
) -> Tensor:
    """Return (B, 2, H, W): height over the row's level, and place between the neighbours' levels.

    The second is 0 on the row's own level, -1 on the level above, 1 on the level below.
    """
    row = torch.arange(like.shape[-2], device=like.device, dtype=torch.float32)[None, :]
    away = row - baseline_px[:, None]
    own = (away / (_REACH_MM * px_per_mm[:, None])).clamp(-_MOST, _MOST)
    up = (baseline_px - above_px).clamp(min=1.0)[:, None]
    down = (below_px - baseline_px).clamp(min=1.0)[:, None]
    between = torch.where(away < 0, away / up, away / down).clamp(-_MOST, _MOST)
    both = torch.stack([own, between], 1)[..., None]
    return both.expand(-1, -1, -1, like.shape[-1]).to(like.dtype)


def _spread(maps: Tensor, cell: int) -> Tensor:
    """Lay (B, cell * cell * NODES, h, w) out as (B, cell * h, cell * NODES * w)."""
    batch, _, height, width = maps.shape
    columns = cell * NODES_PER_COLUMN
    maps = maps.reshape(batch, cell, columns, height, width).permute(0, 3, 1, 4, 2)
    return maps.reshape(batch, cell * height, columns * width)
