"""Strokes of a vector page: joined into polylines, told apart as traces, pulses and ticks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cinc_ecg.io.pdf import PathObject
from cinc_ecg.signals import sample_at
from cinc_ecg.types import FloatArray, Pulse

#: A stroke that begins where the one before ended, to this distance, continues it.
_JOIN_PT = 0.02
_MIN_TRACE_MM = 15.0
_MIN_TRACE_POINTS = 20
_PULSE_WIDTH_MM = (1.5, 15.0)
_PULSE_HEIGHT_MM = (2.0, 45.0)
_LEVEL_MM = 0.1
#: Finest step at which irregular strokes are sampled: 1 kHz at 25 mm/s.
_FINE_MM = 0.025
#: More than any page holds: ten metres at 1 kHz.
_MAX_SAMPLES = 400_000


@dataclass(frozen=True, slots=True)
class Polyline:
    """A joined stroke: (n, 2) points and its style."""

    points: FloatArray
    style: Hashable


@dataclass(frozen=True, slots=True)
class Piece:
    """A trace as drawn, on its own uniform lattice: y at `x0_mm + k * step_mm`.

    `level_mm` is the page y about which it runs.
    """

    x0_mm: float
    step_mm: float
    y_mm: FloatArray
    level_mm: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "level_mm", float(np.median(self.y_mm)))

    @property
    def x1_mm(self) -> float:
        """Page x of the last sample."""
        return self.x0_mm + self.step_mm * (len(self.y_mm) - 1)

    def at(self, x_mm: FloatArray) -> FloatArray:
        """Evaluate the trace, band-limited; NaN outside it."""
        return sample_at(self.y_mm, self.x0_mm, self.step_mm, x_mm)


def join_strokes(paths: Iterable[PathObject]) -> list[Polyline]:
    """Join strokes that follow each other end to end, in drawing order, into polylines."""
    joined: list[Polyline] = []
    open_parts: list[FloatArray] = []
    style: Hashable = None

    def close() -> None:
        if open_parts:
            joined.append(Polyline(np.vstack(open_parts), style))
            open_parts.clear()

    for path in paths:
        if path.stroke is None:
            continue
        this = (path.stroke, round(path.width_pt, 2))
        touches = (
            bool(open_parts)
            and this == style
            and np.abs(open_parts[-1][-1] - path.points_pt[0]).max() <= _JOIN_PT
        )
        if not touches:
            close()
            style = this
        open_parts.append(path.points_pt[1:] if touches else path.points_pt)
    close()
    return joined


def find_pulse(points_mm: FloatArray) -> Pulse | None:
    """Read a stroke as a calibration pulse: up, along and down again, two levels only."""
    x, y = points_mm[:, 0], points_mm[:, 1]
    foot, top = float(y.max()), float(y.min())
    if not (
        _PULSE_WIDTH_MM[0] <= np.ptp(x) <= 2 * _PULSE_WIDTH_MM[1]
        and _PULSE_HEIGHT_MM[0] <= foot - top <= _PULSE_HEIGHT_MM[1]
    ):
        return None
    on_top, on_foot = y < top + _LEVEL_MM, y > foot - _LEVEL_MM
    if (
        np.mean(on_top | on_foot) < 0.9
        or on_top[0]
        or on_top[-1]
        or np.any(np.diff(x) < -_LEVEL_MM)
    ):
        return None
    middle = (foot + top) / 2
    above = np.flatnonzero(y < middle)
    if len(above) < 2 or np.any(np.diff(above) > 1):
        return None
    x0 = _crossing(points_mm[above[0] - 1], points_mm[above[0]], middle)
    x1 = _crossing(points_mm[above[-1]], points_mm[above[-1] + 1], middle)
    return Pulse(x0, x1, foot, top) if _PULSE_WIDTH_MM[0] <= x1 - x0 <= _PULSE_WIDTH_MM[1] else None


def _crossing(before: FloatArray, after: FloatArray, level: float) -> float:
    share = (level - before[1]) / (after[1] - before[1])
    return float(before[0] + share * (after[0] - before[0]))


def split_pulse(points_mm: FloatArray) -> tuple[Pulse | None, FloatArray]:
    """Take a calibration pulse off the start of a trace drawn in one stroke with it.

    Returns:
        The pulse, if there is one, and the rest of the stroke.
    """
    x, y = points_mm[:, 0], points_mm[:, 1]
    near = np.flatnonzero(x <= x[0] + 2 * _PULSE_WIDTH_MM[1])
    steps = np.abs(np.diff(y[: near[-1] + 1]))
    steep = np.flatnonzero((steps >= _PULSE_HEIGHT_MM[0]) & (np.diff(x[: near[-1] + 1]) < 0.6))
    if len(steep) < 2:
        return None, points_mm
    rise, fall = int(steep[0]), int(steep[1])
    plateau = y[rise + 1 : fall + 1]
    head = points_mm[: fall + 2]
    if np.ptp(plateau) > _LEVEL_MM:
        return None, points_mm
    pulse = find_pulse(head)
    return (pulse, points_mm[fall + 1 :]) if pulse else (None, points_mm)


def as_piece(points_mm: FloatArray) -> Piece | None:
    """Read a stroke as a trace, or return None: it must run from left to right, long and detailed.

    Where the vertices lie on a lattice (an exporter may leave out those on a straight line), the
    lattice is kept, so that later resampling starts from the drawn samples themselves.
    """
    x = points_mm[:, 0]
    if x[-1] < x[0]:
        points_mm = points_mm[::-1]
        x = points_mm[:, 0]
    if np.ptp(x) < _MIN_TRACE_MM or len(x) < _MIN_TRACE_POINTS:
        return None
    if np.mean(np.diff(x) < -1e-3) > 0.01:
        return None
    order = np.argsort(x, kind="stable")
    x, y = x[order], points_mm[order, 1]
    last = np.r_[np.diff(x) > 1e-6, True]  # of several points at one x the last one counts
    x, y = x[last], y[last]
    step = _lattice_step(x)
    if step is None:
        step = max(_FINE_MM, float(np.median(np.diff(x))) / 4)
    count = round(float(x[-1] - x[0]) / step) + 1
    if count > _MAX_SAMPLES:
        return None
    at = x[0] + step * np.arange(count)
    return Piece(float(x[0]), step, np.interp(at, x, y))


def _lattice_step(x: FloatArray) -> float | None:
    """Return the common step of the vertices, or None when they lie on no lattice."""
    gaps = np.diff(x)
    step = float(np.percentile(gaps, 10))
    multiples = np.rint(gaps / step)
    if np.any(multiples < 1):
        return None
    step = float(np.ptp(x) / multiples.sum())
    error = np.abs(x - x[0] - step * np.r_[0.0, np.cumsum(multiples)])
    return step if float(np.percentile(error, 98)) < 0.05 * step else None


def cluster_rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Group traces into rows, top to bottom; traces one above the other are never one row.

    The two groups with the closest levels are joined first, as long as none of their traces lie
    over each other.
    """
    groups = [[piece] for piece in sorted(pieces, key=lambda piece: piece.x0_mm)]
    limit = 0.5 * _row_distance(pieces)
    while True:
        best: tuple[float, int, int] | None = None
        for i, first in enumerate(groups):
            for j in range(i + 1, len(groups)):
                distance = abs(_level(first) - _level(groups[j]))
                if (best is None or distance < best[0]) and not _overlap(first, groups[j]):
                    best = (distance, i, j)
        if best is None or best[0] > limit:
            break
        _, i, j = best
        groups[i] = sorted(groups[i] + groups.pop(j), key=lambda piece: piece.x0_mm)
    return sorted(groups, key=_level)


def _level(group: Sequence[Piece]) -> float:
    return float(np.median([piece.level_mm for piece in group]))


def _row_distance(pieces: Sequence[Piece]) -> float:
    """Return the smallest level difference of traces that lie one above the other."""
    distances = [
        abs(a.level_mm - b.level_mm)
        for i, a in enumerate(pieces)
        for b in pieces[i + 1 :]
        if _overlap([a], [b])
    ]
    return max(float(np.percentile(distances, 10)) if distances else 20.0, 4.0)


def _overlap(first: Sequence[Piece], second: Sequence[Piece]) -> bool:
    for a in first:
        for b in second:
            shared = min(a.x1_mm, b.x1_mm) - max(a.x0_mm, b.x0_mm)
            if shared > 0.2 * min(a.x1_mm - a.x0_mm, b.x1_mm - b.x0_mm):
                return True
    return False
