"""Where a row's line is cut: separator ticks between leads, and jumps from one lead to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.path import Path
from cinc_ecg.digitization.runs import Runs

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: A tick is at least this high, and stands out this far above and below the trace beside it.
_TICK_MM, _STAND_OUT_MM = 1.5, 0.4
#: A climb over this much bare paper is a jump to another lead.
_LEAP_MM = 0.8


@dataclass(frozen=True, slots=True)
class Cuts:
    """Columns to leave out and where the line is cut.

    Attributes:
        hidden: (width,) True where the trace cannot be told from a tick or from the other lead's end.
        at: Columns (fractional) of the cuts.
    """

    hidden: Mask
    at: tuple[float, ...]


def find_cuts(
    cover: F32, path: Path, runs: Runs, half: float, blur: float, px_per_mm: float
) -> Cuts:
    """Find ticks and jumps along a path.

    A tick is a run much higher than the pen in a group of columns no wider than a pen stroke, that
    stands out on both sides of the trace and is upright: the upper and the lower half of it lie
    over one another. A QRS complex fails one of these: its flanks are apart or it is one-sided.

    Args:
        cover: (height, width) trace coverage.
        path: The row's path.
        runs: The runs on it.
        half, blur: Pen and blur in pixels.
        px_per_mm: Scale.
    """
    width = len(path.rows)
    hidden = np.zeros(width, bool)
    cuts: list[float] = []
    widest = 2.0 * half + 3.0 * blur + 2.0
    tall = runs.seen & (runs.bottom - runs.top > _TICK_MM * px_per_mm)
    for first, last in _groups(tall):
        if last - first + 1 <= widest and _is_tick(cover, runs, first, last, half, px_per_mm):
            pad = int(np.ceil(blur))
            hidden[max(0, first - pad) : last + pad + 1] = True
            cuts.append(_centre(cover, runs, first, last))
    reach = int(np.ceil(half + blur))
    for column in np.flatnonzero(path.leap > _LEAP_MM * px_per_mm):
        if not hidden[max(0, column - 3) : column + 4].any():
            hidden[max(0, column - reach) : column + reach] = True
            cuts.append(column - 0.5)
    return Cuts(hidden, tuple(sorted(cuts)))


def _groups(mask: Mask) -> list[tuple[int, int]]:
    """Return first and last index of every run of True."""
    step = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1, strict=True))


def _is_tick(cover: F32, runs: Runs, first: int, last: int, half: float, px_per_mm: float) -> bool:
    """Return whether a narrow group of tall runs stands out on both sides and is upright."""
    width = len(runs.top)
    left, right = first - 2, last + 2
    if left < 0 or right >= width:
        return False
    top, bottom = (
        float(np.min(runs.top[first : last + 1])),
        float(np.max(runs.bottom[first : last + 1])),
    )
    beside = [
        (runs.top[c], runs.bottom[c])
        for c in (left - 1, left, right, right + 1)
        if 0 <= c < width and runs.seen[c]
    ]
    if not beside:
        return False
    margin = _STAND_OUT_MM * px_per_mm
    if any(t < top + margin or b > bottom - margin for t, b in beside):
        return False
    height = bottom - top
    upper = _balance(cover, first, last, top, top + 0.3 * height)
    lower = _balance(cover, first, last, bottom - 0.3 * height, bottom)
    return abs(upper - lower) < 0.6


def _balance(cover: F32, first: int, last: int, start: float, stop: float) -> float:
    """Return the mean column of the ink between two rows, columns first - 2 .. last + 2."""
    rows = slice(max(0, round(start)), max(round(start) + 1, round(stop)))
    columns = np.arange(max(0, first - 2), min(cover.shape[1], last + 3))
    ink = np.clip(cover[rows, columns[0] : columns[-1] + 1], 0.0, 1.0).sum(axis=0)
    return float((ink * columns).sum() / max(float(ink.sum()), 1e-6))


def _centre(cover: F32, runs: Runs, first: int, last: int) -> float:
    """Return the tick's column."""
    top, bottom = np.min(runs.top[first : last + 1]), np.max(runs.bottom[first : last + 1])
    return _balance(cover, first, last, float(top), float(bottom))
