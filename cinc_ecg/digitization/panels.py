"""From places on the page to panels in time: windows of the record, baselines, cut-out traces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.layout import Hypothesis, Place
from cinc_ecg.leads import LIMB_COEFFICIENTS
from cinc_ecg.types import Calibration, FloatArray, LeadTrace, Panel, Pulse, RowTrace

#: Beats of two columns must agree this much better one way than the other to tell how time runs.
_TIMING_MARGIN = 0.08
#: Share of the power by which a limb lead differs from what two others make of it: simultaneous
#: below the first, not so above the second; a very regular heart or a poor reading lies in between.
_LIMB_RESIDUAL = (0.02, 0.25)
#: Where there is no rhythm strip to ask, the limit in between.
_LIMB_RESIDUAL_ALONE = 0.08
#: Columns without a strip or limb leads to ask are simultaneous when their beats coincide this
#: well: by chance a regular heart does so on one page in twenty.
_SAME_BEATS = 0.7
#: Ticks and pulses spoil the ink this close to a column's edge.
_EDGE_MM = 0.4
_ENVELOPE_STEP_S = 0.01


def columns_are_simultaneous(
    hypothesis: Hypothesis, traces: Sequence[RowTrace], mm_per_s: float
) -> tuple[bool, bool]:
    """Tell whether all columns show the same seconds or each continues the one before.

    The heart beats at the same instants in every lead. Where a rhythm strip runs below, each
    column's steep strokes are compared with the strip's, once with the stretch right above it
    (sequential) and once with the strip's beginning (simultaneous). Where limb leads stand in two
    columns, their equations tell without a strip.

    Returns:
        (simultaneous, whether the page decided it rather than the custom that columns follow each
        other).
    """
    grid = [p for p in hypothesis.places if not p.rhythm]
    starts = sorted({round(p.x0_mm, 1) for p in grid})
    if len(starts) < 2:
        return False, True
    residual = _limb_residual(grid, traces)
    if residual is not None and not _LIMB_RESIDUAL[0] < residual < _LIMB_RESIDUAL[1]:
        return residual <= _LIMB_RESIDUAL[0], True
    columns = [[p for p in grid if round(p.x0_mm, 1) == x] for x in starts]
    beats = [_beats(places, traces, mm_per_s) for places in columns]
    length = min(len(b) for b in beats)
    strips = [p for p in hypothesis.places if p.rhythm]
    if length < 50:
        return False, False
    if not strips:
        if residual is not None:
            return residual < _LIMB_RESIDUAL_ALONE, False
        coincidence = float(np.mean([_agreement(beats[0], b, reach=2) for b in beats[1:]]))
        return coincidence > _SAME_BEATS, coincidence > _SAME_BEATS
    strip = _beats(strips, traces, mm_per_s)
    same, following = [], []
    for k in range(1, len(beats)):
        at = round((starts[k] - starts[0]) / mm_per_s / _ENVELOPE_STEP_S)
        if at + length <= len(strip) + 5:
            following.append(_agreement(beats[k], strip[at:]))
            same.append(_agreement(beats[k], strip))
    if not following or abs(np.mean(same) - np.mean(following)) < _TIMING_MARGIN:
        return False, False
    return bool(np.mean(same) > np.mean(following)), True


def _limb_residual(grid: Sequence[Place], traces: Sequence[RowTrace]) -> float | None:
    """Compare aVR, aVL, aVF in one column with what I, II, III in another make of them.

    Goldberger's equations hold sample by sample, so they hold across columns only if those are
    simultaneous.

    Returns:
        Share of the power that differs, or None where no lead follows from two of another column.
    """
    ratios = []
    for place in grid:
        wanted = LIMB_COEFFICIENTS.get(place.lead)
        others = [
            p for p in grid if p.lead in LIMB_COEFFICIENTS and abs(p.x0_mm - place.x0_mm) > 1.0
        ]
        for a, b in combinations(others, 2):
            if wanted is None or abs(a.x0_mm - b.x0_mm) > 1.0:
                continue
            basis = np.array([LIMB_COEFFICIENTS[a.lead], LIMB_COEFFICIENTS[b.lead]]).T
            weights = np.linalg.solve(basis, wanted)
            n = 200
            made = weights[0] * _levels(a, traces, n) + weights[1] * _levels(b, traces, n)
            own = _levels(place, traces, n)
            residual = own - made
            residual -= np.nanmedian(residual)
            ratios.append(
                float(np.nanmean(residual**2) / (np.nanvar(own) + np.nanvar(made) + 1e-9))
            )
    if not ratios:
        return None
    return float(np.median(ratios))


def _levels(place: Place, traces: Sequence[RowTrace], n: int) -> FloatArray:
    """Upward deflection in mm at n points spread over a place, its sign as the lead's."""
    trace = traces[place.row]
    x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    known = np.isfinite(trace.y_mm)
    if known.sum() < 20:
        return np.full(n, np.nan)
    at = np.linspace(place.x0_mm + 2.0, place.x1_mm - 2.0, n)
    level = -np.interp(at, x[known], gaussian_filter1d(trace.y_mm[known], 0.4 / trace.step_mm))
    return -level if place.inverted else level


