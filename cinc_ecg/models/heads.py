"""Heads shared by all views and backbones: diagnosis, and three ways to a signal.

- `RowHeat`: heat maps, one per trace row, read column by column (soft-argmax). The default: an
  error is bounded by the picture, the map shows what the network saw, and layout, paper speed and
  gain stay outside the weights.
- `WaveDecoder`: transposed convolutions along time. No geometry needed, no accuracy beyond the
  feature map's.
- `FlatWaves`: flatten and one linear layer, the baseline that others publish. Its
  C * H * W * outputs * samples weights are billions for ordinary pages: refused above a limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cinc_ecg.errors import ConfigError
from cinc_ecg.models.neck import add_coordinates, conv_block_1d


class RowReading(NamedTuple):
    """What a heat head reads: heat logits (B, R, H', W'), y in px and visibility (B, R, W')."""

    heat: Tensor
    y_px: Tensor
    visible_logit: Tensor


class DxHead(nn.Module):
    """Pool features over space or time (mean and maximum) and map them to class logits.

    Args:
        channels: Of the features.
        n_classes: Number of logits.
        hidden: Width of the hidden layer; 0 = none.
        dropout: Before each linear layer.
    """

    def __init__(self, channels: int, n_classes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.LayerNorm(2 * channels), nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(2 * channels, hidden), nn.GELU(), nn.Dropout(dropout)]
        layers.append(nn.Linear(hidden or 2 * channels, n_classes))
        self.mlp = nn.Sequential(*layers)

    def forward(self, features: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return (B, classes) logits.

        Args:
            features: (B, C, ...) any number of places.
            weight: (B, ...) 1 where a place counts, 0 where it is padding; None = everywhere.
        """
        places = features.flatten(2)
        if weight is None:
            pooled = torch.cat([places.mean(2), places.amax(2)], dim=1)
        else:
            keep = weight.flatten(1)[:, None].to(places.dtype)
            mean = (places * keep).sum(2) / keep.sum(2).clamp(min=1)
            highest = places.masked_fill(keep == 0, torch.finfo(places.dtype).min).amax(2)
            highest = torch.where(keep.sum(2) > 0, highest, torch.zeros_like(highest))
            pooled = torch.cat([mean, highest], dim=1)
        logits: Tensor = self.mlp(pooled)
        return logits


class RowHeat(nn.Module):
    """Row heat maps and their column-wise expectation (soft-argmax).

    Per column x and row r, with p the softmax of the heat over y: y_px = sum_y p * y (Nibali et
    al., arXiv 1801.07372). Visibility is judged from the features where the trace was found,
    sum_y p * f, and the heat's overall level.

    Out of training p is cut off beyond `local_px` of its highest cell: a second, unlikely place
    elsewhere in the column would pull the mean to where neither is.

    Args:
        width: Channels of the incoming features.
        n_rows: Heat maps.
        cell_y: Height of a heat cell in picture pixels.
        local_px: Reach of the expectation out of training; 0 = the whole column.
    """

    def __init__(self, width: int, n_rows: int, cell_y: int, *, local_px: float = 0.0) -> None:
        super().__init__()
        self.cell_y, self.local_px = cell_y, local_px
        self.heat = nn.Conv2d(width, n_rows, 1)
        self.visible = nn.Sequential(nn.Linear(width + 1, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, features: Tensor) -> RowReading:
        """Read the rows of (B, width, H', W') features."""
        heat = self.heat(features)
        share = torch.softmax(heat.float(), dim=2)
        if self.local_px > 0 and not self.training:
            share = near_peak(share, self.local_px / self.cell_y)
        y_px = soft_argmax(share, self.cell_y)
        seen = torch.einsum("brhw,bchw->brwc", share.to(features.dtype), features)
        level = torch.logsumexp(heat.float(), dim=2) - math.log(heat.shape[2])
        visible = self.visible(torch.cat([seen, level[..., None].to(seen.dtype)], dim=-1))
        return RowReading(heat, y_px, visible[..., 0])


def soft_argmax(share: Tensor, stride: int) -> Tensor:
    """Return the expected y in picture pixels of (B, R, H', W') shares that sum to 1 over H'."""
    cells = torch.arange(share.shape[2], device=share.device, dtype=share.dtype)
    return torch.einsum("brhw,h->brw", share, (cells + 0.5) * stride - 0.5)


def near_peak(share: Tensor, reach: float) -> Tensor:
    """Keep what lies within `reach` cells of a column's highest share, summing to 1 again."""
    cells = torch.arange(share.shape[2], device=share.device)[:, None]
    kept = share * ((cells - share.argmax(2, keepdim=True)).abs() <= reach)
    return kept / kept.sum(2, keepdim=True)


class WaveDecoder(nn.Module):
    """Transposed convolutions along time with optional skips, ending at any length.

    Args:
        inputs: Channels of the coarsest features (B, inputs, n).
        width: Channels inside.
        outputs: Output channels.
        n_samples: Output length.
        start: Length the features are brought to before the first doubling.
        skips: (channels, length) of features that are added, each after the first doubling that
            reaches its length.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        n_samples: int,
        *,
        start: int = 40,
        skips: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        self.n_samples, self.start = n_samples, min(start, n_samples)
        doublings = max(0, math.ceil(math.log2(n_samples / self.start)))
        self.entry = nn.Conv1d(inputs, width, 1)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(width, width, 4, 2, 1), conv_block_1d(width, width))
            for _ in range(doublings)
        )
        self.skips = nn.ModuleList(nn.Conv1d(channels, width, 1) for channels, _ in skips)
        lengths = [self.start * 2 ** (k + 1) for k in range(doublings)]
        #: Per skip the doubling it is added after
        self.places = tuple(
            next((k for k, reached in enumerate(lengths) if reached >= length), doublings - 1)
            for _, length in skips
        )
        self.exit = nn.Conv1d(width, outputs, 5, padding=2)

    def forward(self, features: Tensor, skips: Sequence[Tensor] = ()) -> Tensor:
        """Return (B, outputs, n_samples)."""
        x = stretch(self.entry(features), self.start)
        for k, block in enumerate(self.up):
            step = block(x)
            for place, skip, told in zip(self.places, self.skips, skips, strict=True):
                if place == k:
                    step = step + stretch(skip(told), step.shape[-1])
            # residual: a doubling refines what came before
            x = step + stretch(x, step.shape[-1])
        waves: Tensor = self.exit(stretch(x, self.n_samples))
        return waves


def stretch(x: Tensor, length: int) -> Tensor:
    """Interpolate (B, C, n) linearly to a length."""
    if x.shape[-1] == length:
        return x
    return functional.interpolate(x, size=length, mode="linear", align_corners=False)


class ColumnPool(nn.Module):
    """Reduce a feature map to one feature vector per column, looking where the ink is.

    Each look is a softmax over y and returns the features it settles on and the expected y.
    Averaging over y would lose exactly what a trace is: a height. Looks start about the places
    where traces are expected, evenly spaced, and learn their centre and reach, because neighbours'
    strokes stand in the same columns. Several looks per trace, because a random one may see ink or
    paper.

    Args:
        channels: Of the map (B, channels, h, w).
        width: Channels per look.
        n_traces: How many traces lie one below the other.
        n_looks: Looks per trace.
    """

    def __init__(self, channels: int, width: int, n_traces: int = 1, n_looks: int = 4) -> None:
        super().__init__()
        looks = n_traces * n_looks
        self.outputs = looks * (width + 1)
        self.features = nn.Conv2d(channels + 2, width, 1)
        self.score = nn.Conv2d(channels + 2, looks, 1)
        centres = (2 * torch.arange(n_traces) + 1) / n_traces - 1
        self.centre = nn.Parameter(centres.repeat_interleave(n_looks))
        self.narrowness = nn.Parameter(torch.full((looks,), 8.0 * n_traces**2))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, n_traces * n_looks * (width + 1), w)."""
        placed = add_coordinates(features)
        y = placed[:, -1:]
        away = (y - self.centre[:, None, None]).square() * self.narrowness[:, None, None]
        share = torch.softmax(self.score(placed) - away, dim=2)
        values = torch.cat([functional.gelu(self.features(placed)), y], dim=1)
        return torch.einsum("brhw,bchw->brcw", share, values).flatten(1, 2)


class PooledWaves(nn.Module):
    """The 1-D decoder on a page's feature map: looks per row, columns become time.

    Args:
        width: Channels of the feature map (B, width, h, w); the decoder has twice as many.
        outputs, n_samples: Output channels and length.
        n_rows: Trace rows.
        start: Columns of the feature map.
    """

    def __init__(
        self, width: int, outputs: int, n_samples: int, *, n_rows: int, start: int
    ) -> None:
        super().__init__()
        self.pool = ColumnPool(width, width, n_rows, n_looks=2)
        self.decoder = WaveDecoder(self.pool.outputs, 2 * width, outputs, n_samples, start=start)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, outputs, n_samples)."""
        waves: Tensor = self.decoder(self.pool(features))
        return waves


class FlatWaves(nn.Module):
    """Flatten and fully connect: the guarded baseline.

    Args:
        shape: (C, H, W) of the feature map.
        outputs, n_samples: Output channels and length.
        hidden: Width of a bottleneck; 0 = none.
        max_params: Refused above.

    Raises:
        ConfigError: more than `max_params` parameters (head_too_large).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        n_samples: int,
        *,
        hidden: int = 0,
        max_params: int,
    ) -> None:
        super().__init__()
        self.outputs, self.n_samples = outputs, n_samples
        guard_flat(shape, outputs, n_samples, hidden=hidden, max_params=max_params)
        flat = math.prod(shape)
        layers: list[nn.Module] = [nn.Flatten()]
        if hidden:
            layers += [nn.Linear(flat, hidden), nn.GELU()]
        layers.append(nn.Linear(hidden or flat, outputs * n_samples))
        self.fc = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, outputs, n_samples)."""
        waves: Tensor = self.fc(features).unflatten(1, (self.outputs, self.n_samples))
        return waves


def guard_flat(
    shape: tuple[int, int, int], outputs: int, n_samples: int, *, hidden: int, max_params: int
) -> int:
    """Return a flat head's number of parameters, or refuse it before a byte is allocated.

    Raises:
        ConfigError: more than `max_params` (head_too_large).
    """
    flat, waves = math.prod(shape), outputs * n_samples
    if hidden:
        formula = "(C*H*W + 1)*hidden + (hidden + 1)*outputs*samples"
        count = (flat + 1) * hidden + (hidden + 1) * waves
    else:
        formula, count = "(C*H*W + 1)*outputs*samples", (flat + 1) * waves
    if count > max_params:
        c, h, w = shape
        raise ConfigError(
            f"model.head.kind=fc would have {formula} = {count:,} parameters "
            f"(C={c}, H={h}, W={w}, outputs={outputs}, samples={n_samples}, hidden={hidden}; "
            f"{16 * count / 2**30:.1f} GiB to train with AdamW), more than "
            f"model.head.max_head_params={max_params:,}; use head.kind=soft_argmax or deconv",
            code="head_too_large",
        )
    return count
