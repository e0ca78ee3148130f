"""Where a panel's trace must run, given the record's own signal.

A page that was read tells roughly which millimetre shows which second of which lead; the signal
tells the shape. Both are brought together panel by panel: first by a shift in time, then by a
smooth correction along the panel (a few hundredths of a millimetre that geometry, speed and timing
leave), fitted so that columns the reader got wrong do not pull it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.leads import LEADS
from cinc_ecg.signals import sample_at
from cinc_ecg.types import FloatArray, LeadTrace, Panel, Signal

F64 = NDArray[np.float64]

#: How far the panel's seconds may be off, as the alignment of the Challenge's scores.
_MOST_SHIFT_S = 0.5
#: Panels of one page are shifted alike, within so much.
_SPREAD_S = 0.04
#: Fewer millimetres of visible trace say nothing.
_LEAST_MM = 10.0
#: A reading is right where it lies so near the truth (across the stroke).
_NEAR_MM = 0.3
#: Correlation and share of right columns: of panels that vouch for the page, and of those used.
_VOUCH, _VOUCH_NEAR = 0.85, 0.8
_USED, _USED_NEAR = 0.5, 0.65
#: Noise of a reading, and of its place along the row; the fit's residuals are measured by them.
_HEIGHT_MM, _PLACE_MM = 0.08, 0.05
_ROUNDS = 8
#: Terms of the correction along a panel, in time and in height.
_TERMS = 3
#: Longer panels get a bend per so many millimetres more.
_BEND_MM = 80.0


@dataclass(frozen=True, slots=True)
class TrueLine:
    """A panel's true line.

    Attributes:
        panel: Index of the panel.
        x0_mm, step_mm: Page x of the first node and distance of the nodes.
        y_mm: (n,) page y of the pen; NaN where the record holds no sample.
        shift_s: How much later than the reading says the panel's seconds are.
        correlation: Of reading and truth over visible nodes.
        near: Share of visible nodes whose reading lies on the true stroke.
    """

    panel: int
    x0_mm: float
    step_mm: float
    y_mm: F64
    shift_s: float
    correlation: float
    near: float


def true_lines(
    panels: Sequence[Panel], traces: Sequence[LeadTrace], signal: Signal
) -> list[TrueLine]:
    """Align the panels of a page with the record's signal.

    Args:
        panels, traces: As read; as many traces as panels.
        signal: The record's twelve leads in standard order, (n, 12) mV, NaN = unknown.

    Returns:
        Lines of the panels whose place is known. None at all when fewer than half of the panels
        follow the signal, or follow it at different times: the page then shows something else.
    """
    pairs = [(p, t) for p, t in zip(panels, traces, strict=True) if p.lead in LEADS]
    first = [_align(panel, trace, signal, 0.0, _MOST_SHIFT_S) for panel, trace in pairs]
    vouching = [a for a in first if a and a.correlation >= _VOUCH and a.near >= _VOUCH_NEAR]
    if not vouching:
        return []
    middle = float(np.median([a.shift_s for a in vouching]))
    agreed = [a for a in vouching if abs(a.shift_s - middle) <= _SPREAD_S]
    if 2 * len(agreed) < len(panels):
        return []
    second = [_align(panel, trace, signal, middle, _SPREAD_S) for panel, trace in pairs]
    return [a for a in second if a and a.correlation >= _USED and a.near >= _USED_NEAR]


def _align(
    panel: Panel, trace: LeadTrace, signal: Signal, around_s: float, reach_s: float
) -> TrueLine | None:
    """Align one panel; None where too little of it is seen or known."""
    n = len(trace.y_mm)
    known = trace.visible & np.isfinite(trace.y_mm)
    if known.sum() * trace.step_mm < _LEAST_MM:
        return None
    x = trace.x0_mm + trace.step_mm * np.arange(n)
    at_s = panel.start_s + (x - panel.box_mm[0]) / panel.mm_per_s + around_s
    curve = _Curve(panel, signal, at_s, trace.step_mm / panel.mm_per_s, reach_s)
    lag = _best_lag(curve, trace.y_mm, known)
    if lag is None:
        return None
    along = np.linspace(-1.0, 1.0, n)
    terms = _TERMS + int(n * trace.step_mm / _BEND_MM)
    basis = np.polynomial.legendre.legvander(along, terms - 1)
    shift, level = _refine(curve, trace, known, lag, basis)
    y, slope = curve.at(basis @ shift)
    y = y + basis @ level
    judged = known & np.isfinite(y)
    if judged.sum() * trace.step_mm < _LEAST_MM:
        return None
    away = np.abs(trace.y_mm - y) / np.hypot(1.0, slope / trace.step_mm)
    return TrueLine(
        trace.panel,
        trace.x0_mm,
        trace.step_mm,
        y,
        around_s + float(shift[0]) * curve.step_s,
        _correlation(trace.y_mm[judged], y[judged]),
        float((away[judged] <= _NEAR_MM).mean()),
    )


class _Curve:
    """A lead as it would be drawn: millimetres downwards at the trace's nodes, and beyond them."""

    def __init__(
        self, panel: Panel, signal: Signal, at_s: FloatArray, step_s: float, reach_s: float
    ) -> None:
        self.n, self.step_s = len(at_s), step_s
        # The correction along the panel may reach beyond the search.
        self.reach = max(1, round(reach_s / step_s))
        self.margin = self.reach + round(0.1 / step_s)
        k = np.arange(-self.margin, self.n + self.margin)
        lead = signal.samples_mv[:, LEADS.index(panel.lead)].astype(np.float64)
        values = sample_at(lead, 0.0, 1.0 / signal.fs_hz, at_s[0] + k * step_s)
        self.y = (1.0 if panel.inverted else -1.0) * panel.mm_per_mv * values
        self.filled = (
            np.interp(k, k[np.isfinite(values)], self.y[np.isfinite(values)])
            if (np.isfinite(values).any())
            else np.zeros(len(k))
        )
        self.slope = np.gradient(self.filled)

    def at(self, shift: FloatArray) -> tuple[F64, F64]:
        """Return height and slope per node, (n,) each, at node k + shift[k]; NaN = unknown."""
        place = np.arange(self.n) + shift + self.margin
        inside = np.clip(place, 0, len(self.y) - 1)
        k = np.arange(len(self.y))
        y, slope = np.interp(inside, k, self.filled), np.interp(inside, k, self.slope)
        lost = ~np.isfinite(self.y[np.rint(inside).astype(np.intp)]) | (inside != place)
        return np.where(lost, np.nan, y), slope


