"""The course of each trace through its strip: a shortest path over ink.

Moving over ink is almost free in any direction, over paper it costs. Within a column the path may
climb any height, so a QRS complex as steep as the pen allows is one connected piece of ink and not
a jump. All rows of a page are solved in one sweep over the columns; each step is a min-plus
product with |C(r) - C(r')|, C the running cost of climbing, done exactly with two cumulative
minima.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Path:
    """One trace's course.

    Attributes:
        rows: (width,) row index at which the path leaves each column.
        leap: (width,) rows of bare paper climbed on entering each column: a jump between two leads.
    """

    rows: NDArray[np.intp]
    leap: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PathCosts:
    """Weights of the path search, per pixel unless stated.

    Attributes:
        across: Cost of one column on bare paper.
        climb: Cost of one row climbed on bare paper.
        climb_ink: Cost of one row climbed on ink.
        full: Coverage from which a pixel counts as all ink.
        ends, ends_mm: Factor on `across` near the strip's ends, where a trace begins and stops.
        stray_per_mm: Cost of one column per millimetre away from the baseline.
        abroad: Cost of one column nearer to a neighbour's baseline than to the row's own.
    """

    across: float = 2.0
    climb: float = 0.15
    climb_ink: float = 0.002
    full: float = 0.6
    stray_per_mm: float = 0.004
    abroad: float = 0.3
    ends: float = 0.1
    ends_mm: float = 6.0


def trace_paths(
    cover: Sequence[Real],
    baseline_px: Sequence[float],
    px_per_mm: float,
    limits: Sequence[tuple[int, int]] | None = None,
    costs: PathCosts = PathCosts(),
) -> list[Path]:
    """Find one path per strip.

    Args:
        cover: Per strip (height, width) trace coverage, 0..1.
        baseline_px: Row index about which each trace runs.
        px_per_mm: Scale of the strips.
        limits: Per strip the rows of the neighbours' baselines above and below, if known.
        costs: Weights.

    Returns:
        One path per strip.
    """
    height = max(c.shape[0] for c in cover)
    width = max(c.shape[1] for c in cover)
    paper = np.ones((width, len(cover), height), np.float32)
    stray = np.zeros((len(cover), height), np.float32)
    for k, (image, base) in enumerate(zip(cover, baseline_px, strict=True)):
        rows, columns = image.shape
        bare = np.clip(1.0 - image.T / np.float32(costs.full), 0.0, 1.0)
        paper[:columns, k, :rows] = bare * bare
        stray[k] = costs.stray_per_mm * np.abs(np.arange(height) - base) / px_per_mm
        if limits is not None:
            row = np.arange(height)
            above, below = ((base + limit) / 2.0 for limit in limits[k])
            stray[k] += np.where((row < above) | (row > below), costs.abroad, 0.0)
        stray[k, rows:] = 1e3
    level = np.cumsum(costs.climb * paper + np.float32(costs.climb_ink), axis=2, dtype=np.float32)
    best = np.empty_like(paper)
    across = np.full(width, costs.across)
    near = min(round(costs.ends_mm * px_per_mm), width // 4)
    across[:near] *= costs.ends
    across[width - near :] *= costs.ends
    best[0] = across[0] * paper[0] + stray
    for c in range(1, width):
        climb, previous = level[c], best[c - 1]
        up = np.minimum.accumulate(previous - climb, axis=1) + climb
        down = np.minimum.accumulate((previous + climb)[:, ::-1], axis=1)[:, ::-1] - climb
        np.minimum(up, down, out=up)
        up += across[c].astype(np.float32) * paper[c]
        up += stray
        if c % 64 == 0:
            up -= up.min(axis=1, keepdims=True)
        best[c] = up
    rows = _backtrack(best, level)
    leap = _leaps(rows, level) / costs.climb
    return [Path(rows[: c.shape[1], k], leap[: c.shape[1], k]) for k, c in enumerate(cover)]


def _backtrack(best: Real, level: Real) -> NDArray[np.intp]:
    """Follow the minima back; the predecessor of r is argmin over r' of best + |C(r) - C(r')|."""
    width, n_strips, _ = best.shape
    index = np.arange(n_strips)
    exits = np.empty((width, n_strips), np.intp)
    exits[-1] = best[-1].argmin(axis=1)
    for c in range(width - 1, 0, -1):
        here = level[c][index, exits[c]][:, None]
        exits[c - 1] = (best[c - 1] + np.abs(level[c] - here)).argmin(axis=1)
    return exits


def _leaps(rows: NDArray[np.intp], level: Real) -> NDArray[np.float64]:
    """Return the cost of the climb on entering each column."""
    before = np.concatenate([rows[:1], rows[:-1]])
    column, strip = np.indices(rows.shape)
    climb: NDArray[np.float64] = np.abs(level[column, strip, rows] - level[column, strip, before])
    return climb.astype(np.float64)
