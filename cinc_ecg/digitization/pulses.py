"""Calibration pulses on a rectified page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cinc_ecg.digitization.mark_ink import FloatMap, MarkInk
from cinc_ecg.digitization.strokes import (
    GAP_MM,
    STROKE_INK,
    Upright,
    centre_column,
    upright_strokes,
)
from cinc_ecg.types import Pulse

#: Widths and heights of a pulse in mm: 0.1 to 0.4 s, 1 mV at 2.5 to 20 mm/mV.
_PULSE_WIDTH_MM = (1.5, 11.0)
_PULSE_HEIGHT_MM = (2.2, 24.0)
#: A page with more upright strokes is hatched, not an ECG with its grid taken away.
_MOST_STROKES = 3000


def find_pulses(marks: MarkInk, strokes: Sequence[Upright] | None = None) -> list[Pulse]:
    """Find calibration pulses: two equal upright strokes under one bar, empty inside.

    The levels are sub-pixel: the top is the centre line of the bar, the foot that of the base line
    beside the pulse, or, where there is none, half a pen above the ends of its sides.

    Args:
        marks: Ink of the page from `mark_ink(..., reach_mm=STROKE_REACH_MM)`, or trace evidence.
        strokes: Its upright strokes, if they are known already.

    Returns:
        Pulses from top to bottom; `score` is higher for pulses that stand in one column alike.
    """
    ink, k = marks.ink, marks.px_per_mm
    strokes = upright_strokes(marks) if strokes is None else strokes
    uprights = sorted(strokes, key=lambda u: u.x)
    if len(uprights) > _MOST_STROKES:
        return []
    pairs = []
    for i, left in enumerate(uprights):
        for right in uprights[i + 1 :]:
            if right.x - left.x > _PULSE_WIDTH_MM[1] * k:
                break
            pairs.append((left, right))
        pairs += [(left, other) for other in _other_side(ink, left, 1, k)]
        pairs += [(other, left) for other in _other_side(ink, left, -1, k)]
    found = [
        _measure(ink, left, right, k)
        for left, right in pairs
        if right.x - left.x >= _PULSE_WIDTH_MM[0] * k and abs(left.y0 - right.y0) <= 0.6 * k
    ]
    return _in_mm(_agreeing(_distinct([p for p in found if p is not None]), k), marks)


def _other_side(ink: FloatMap, side: Upright, step: int, k: float) -> list[Upright]:
    """Follow the bar from the top of a pulse's one side to where the other must be.

    Serves sides that a trace or a name touches, so that they are no strokes of their own.
    """
    x, low = round(side.x), max(round(side.y0 - 0.3 * k), 0)
    rows = ink[low : round(side.y0 + 0.5 * k)]
    reach = ink.shape[1] - x if step > 0 else x + 1
    bar = (rows[:, x:] if step > 0 else rows[:, x::-1]).max(axis=0)[: min(reach, round(12 * k))]
    gaps = np.flatnonzero(bar < STROKE_INK)
    length = int(gaps[0]) if gaps.size else 0
    end = x + step * (length - 1 - 0.5 * side.width)
    if not _PULSE_WIDTH_MM[0] * k <= abs(end - x) <= _PULSE_WIDTH_MM[1] * k:
        return []
    slack = max(round(0.25 * k), 1)
    x0, top = max(round(end) - slack, 0), round(side.y0 + 0.4 * k)
    strip = ink[top : round(side.y1 + k), x0 : round(end) + slack + 1]
    inked = strip.max(axis=1) > STROKE_INK
    gap = max(round(GAP_MM * k), 1)
    holes = np.flatnonzero(np.convolve(~inked, np.ones(gap), "valid") > gap - 0.5)
    height = int(holes[0]) if holes.size else len(inked)
    if height < 0.7 * (side.y1 - top):
        return []
    return [replace(side, x=x0 + centre_column(strip[:height]), y1=float(top + height))]


def _measure(ink: FloatMap, left: Upright, right: Upright, k: float) -> Pulse | None:
    """Return the pulse between two strokes in pixels, or None when it is none."""
    top_guess = 0.5 * (left.y0 + right.y0)
    end = min(left.y1, right.y1)
    if not _PULSE_HEIGHT_MM[0] * k <= end - top_guess <= _PULSE_HEIGHT_MM[1] * k:
        return None
    left, right = (_straightened(ink, side, top_guess, end, k) for side in (left, right))
    x0, x1 = round(left.x), round(right.x)
    bar = _rows(ink, x0 + 0.15 * (x1 - x0), x1 - 0.15 * (x1 - x0))
    low = max(round(top_guess - 0.7 * k), 0)
    top, strength = _level(bar, low, round(top_guess + 0.9 * k))
    if strength < 0.55:
        return None
    margin = max(0.5 * k, 2.0)
    inside = ink[round(top + margin) : round(end - margin), round(x0 + margin) : round(x1 - margin)]
    empty = float(inside.mean()) if inside.size else 0.0
    above = ink[max(round(top - 1.6 * k), 0) : max(round(top - 0.6 * k), 0), x0 - 2 : x1 + 3]
    clear = float(above.mean()) if above.size else 0.0
    closed = bar[max(round(end - 0.8 * k), 0) : round(end + 0.8 * k)]
    if empty > 0.2 or clear > 0.25 or (closed.size and float(closed.max()) > 0.5):
        return None
    uneven = abs(left.y1 - right.y1) / (end - top)
    foot = _foot(ink, left, right, k)
    score = strength * (1 - 2 * empty) * (1 - clear) * float(np.exp(-((uneven / 0.3) ** 2)))
    return Pulse(left.x, right.x, foot, top, min(score, 1.0))


def _straightened(ink: FloatMap, side: Upright, top: float, end: float, k: float) -> Upright:
    """Return a side with its x measured where neither bar nor foot disturb it."""
    x0 = max(round(side.x - 0.6 * k), 0)
    y0, y1 = round(top + 0.2 * (end - top)), round(end - 0.25 * (end - top))
    profile = np.median(ink[y0:y1, x0 : round(side.x + 0.6 * k) + 1], axis=0).astype(np.float32)
    x, strength = _level(profile, 0, len(profile))
    return replace(side, x=x0 + x) if strength > 0.3 else side


def _rows(ink: FloatMap, x0: float, x1: float) -> FloatMap:
    """Return the mean ink of each row between two columns."""
    first = max(round(x0), 0)
    part = ink[:, first : max(round(x1) + 1, first + 1)]
    return np.asarray(part.mean(axis=1) if part.size else np.zeros(len(ink)), np.float32)


def _level(profile: FloatMap, low: int, high: int) -> tuple[float, float]:
    """Return the centre of the strongest peak of a profile in a range, and its strength."""
    part = profile[low:high]
    if part.size == 0:
        return float(low), 0.0
    peak = int(part.argmax())
    strength = float(part[peak])
    first, last = max(peak - 3, 0), min(peak + 4, part.size)
    weights = np.maximum(part[first:last] - 0.25 * strength, 0.0)
    centre = float((weights * np.arange(first, last)).sum() / max(float(weights.sum()), 1e-9))
    return low + centre, strength


def _foot(ink: FloatMap, left: Upright, right: Upright, k: float) -> float:
    """Return the level of the base line at the foot of a pulse, in pixels."""
    end = min(left.y1, right.y1)
    low, high = max(round(end - 0.9 * k), 0), round(end + 0.7 * k)
    flanks = []
    for x, step in ((left.x, -1), (right.x, 1)):
        near, far = (sorted((x + step * a * k, x + step * b * k)) for a, b in ((0.5, 1.5), (3, 5)))
        if near[0] < 0 or near[1] >= ink.shape[1]:
            continue
        level, strength = _level(_rows(ink, *near), low, high)
        if strength > 0.6:
            ends = far[0] >= 0 and _level(_rows(ink, *far), low, high)[1] < 0.2
            flanks.append((level, ends))
    ends_px = [_end(ink, side, k) for side in (left, right) if abs(side.y1 - end) < 0.5 * k]
    # What runs on below one side is the trace: the higher end is the foot.
    plain = min(ends_px, default=end)
    flanks = [flank for flank in flanks if abs(flank[0] - plain) < 0.6 * k]
    # A line on one side that goes on is the trace, which need not be at 0 mV there.
    if len(flanks) == 2 and abs(flanks[0][0] - flanks[1][0]) < 0.25 * k:
        return 0.5 * (flanks[0][0] + flanks[1][0])
    short = [level for level, stops in flanks if stops]
    return short[0] if short else plain


def _end(ink: FloatMap, stroke: Upright, k: float) -> float:
    """Return where a stroke's centre line ends: most of half a pen inside its half-dark edge."""
    half = max(stroke.width / 2, 0.5)
    x0 = round(stroke.x - half)
    column = ink[:, max(x0, 0) : max(round(stroke.x + half) + 1, x0 + 1)].max(axis=1)
    rows = slice(round(stroke.y0), round(stroke.y1))
    full = float(np.median(column[rows]))
    # Blur widens a stroke but leaves its ink.
    wide = round(0.6 * k)
    across = ink[rows, max(round(stroke.x) - wide, 0) : round(stroke.x) + wide + 1]
    pen = min(stroke.width, float(np.median(across.sum(axis=1))) if across.size else stroke.width)
    start = max(round(stroke.y1 - 1.0 * k), 0)
    for y in range(start, min(round(stroke.y1 + 0.8 * k), len(column) - 1)):
        here, after = float(column[y]), float(column[y + 1])
        if here >= 0.5 * full > after and float(column[y + 1 : y + 3].max()) < 0.5 * full:
            edge = y + (here - 0.5 * full) / max(here - after, 1e-6)
            return edge - 0.4 * pen
    return stroke.y1 - 0.5 - 0.4 * pen