def _beats(places: Sequence[Place], traces: Sequence[RowTrace], mm_per_s: float) -> FloatArray:
    """Steepness of a column's traces over time, every lead scaled to its own, 10 ms apart."""
    x0, x1 = min(p.x0_mm for p in places), max(p.x1_mm for p in places)
    at = np.arange(x0 + 1.0, x1 - 1.0, _ENVELOPE_STEP_S * mm_per_s)
    total = np.zeros(len(at))
    for place in places:
        trace = traces[place.row]
        x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
        known = np.isfinite(trace.y_mm)
        if known.sum() < 20:
            continue
        y = np.interp(at, x[known], trace.y_mm[known])
        slope = gaussian_filter1d(np.abs(np.gradient(y)), 2.0)
        total += slope / (np.percentile(slope, 98) + 1e-9)
    return total


def _agreement(a: FloatArray, b: FloatArray, reach: int = 6) -> float:
    """Largest correlation within `reach` steps of 10 ms either way."""
    n = min(len(a), len(b))
    best = -1.0
    for shift in range(-reach, reach + 1):
        left, right = a[max(shift, 0) : n + min(shift, 0)], b[max(-shift, 0) : n + min(-shift, 0)]
        best = max(best, float(np.corrcoef(left, right)[0, 1]))
    return best


def make_panels(
    hypothesis: Hypothesis,
    frame: Frame,
    traces: Sequence[RowTrace],
    pulses: Sequence[Pulse],
    calibration: Calibration,
    simultaneous: bool,
) -> tuple[list[Panel], list[LeadTrace]]:
    """Place every lead in time and cut its part out of its row's trace."""
    panels, cut = [], []
    for index, place in enumerate(hypothesis.places):
        trace = traces[place.row]
        part = _cut(trace, place, index)
        start = 0.0 if simultaneous else (place.x0_mm - frame.x0_mm) / calibration.mm_per_s
        levels = part.y_mm[np.isfinite(part.y_mm)]
        top, bottom = (
            (levels.min(), levels.max())
            if len(levels)
            else (frame.rows[place.row].baseline_mm,) * 2
        )
        panels.append(
            Panel(
                lead=place.lead,
                row=place.row,
                box_mm=(place.x0_mm, float(top), place.x1_mm, float(bottom)),
                start_s=max(start, 0.0),
                duration_s=(place.x1_mm - place.x0_mm) / calibration.mm_per_s,
                mm_per_s=calibration.mm_per_s,
                mm_per_mv=calibration.mm_per_mv,
                baseline_mm=_baseline(frame.rows[place.row].baseline_mm, levels, pulses),
                rhythm=place.rhythm,
                inverted=place.inverted,
            )
        )
        cut.append(part)
    return panels, cut


def _cut(trace: RowTrace, place: Place, index: int) -> LeadTrace:
    first = int(np.ceil((place.x0_mm - trace.x0_mm) / trace.step_mm - 1e-6))
    last = int(np.ceil((place.x1_mm - trace.x0_mm) / trace.step_mm - 1e-6))
    first, last = max(first, 0), min(max(last, 0), len(trace.y_mm))
    window = slice(first, last)
    visible = trace.visible[window].copy()
    y_mm = trace.y_mm[window].copy()
    rim = min(round(_EDGE_MM / trace.step_mm), len(visible) // 4)
    if rim:
        for side in (slice(0, rim), slice(-rim, None)):
            visible[side] = False
        inside = np.flatnonzero(np.isfinite(y_mm[rim:-rim])) + rim
        if len(inside):
            y_mm[:rim], y_mm[-rim:] = y_mm[inside[0]], y_mm[inside[-1]]
    return LeadTrace(
        panel=index,
        x0_mm=trace.x0_mm + first * trace.step_mm,
        step_mm=trace.step_mm,
        y_mm=y_mm,
        sigma_mm=trace.sigma_mm[window],
        visible=visible,
    )


def _baseline(row_mm: float, levels: FloatArray, pulses: Sequence[Pulse]) -> float:
    """Return the page y of 0 mV: the foot of the row's pulse, or else the trace's median."""
    near = [p for p in pulses if abs(p.foot_mm - row_mm) < 4.0]
    if near:
        return min(near, key=lambda p: abs(p.foot_mm - row_mm)).foot_mm
    return float(np.median(levels)) if len(levels) else row_mm
