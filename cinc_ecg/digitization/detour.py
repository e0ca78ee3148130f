"""Bridges: a path that crosses the mouth of a QRS complex on a stroke of text, put right.

A lead name printed under the trace can join the two flanks of a deep S wave, and the shortest path
then takes the letter and leaves the wave out. Such a bridge is a narrow turn of the path with ink
beyond it; where that ink is one connected piece from flank to flank, the path goes there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from cinc_ecg.digitization.path import Path

Real = NDArray[np.floating]
Index = NDArray[np.intp]

#: Turns at least this deep and at most this wide are looked at.
_DEPTH_MM, _WIDTH_MM = 1.0, 2.0
#: The way round must reach this much farther out than the bridge did.
_FARTHER_MM = 0.8
_INKED = 0.5


def take_detours(cover: Real, path: Path, px_per_mm: float, limits: tuple[int, int]) -> Path:
    """Replace bridges by the way round.

    Args:
        cover: (height, width) trace coverage.
        path: The row's path.
        px_per_mm: Scale.
        limits: First and last row the path may reach: the neighbours' baselines.

    Returns:
        The path, changed where a way round was found.
    """
    rows = path.rows.copy()
    widest = 2.0 * _WIDTH_MM * px_per_mm
    for sign in (1, -1):
        turns, _ = find_peaks(
            sign * path.rows, prominence=_DEPTH_MM * px_per_mm, width=(None, widest)
        )
        for turn in turns:
            _detour(cover, rows, int(turn), sign, px_per_mm, limits)
    return Path(rows, path.leap)


def _detour(
    cover: Real, rows: Index, turn: int, sign: int, px_per_mm: float, limits: tuple[int, int]
) -> None:
    """Look for a way round one turn; change `rows` in place if there is one."""
    near = 0.8 * px_per_mm
    first = last = turn
    while first > 1 and sign * (rows[turn] - rows[first - 1]) < near:
        first -= 1
    while last < len(rows) - 2 and sign * (rows[turn] - rows[last + 1]) < near:
        last += 1
    if last - first > _WIDTH_MM * px_per_mm:
        return
    low, high = max(limits[0], 0), min(limits[1], cover.shape[0] - 1)
    chosen: list[tuple[int, int]] = []
    for column in range(first - 1, last + 2):
        runs = _runs(cover[low : high + 1, column] > _INKED, low)
        bridge = int(rows[column])
        edge = column in (first - 1, last + 1)
        beyond = [r for r in runs if r[0] <= bridge <= r[1]] if edge else []
        beyond = beyond or [
            r for r in runs if (r[1] > bridge - 3 if sign > 0 else r[0] < bridge + 3)
        ]
        if not beyond:
            return
        run = max(beyond, key=lambda r: r[1] - r[0])
        if chosen and (run[0] > chosen[-1][1] + 2 or run[1] < chosen[-1][0] - 2):
            return
        chosen.append(run)
    inner = chosen[1:-1]
    middle = np.array([(a + b) // 2 for a, b in inner], np.intp)
    if (sign * (middle - rows[turn])).max() > _FARTHER_MM * px_per_mm:
        rows[first : last + 1] = middle


def _runs(inked: NDArray[np.bool_], offset: int) -> list[tuple[int, int]]:
    """Return first and last row of every run of ink in a column."""
    step = np.diff(np.concatenate([[0], inked.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(step == 1) + offset, np.flatnonzero(step == -1) - 1 + offset
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
