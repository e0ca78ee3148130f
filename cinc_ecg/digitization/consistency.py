"""Hold simultaneous leads against each other: combine what agrees, name what does not.

The least-squares fit of a window replaces the readings only where chi-square says that they differ
by no more than their standard errors; otherwise they stay and a note says what may be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from cinc_ecg.digitization.mismatch import explain, has_simple_cause
from cinc_ecg.digitization.simultaneous import Fit, Window, common_model, solve, windows_of
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.types import FloatArray, LeadTrace, Note, Panel, Signal

#: Readers' standard errors may all be too small by up to this factor.
_LARGEST_INFLATION = 2.0
#: A window is combined below this mean chi-square per degree of freedom; a sample counts at most
#: `_MOST`, so that a short misread stretch does not decide.
_CHI2, _MOST = 1.5, 30.0
#: It must be possible to compare this share of a window.
_COMPARED = 0.5
#: Stretches of this length within a window are combined fully below the first limit, not at all
#: above the second.
_STRETCH_S = 0.04
_LOCAL_CHI2 = (4.0, 10.0)


def reconcile(
    signal: Signal, panels: Sequence[Panel], traces: Sequence[LeadTrace]
) -> tuple[Signal, list[Note]]:
    """Combine the limb leads and the rhythm strips of one page where they agree.

    Every lead keeps its own level and its own time; what changes is its course, by what the others
    of the same seconds say about it. Samples that are NaN stay NaN.

    Args:
        signal: The panels as `assemble` puts them together.
        panels, traces: What it was assembled from.

    Returns:
        The signal, and notes with the codes `limb_leads_inconsistent` and `rhythm_strip_differs`
        for windows left as they were.
    """
    samples = signal.samples_mv.astype(float)
    sigma = None if signal.sigma_mv is None else signal.sigma_mv.astype(float)
    windows = windows_of(panels, signal.fs_hz, len(samples))
    fits = side_by_side(lambda window: solve(window, panels, traces, signal), windows)
    inflation = _inflation(fits)
    notes: list[Note] = []
    for window, fit in zip(windows, fits, strict=True):
        if np.mean(fit.dof > 0) < _COMPARED:
            continue
        if _agrees(window, fit, inflation, panels):
            _apply(window, fit, inflation, panels, signal, samples, sigma)
            continue
        smaller = _without_strips(window, panels)
        rest = solve(smaller, panels, traces, signal) if smaller else None
        rest_agrees = (
            smaller is not None
            and rest is not None
            and bool(np.mean(rest.dof > 0) >= _COMPARED)
            and _agrees(smaller, rest, inflation, panels)
        )
        notes.append(_note(window, fit, panels, signal.fs_hz, rest_agrees))
        if smaller is not None and rest is not None and rest_agrees:
            _apply(smaller, rest, inflation, panels, signal, samples, sigma)
    changed = replace(
        signal,
        samples_mv=samples.astype(np.float32),
        sigma_mv=None if sigma is None else sigma.astype(np.float32),
    )
    return changed, notes


def _without_strips(window: Window, panels: Sequence[Panel]) -> Window | None:
    """Return the window without its rhythm strips if something is left to compare."""
    short = tuple(k for k in window.panels if not panels[k].rhythm)
    model = common_model([panels[k].lead for k in short])
    if len(short) == len(window.panels) or len(short) <= model.shape[1]:
        return None
    return replace(window, panels=short, model=model)


def _inflation(fits: Sequence[Fit]) -> float:
    """Return the factor by which all standard errors fall short, from the samples that fit best.

    The median of chi-square ignores the few places where a reading went astray. That of honest
    errors is dof (1 - 2 / (9 dof))^3 (Wilson and Hilferty 1931).
    """
    ratios = [np.empty(0)]
    for fit in fits:
        dof = fit.dof[fit.dof > 0]
        ratios.append(fit.chi2[fit.dof > 0] / (dof * (1 - 2 / (9 * dof)) ** 3))
    together = np.concatenate(ratios)
    typical = float(np.median(together)) if len(together) else 1.0
    return float(np.sqrt(np.clip(typical, 1.0, _LARGEST_INFLATION**2)))


def _agrees(window: Window, fit: Fit, inflation: float, panels: Sequence[Panel]) -> bool:
    """Tell whether a window's panels differ by no more than errors of reading."""
    counted = fit.dof > 0
    chi2 = fit.chi2[counted] / fit.dof[counted] / inflation**2
    if np.minimum(chi2, _MOST).mean() >= _CHI2:
        return False
    leads = [panels[k].lead for k in window.panels]
    return not has_simple_cause(leads, window.model, fit.values, fit.sigma)


def _apply(
    window: Window,
    fit: Fit,
    inflation: float,
    panels: Sequence[Panel],
    signal: Signal,
    samples: FloatArray,
    sigma: FloatArray | None,
) -> None:
    """Move the samples of a window towards the fit, in place; less where a stretch fits badly."""
    width = max(round(_STRETCH_S * signal.fs_hz), 1)
    local = uniform_filter1d(fit.chi2, width) / np.maximum(uniform_filter1d(fit.dof, width), 1e-9)
    full, none = _LOCAL_CHI2
    trust = np.clip((none - local / inflation**2) / (none - full), 0.0, 1.0) * (fit.dof > 0)
    inside = slice(window.first, window.first + window.length)
    time = np.arange(window.length)
    # As in `assemble`: the longer panel counts, the other fills its gaps.
    for j in sorted(
        range(len(window.panels)), key=lambda j: (panels[window.panels[j]].duration_s, -j)
    ):
        column = signal.leads.index(panels[window.panels[j]].lead)
        # A panel that is late gets its correction late.
        at = time - fit.offsets_s[j] * signal.fs_hz
        seen = fit.known[:, j]
        change = np.interp(at, time, trust * fit.change[:, j])
        samples[inside, column] = np.where(
            seen, signal.samples_mv[inside, column] + change, samples[inside, column]
        )
        if sigma is not None:
            error = trust * fit.error[:, j] + (1 - trust) * fit.sigma[:, j]
            sigma[inside, column] = np.where(seen, error, sigma[inside, column])


def _note(
    window: Window, fit: Fit, panels: Sequence[Panel], fs_hz: float, rest_agrees: bool
) -> Note:
    """Say which leads contradict each other, and what may explain it."""
    own = [panels[k] for k in window.panels]
    names = [p.lead + (" strip" if p.rhythm else "") for p in own]
    lefts = sorted({round(p.box_mm[0]) for p in own})
    columns = [lefts.index(round(p.box_mm[0])) for p in own]
    cause = explain(names, window.model, fit.values, fit.sigma, columns, fs_hz)
    start = window.first / fs_hz
    when = f"from {start:.1f} to {start + window.length / fs_hz:.1f} s"
    short = [p.lead for p in own if not p.rhythm]
    limb_alone = len(short) > common_model(short).shape[1]
    if rest_agrees or not limb_alone:
        text = f"the rhythm strip contradicts the short leads {when}: {cause}"
        return Note("rhythm_strip_differs", "warning", ", ".join(names), text)
    text = f"the limb leads contradict each other {when} and were left as read: {cause}"
    return Note("limb_leads_inconsistent", "warning", ", ".join(names), text)
