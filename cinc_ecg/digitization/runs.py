"""The run of ink under a path, column by column, with its edges to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.stroke import window

Real = NDArray[np.floating]
F64 = NDArray[np.float64]
Index = NDArray[np.intp]

#: A column whose ink is fainter than this share of full coverage counts as empty.
_FAINTEST = 0.3


@dataclass(frozen=True, slots=True)
class Runs:
    """One run of ink per column; rows in strip pixels, y down.

    Attributes:
        top, bottom: (width,) upper and lower edge where the ink falls to half of the run's own
            peak.
        peak: (width,) greatest coverage inside the run.
        seen: (width,) True where the path lies on ink; elsewhere the edges are NaN.
    """

    top: F64
    bottom: F64
    peak: F64
    seen: NDArray[np.bool_]

    @property
    def middle(self) -> F64:
        """Return the middle between the edges."""
        return (self.top + self.bottom) / 2.0


def runs_on_path(cover: Real, path: Index, faintest: float = _FAINTEST) -> Runs:
    """Measure the run of ink through which the path passes in each column.

    Half of the run's own peak, not of full ink, is the edge: blur lowers the peak of a thin stroke
    and widens its skirt, and the half-height point moves least.

    Args:
        cover: (height, width) trace coverage.
        path: (width,) row of the path.
        faintest: Coverage below which a column is empty.

    Returns:
        The runs.
    """
    columns = np.arange(cover.shape[1])
    start = _onto_ink(cover, path, columns)
    first, last = _extent(cover > np.float32(0.8 * faintest), start)
    start, peak = _darkest_within(cover, first, last)
    limit = 0.5 * np.minimum(peak, 1.0)
    first, last = _extent(cover > limit[None, :].astype(np.float32), start)
    seen = peak >= faintest
    top = _edge(cover, first, -1, limit, columns)
    bottom = _edge(cover, last, 1, limit, columns)
    return Runs(np.where(seen, top, np.nan), np.where(seen, bottom, np.nan), peak, seen)


def _onto_ink(cover: Real, path: Index, columns: Index) -> Index:
    """Move the path's rows onto the darkest pixel within one row."""
    near = np.clip(path[None, :] + np.array([[-1], [0], [1]]), 0, cover.shape[0] - 1)
    chosen: Index = near[cover[near, columns].argmax(axis=0), columns]
    return chosen


def _extent(mask: NDArray[np.bool_], start: Index) -> tuple[Index, Index]:
    """Return first and last row of the run of True around `start` (itself where it is False)."""
    height, width = mask.shape
    rows = np.arange(height, dtype=np.int16)[:, None]
    columns = np.arange(width)
    last_gap = np.maximum.accumulate(np.where(mask, np.int16(-1), rows), axis=0)
    next_gap = np.minimum.accumulate(np.where(mask, np.int16(height), rows)[::-1], axis=0)[::-1]
    on = mask[start, columns]
    first = np.where(on, last_gap[start, columns] + 1, start)
    last = np.where(on, next_gap[start, columns] - 1, start)
    return first.astype(np.intp), last.astype(np.intp)


def _darkest_within(cover: Real, first: Index, last: Index) -> tuple[Index, F64]:
    """Return row and coverage of the darkest pixel of each column, first to last row."""
    pixels = window(first, last)
    values = cover[pixels.row, pixels.owner].astype(np.float64)
    peak: F64 = np.maximum.reduceat(values, pixels.start)
    hit = np.flatnonzero(values == peak[pixels.owner])
    darkest = np.empty(len(first), np.intp)
    darkest[pixels.owner[hit]] = pixels.row[hit]
    return darkest, peak


def _edge(cover: Real, row: Index, step: int, limit: F64, columns: Index) -> F64:
    """Return where coverage crosses `limit` between a run's end row and the next (linear)."""
    beyond = np.clip(row + step, 0, cover.shape[0] - 1)
    inside, outside = (
        cover[row, columns].astype(np.float64),
        cover[beyond, columns].astype(np.float64),
    )
    share = (inside - limit) / np.maximum(inside - outside, 1e-6)
    edge: F64 = row + step * np.clip(share, 0.0, 1.0)
    return edge
