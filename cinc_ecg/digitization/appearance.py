"""Pen width and blur, measured where the trace runs level and where it runs upright.

A trembling trace is inked thicker than the pen where it runs level, but not in the flanks of its
QRS complexes and in calibration pulses; flanks that have run together are thicker where it runs
upright. The thinner of the two measurements is the pen's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from cinc_ecg.digitization.ink import Ink
from cinc_ecg.digitization.runs import Runs
from cinc_ecg.digitization.stroke import Pen

F64 = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

_BIN_PX = 0.125
_REACH_PX = 7
#: Runs this many times as high as level ones belong to steep strokes.
_STEEP = 4.0


@dataclass(frozen=True, slots=True)
class Sections:
    """Cuts across the stroke.

    Attributes:
        place: (n, m) distance of each pixel from the middle of the stroke, in pixels.
        cover: (n, m) darkness less backdrop.
        free: (n, m) share left free by the backdrop.
        thick: (n,) thickness at half height.
    """

    place: F64
    cover: F64
    free: F64
    thick: F64


def measure_pen(ink: Ink, runs: Runs) -> tuple[float, Pen]:
    """Measure the pen on one strip.

    Args:
        ink: The strip's ink.
        runs: Runs along the path.

    Returns:
        Half the stroke's thickness at half height (pixels; what `centre_line` needs), and the pen.
    """
    columns = np.flatnonzero(level_columns(runs))
    level = sections(ink, np.round(runs.middle[columns]).astype(np.intp), columns, upright=False)
    best = level
    half = float(np.nanmedian(level.thick)) / 2.0 if len(level.thick) else 1.3
    steep = np.flatnonzero(runs.seen & (runs.bottom - runs.top > 2.0 * _STEEP * half))
    if len(steep) >= 10:
        rows = np.round(runs.middle[steep]).astype(np.intp)
        flanks = sections(ink, rows, steep, upright=True)
        flanks = _thinnest(flanks, 0.6)
        if len(flanks.thick) >= 8 and np.median(flanks.thick) < 1.8 * half:
            best, half = flanks, float(np.median(flanks.thick)) / 2.0
    return half, fit_pen(*profile(best))


def level_columns(runs: Runs, at_least: int = 40) -> Mask:
    """Choose the columns where the stroke runs most level.

    Columns are ranked by how much either edge moves within two columns to both sides, which does
    not favour thin or thick ones.

    Args:
        runs: Edges of the stroke.
        at_least: Number of columns wanted.
    """
    play = np.zeros(len(runs.top))
    for edge in (runs.top, runs.bottom):
        near = np.stack([np.roll(edge, k) for k in range(-2, 3)])
        play += near.max(axis=0) - near.min(axis=0)  # NaN where a neighbour is missing
    play[:2] = play[-2:] = np.nan
    known = np.isfinite(play)
    if known.sum() < at_least:
        return runs.seen
    count = max(at_least, int(0.08 * known.sum()))
    limit = np.sort(play[known])[min(count, int(known.sum())) - 1]
    chosen: Mask = known & (play <= limit)
    return chosen


def sections(ink: Ink, rows: Index, columns: Index, *, upright: bool) -> Sections:
    """Cut across the stroke at given pixels: along columns, or along rows where it is upright.

    Args:
        ink: The strip's ink.
        rows, columns: Pixels on the stroke.
        upright: Whether to cut along rows.

    Returns:
        The cuts whose both edges were found.
    """
    step = np.arange(-_REACH_PX, _REACH_PX + 1)
    row = rows[:, None] + (0 if upright else step)
    column = columns[:, None] + (step if upright else 0)
    height, width = ink.darkness.shape
    good = ((row >= 0) & (row < height) & (column >= 0) & (column < width)).all(axis=1)
    row = np.broadcast_to(row, (len(rows), len(step)))[good]
    column = np.broadcast_to(column, (len(rows), len(step)))[good]
    backdrop = ink.backdrop[row, column].astype(np.float64)
    cover, free = ink.darkness[row, column] - backdrop, 1.0 - backdrop
    clear = cover / np.maximum(free, 0.3)
    start, stop = _half_height(clear)
    found = np.isfinite(start) & np.isfinite(stop)
    middle = ((start + stop) / 2.0)[found, None]
    return Sections(step - middle, cover[found], free[found], (stop - start)[found])


def _half_height(clear: F64) -> tuple[F64, F64]:
    """Return where each cut falls to half its central peak on either side; NaN if nowhere."""
    centre = clear.shape[1] // 2
    index = np.arange(len(clear))
    peak_at = centre - 1 + clear[:, centre - 1 : centre + 2].argmax(axis=1)
    limit = 0.5 * clear[index, peak_at]
    ends = []
    for sign in (-1, 1):
        edge = np.full(len(clear), np.nan)
        for away in range(1, centre):
            here, beyond = peak_at + sign * (away - 1), peak_at + sign * away
            inside = (beyond >= 0) & (beyond < clear.shape[1])
            beyond = np.clip(beyond, 0, clear.shape[1] - 1)
            high, low = clear[index, here.clip(0, clear.shape[1] - 1)], clear[index, beyond]
            hit = np.isnan(edge) & inside & (low < limit)
            share = (high - limit) / np.maximum(high - low, 1e-6)
            edge = np.where(hit, here + sign * np.clip(share, 0.0, 1.0) - centre, edge)
        ends.append(edge)
    return ends[0], ends[1]


def _thinnest(cuts: Sections, share: float) -> Sections:
    """Keep the given share of the cuts, the thinnest ones."""
    if not len(cuts.thick):
        return cuts
    keep = cuts.thick <= np.quantile(cuts.thick, share)
    return Sections(cuts.place[keep], cuts.cover[keep], cuts.free[keep], cuts.thick[keep])


def profile(cuts: Sections) -> tuple[F64, F64, F64]:
    """Average cuts into one finely binned profile: place, mean coverage, weight."""
    n_bins = round(2 * _REACH_PX / _BIN_PX)
    bins = np.floor((cuts.place + _REACH_PX) / _BIN_PX).astype(int)
    good = (bins >= 0) & (bins < n_bins) & (cuts.free > 0.3)
    weight = np.bincount(bins[good], weights=cuts.free[good] ** 2, minlength=n_bins)
    total = np.bincount(bins[good], weights=(cuts.free * cuts.cover)[good], minlength=n_bins)
    centre = np.asarray((np.arange(n_bins) + 0.5) * _BIN_PX - _REACH_PX, np.float64)
    return centre, total / np.maximum(weight, 1e-9), np.asarray(weight, np.float64)


def fit_pen(place: F64, cover: F64, weight: F64) -> Pen:
    """Fit a blurred bar to a profile: the pen's half-width, the blur and the depth.

    Args:
        place: Distance from the middle in pixels.
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
    error += 1e-3 * (depth - 1.0) ** 2
    best = np.unravel_index(error.argmin(), error.shape)
    return Pen(float(half[best]), float(blur[best]), float(depth[best]))
