"""Find the trace rows of a rectified page: where a pen ran from left to right without lifting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.signal import find_peaks

from cinc_ecg.digitization.mark_ink import MarkInk
from cinc_ecg.types import FloatArray, Pulse

#: Connected ink at least this wide is trace; letters and words stay below.
_MIN_STROKE_MM = 7.0
#: Breaks of the pen up to this long are closed first.
_CLOSING_MM = 0.5
#: Share of full ink from which a pixel counts; the second serves traces much paler than the text.
_INK_LEVELS = (0.3, 0.12)
#: By how much the second level must find more.
_PALE_GAIN = 1.6
#: Usual width of a trace, at its upper end: signals that come out a little late are harmless to the
#: official scorers, signals that come out early are not to one of them.
_PEN_MM = 0.35
#: Baselines are looked for in windows of this width, each free to sit a little higher or lower.
_WINDOW_MM = 15.0
_BASELINE_PLAY_MM = 1.5
_MIN_SPACING_MM = 7.0
#: A row must be covered by ink on this share of its columns, over at least this length.
_MIN_COVERAGE = 0.6
_MIN_LENGTH_MM = 25.0
_MAX_BREAK_MM = 9.0
#: Pulses make a column when this many of at least this height stand within this play of each other.
_MIN_COLUMN = 2
_MIN_PULSE_MM = 4.0
_COLUMN_PLAY_MM = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One trace row in page millimetres.

    Attributes:
        baseline_mm: Level about which the trace runs.
        x0_mm, x1_mm: First and last column of its ink, a calibration pulse included.
        coverage: Share of the columns in between that have ink near the row.
        marked: A calibration pulse stands on it.
    """

    baseline_mm: float
    x0_mm: float
    x1_mm: float
    coverage: float
    marked: bool = False


def trace_ink(marks: MarkInk, level: float = 0.3) -> np.ndarray:
    """Return (h, w) bool: ink that belongs to long strokes, hence to traces rather than text."""
    k = marks.px_per_mm
    binary = (marks.ink > level).astype(np.uint8)
    reach = max(round(_CLOSING_MM * k), 1) | 1
    joined = cv2.morphologyEx(binary, cv2.MORPH_CLOSE, np.ones((3, reach), np.uint8))
    _, regions, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    wide = stats[:, cv2.CC_STAT_WIDTH] >= _MIN_STROKE_MM * k
    # A frame or a grid line that was missed is as wide as the page but hardly higher than a line.
    flat = (stats[:, cv2.CC_STAT_HEIGHT] <= 0.8 * k) & (stats[:, cv2.CC_STAT_WIDTH] > 60 * k)
    wide &= ~flat
    wide[0] = False
    return wide[regions] & (binary > 0)


def find_rows(
    marks: MarkInk, inside: np.ndarray | None = None, pulses: Sequence[Pulse] = ()
) -> list[Row]:
    """Find the trace rows of an upright, rectified page, from top to bottom.

    Calibration pulses standing in a column mark their rows beyond doubt, however far the leads of a
    row have drifted apart; other rows are where the traces dwell.

    Args:
        marks: Ink of the page with the grid taken away.
        inside: Mask of the ink map's shape, False off the printed area.
        pulses: Calibration pulses in page mm.
    """
    best: list[Row] = []
    for level in _INK_LEVELS:
        rows = _rows_at(marks, level, inside, pulses)
        if _traced_mm(rows) > _PALE_GAIN * _traced_mm(best):
            best = rows
    return best


def _traced_mm(rows: Sequence[Row]) -> float:
    return sum((row.x1_mm - row.x0_mm) * row.coverage**2 for row in rows)


def _rows_at(
    marks: MarkInk, ink_level: float, inside: np.ndarray | None, pulses: Sequence[Pulse]
) -> list[Row]:
    k = marks.px_per_mm
    ox, oy = marks.origin_mm
    ink = trace_ink(marks, ink_level)
    if inside is not None:
        ink = ink & inside
    profile = _baseline_profile(ink, k)
    if profile.max(initial=0) <= 0:
        return []
    peaks, _ = find_peaks(
        profile,
        height=0.12 * profile.max(),
        distance=max(int(_MIN_SPACING_MM * k), 1),
        prominence=0.06 * profile.max(),
    )
    marked = np.array([(foot - oy) * k for foot in _pulse_column(pulses)])
    levels = _joined(peaks.astype(float), marked)
    measured = [_row(ink, round(level), _reach(levels, level, k), k) for level in levels]
    rows = [
        replace(row, marked=bool(len(marked) and np.abs(marked - level).min() < 1.0))
        for row, level in zip(measured, levels, strict=True)
        if row is not None
    ]
    found = _drop_weak(rows)
    # The pen's centre line ends half a stroke and half a pixel inside its ink.
    rim = 0.5 * _PEN_MM + 0.5 / k
    return [
        replace(
            r,
            baseline_mm=oy + r.baseline_mm,
            x0_mm=ox + r.x0_mm + rim,
            x1_mm=ox + r.x1_mm - rim,
        )
        for r in found
    ]