def _distinct(pulses: Sequence[Pulse]) -> list[Pulse]:
    """Keep the best of pulses that share a side."""
    kept: list[Pulse] = []
    for pulse in sorted(pulses, key=lambda p: -p.score):
        if not any(
            pulse.x0_mm < other.x1_mm + 1
            and other.x0_mm < pulse.x1_mm + 1
            and pulse.top_mm < other.foot_mm
            and other.top_mm < pulse.foot_mm
            for other in kept
        ):
            kept.append(pulse)
    return sorted(kept, key=lambda p: p.top_mm)


def _agreeing(pulses: Sequence[Pulse], k: float) -> list[Pulse]:
    """Lower the score of pulses that have no like in another row of their column."""
    out = []
    for pulse in pulses:
        width, height = pulse.x1_mm - pulse.x0_mm, pulse.foot_mm - pulse.top_mm
        alike = [
            other
            for other in pulses
            if other is not pulse
            and abs(other.x0_mm - pulse.x0_mm) < 1.5 * k
            and abs(other.x1_mm - other.x0_mm - width) < max(0.06 * width, 0.3 * k)
            and abs(other.foot_mm - other.top_mm - height) < max(0.1 * height, 0.5 * k)
        ]
        out.append(replace(pulse, score=round(pulse.score * (1.0 if alike else 0.6), 3)))
    return out


def _in_mm(pulses: Sequence[Pulse], marks: MarkInk) -> list[Pulse]:
    ox, oy = marks.origin_mm
    k = marks.px_per_mm
    return [
        Pulse(
            float(ox + p.x0_mm / k),
            float(ox + p.x1_mm / k),
            float(oy + p.foot_mm / k),
            float(oy + p.top_mm / k),
            p.score,
        )
        for p in pulses
        if p.score > 0.25
    ]
