"""Pen width and blur, measured where the trace runs level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from cinc_ecg.digitization.ink import Ink
from cinc_ecg.digitization.stroke import Pen

F64 = NDArray[np.float64]

_BIN_PX = 0.125
_REACH_PX = 7.0


def level_profile(ink: Ink, line: F64, seen: NDArray[np.bool_]) -> tuple[F64, F64, F64]:
    """Average the darkness across the trace over the columns where it runs level.

    Args:
        ink: The strip's ink.
        line: (width,) centre line in rows.
        seen: (width,) columns to use.

    Returns:
        Distance from the centre line, mean coverage and weight of each bin.
    """
    tilt = np.abs(np.gradient(line))
    level = seen & np.isfinite(tilt) & (tilt < 0.2)
    level &= np.roll(level, 1) & np.roll(level, -1)
    columns = np.flatnonzero(level)
    reach = int(_REACH_PX) + 1
    rows = np.round(line[columns]).astype(int)[:, None] + np.arange(-reach, reach + 1)
    inside = (rows >= 0) & (rows < ink.darkness.shape[0])
    rows = np.clip(rows, 0, ink.darkness.shape[0] - 1)
    picked = columns[:, None]
    free = 1.0 - ink.backdrop[rows, picked]
    cover = ink.darkness[rows, picked] - ink.backdrop[rows, picked]
    place = rows - line[columns][:, None]
    n_bins = int(2 * _REACH_PX / _BIN_PX)
    bins = np.floor((place + _REACH_PX) / _BIN_PX).astype(int)
    good = inside & (bins >= 0) & (bins < n_bins) & (free > 0.3)
    weight = np.bincount(bins[good], weights=free[good] ** 2, minlength=n_bins)
    total = np.bincount(bins[good], weights=(free * cover)[good], minlength=n_bins)
    centre = (np.arange(n_bins) + 0.5) * _BIN_PX - _REACH_PX
    return centre, total / np.maximum(weight, 1e-9), weight


def fit_pen(place: F64, cover: F64, weight: F64) -> Pen:
    """Fit a blurred bar to a profile: the pen's half-width, the blur and the depth.

    Args:
        place: Distance from the centre line in pixels.
        cover: Mean coverage there.
        weight: Weight of each value.

    Returns:
        The pen. Where blur hides the pen's width, the depth is taken near 1.
    """
    if weight.sum() < 50:
        return Pen(1.3, 0.6, 1.0)
    half, blur = np.meshgrid(np.arange(0.4, 4.01, 0.1), np.arange(0.3, 3.01, 0.1), indexing="ij")
    near = np.abs(place) < 5.0
    place, cover, weight = place[near], cover[near], weight[near] / weight[near].sum()
    shape = ndtr((place + half[..., None]) / blur[..., None])
    shape -= ndtr((place - half[..., None]) / blur[..., None])
    depth = (weight * shape * cover).sum(-1) / np.maximum((weight * shape**2).sum(-1), 1e-9)
    depth = np.clip(depth, 0.3, 1.6)
    error = (weight * (depth[..., None] * shape - cover) ** 2).sum(-1)
    error += 2e-4 * (depth - 1.0) ** 2
    best = np.unravel_index(error.argmin(), error.shape)
    return Pen(float(half[best]), float(blur[best]), float(depth[best]))