def _best_lag(curve: _Curve, seen_mm: FloatArray, known: NDArray[np.bool_]) -> int | None:
    """Return the lag in nodes with the smallest variance of the difference."""
    best, least = None, np.inf
    for lag in range(-curve.reach, curve.reach + 1):
        first = curve.margin + lag
        y = curve.y[first : first + curve.n]
        both = known & np.isfinite(y)
        if both.sum() < 0.9 * known.sum():
            continue
        spread = float(np.var(seen_mm[both] - y[both]))
        if spread < least:
            best, least = lag, spread
    return best


def _refine(
    curve: _Curve, trace: LeadTrace, known: NDArray[np.bool_], lag: int, basis: FloatArray
) -> tuple[F64, F64]:
    """Fit shift (nodes) and level (mm) along the panel, (terms,) each, by reweighted least squares.

    A flank may lie a little beside its place, so the steeper the line the less a difference in
    height says; what is still far away was misread and loses its weight (Tukey).
    """
    terms = basis.shape[1]
    shift, level = np.zeros(terms), np.zeros(terms)
    shift[0] = lag
    y, _ = curve.at(basis @ shift)
    level[0] = np.nanmedian((trace.y_mm - y)[known])
    # Higher terms bend more than geometry does unless the data insist.
    ridge = np.concatenate([np.full(terms, 1.0), np.full(terms, 30.0)])
    ridge[[0, terms]] = 1e-6
    for step in range(_ROUNDS):
        y, slope = curve.at(basis @ shift)
        error = trace.y_mm - y - basis @ level
        good = known & np.isfinite(error)
        scale = np.hypot(_HEIGHT_MM, slope / trace.step_mm * _PLACE_MM)
        limit = 24.0 / (1 + step) + 4.0
        away = np.abs(error[good]) / scale[good] / limit
        weight = np.where(away < 1.0, (1.0 - away**2) ** 2, 0.0) / scale[good] ** 2
        design = np.hstack([basis * slope[:, None], basis])[good]
        normal = design.T @ (design * weight[:, None]) + np.diag(ridge)
        past = ridge * np.concatenate([shift - lag * (np.arange(terms) == 0), level])
        past[[0, terms]] = 0.0
        change = np.linalg.solve(normal, design.T @ (weight * error[good]) - past)
        shift, level = shift + change[:terms], level + change[terms:]
    return shift, level


def _correlation(a: FloatArray, b: FloatArray) -> float:
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