def _pulse_column(pulses: Sequence[Pulse]) -> list[float]:
    """Return the foot levels of the largest set of like pulses standing one below the other."""
    best: list[float] = []
    for one in pulses:
        alike = [
            p.foot_mm
            for p in pulses
            if abs(p.x0_mm - one.x0_mm) < _COLUMN_PLAY_MM
            and abs(p.height_mm - one.height_mm) < 0.1 * one.height_mm
            and one.height_mm > _MIN_PULSE_MM
        ]
        if len(alike) > len(best):
            best = alike
    return sorted(best) if len(best) >= _MIN_COLUMN else []


def _joined(peaks: FloatArray, marked: FloatArray) -> FloatArray:
    """Take the marked levels, and of the peaks only those where a row without a pulse would be."""
    if len(marked) == 0:
        return peaks
    # Of two gaps the smaller: the other is twice as large where a faint row's pulse was missed.
    spacing = float(np.percentile(np.diff(marked), 50, method="lower"))
    far = [p for p in peaks if np.abs(marked - p).min() > 0.7 * spacing]
    # Between two marked rows there is room for another only when their gap is a multiple.
    free = [p for p in far if not any(a < p < b < a + 1.5 * spacing for a, b in pairwise(marked))]
    return np.sort(np.concatenate([marked, free]))


def _baseline_profile(ink: np.ndarray, k: float) -> FloatArray:
    """Count, per page row, the columns where a trace dwells; each window may wander a little."""
    step = max(round(_WINDOW_MM * k), 1)
    total = np.zeros(ink.shape[0])
    play = 2 * round(_BASELINE_PLAY_MM * k) + 1
    for start in range(0, ink.shape[1], step):
        dwell = gaussian_filter1d(ink[:, start : start + step].sum(1).astype(float), 0.5 * k)
        # Squaring favours levels where the pen stays over those that steep strokes merely pass.
        total += maximum_filter1d(dwell**1.5, play)
    return gaussian_filter1d(total, 0.8 * k)


def _reach(levels: FloatArray, level: float, k: float) -> float:
    others = np.abs(levels - level)
    nearest = others[others > 0].min(initial=30 * k)
    return float(np.clip(0.6 * nearest, 4 * k, 18 * k))


def _row(ink: np.ndarray, peak: int, reach: float, k: float) -> Row | None:
    """Measure a row's extent: the longest stretch of covered columns, short breaks allowed."""
    top, bottom = max(int(peak - reach), 0), int(peak + reach) + 1
    covered = np.flatnonzero(ink[top:bottom].any(0))
    if len(covered) < 2:
        return None
    breaks = np.flatnonzero(np.diff(covered) > _MAX_BREAK_MM * k)
    starts, ends = np.r_[0, breaks + 1], np.r_[breaks, len(covered) - 1]
    lengths = covered[ends] - covered[starts]
    # Panels of one row may stand apart: every stretch long enough to be a lead counts.
    keep = lengths >= 15 * k
    if not keep.any():
        return None
    x0, x1 = covered[starts[keep][0]], covered[ends[keep][-1]]
    inside = covered[(covered >= x0) & (covered <= x1)]
    coverage = len(inside) / (x1 - x0 + 1)
    if (x1 - x0) < _MIN_LENGTH_MM * k or coverage < _MIN_COVERAGE:
        return None
    return Row(peak / k, x0 / k, (x1 + 1) / k, float(coverage))


def _drop_weak(rows: list[Row]) -> list[Row]:
    """Drop rows far shorter than the page's others: joined handwriting, a frame's edge."""
    if not rows:
        return rows
    longest = max(row.x1_mm - row.x0_mm for row in rows)
    return [row for row in rows if row.x1_mm - row.x0_mm >= 0.35 * longest]
