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
    faint = np.full(len(columns), 0.8 * faintest, np.float32)
    first, last = _extent(cover, faint, start)
    start, peak = _darkest_within(cover, first, last)
    limit = 0.5 * np.minimum(peak, 1.0)
    first, last = _extent(cover, limit.astype(np.float32), start)
    seen = peak >= faintest
    top = _edge(cover, first, -1, limit, columns)
    bottom = _edge(cover, last, 1, limit, columns)
    return Runs(np.where(seen, top, np.nan), np.where(seen, bottom, np.nan), peak, seen)


def _onto_ink(cover: Real, path: Index, columns: Index) -> Index:
    """Move the path's rows onto the darkest pixel within one row."""
    near = np.clip(path[None, :] + np.array([[-1], [0], [1]]), 0, cover.shape[0] - 1)
    chosen: Index = near[cover[near, columns].argmax(axis=0), columns]
    return chosen


def _extent(cover: Real, limit: Real, start: Index) -> tuple[Index, Index]:
    """Return first and last row of the run above `limit` around `start` (itself where it is not).

    Walks up and down in all columns at once and drops the columns whose run has ended: most runs
    are a few pixels high, so this looks at a small part of the strip.
    """
    columns = np.flatnonzero(cover[start, np.arange(len(start))] > limit)
    ends = []
    for step, stop in ((-1, -1), (1, len(cover))):
        end, at = start.copy(), columns
        row = start[at] + step
        while len(at):
            inside = row != stop
            at, row = at[inside], row[inside]
            inked = cover[row, at] > limit[at]
            at, row = at[inked], row[inked]
            end[at] = row
            row = row + step
        ends.append(end.astype(np.intp))
    return ends[0], ends[1]


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
