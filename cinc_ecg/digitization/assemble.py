"""Put the panels' traces together: a calibrated multi-lead signal with a status per lead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cinc_ecg.digitization.quality import stated_snr
from cinc_ecg.leads import LEADS
from cinc_ecg.signals import sample_at
from cinc_ecg.types import FloatArray, LeadStatus, LeadTrace, Panel, Quality, Signal

#: A lead with less visible ink than this is called partial.
_WHOLE = 0.98


def assemble(
    panels: Sequence[Panel], traces: Sequence[LeadTrace], fs_hz: float, n_samples: int | None = None
) -> Signal:
    """Sample every panel's trace, band-limited, on one time axis.

    Args:
        panels, traces: As many traces as panels.
        fs_hz: Output rate.
        n_samples: Output length; the end of the last panel decides when None.

    Returns:
        Leads in the usual order, then others; a lead printed twice takes its longer panel and fills
        it from the other where it has gaps. NaN where nothing is printed or seen.
    """
    if n_samples is None:
        n_samples = round(max(p.start_s + p.duration_s for p in panels) * fs_hz)
    present = {p.lead for p in panels}
    leads = tuple(lead for lead in LEADS if lead in present) + tuple(sorted(present - set(LEADS)))
    samples = np.full((n_samples, len(leads)), np.nan, np.float32)
    sigma = np.full((n_samples, len(leads)), np.nan, np.float32)
    for index in sorted(range(len(panels)), key=lambda k: -panels[k].duration_s):
        panel = panels[index]
        column = leads.index(panel.lead)
        first, values, errors = panel_samples(panel, traces[index], fs_hz, n_samples)
        window = slice(first, first + len(values))
        gaps = ~np.isfinite(samples[window, column])
        samples[window, column] = np.where(gaps, values, samples[window, column])
        sigma[window, column] = np.where(gaps, errors, sigma[window, column])
    return Signal(samples, fs_hz, leads, sigma)


def panel_samples(
    panel: Panel, trace: LeadTrace, fs_hz: float, n_samples: int
) -> tuple[int, FloatArray, FloatArray]:
    """Return (first sample, values in mV, standard errors in mV) of one panel."""
    first = int(np.ceil(panel.start_s * fs_hz - 1e-6))
    stop = min(int(np.ceil((panel.start_s + panel.duration_s) * fs_hz - 1e-6)), n_samples)
    if stop <= first or len(trace.y_mm) < 2:
        return first, np.empty(0), np.empty(0)
    x = panel.box_mm[0] + (np.arange(first, stop) / fs_hz - panel.start_s) * panel.mm_per_s
    y = sample_at(trace.y_mm, trace.x0_mm, trace.step_mm, x)
    sign = -1.0 if panel.inverted else 1.0
    values = sign * (panel.baseline_mm - y) / panel.mm_per_mv
    positions = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    errors = np.interp(x, positions, trace.sigma_mm) / panel.mm_per_mv
    return first, values, errors


def lead_statuses(
    panels: Sequence[Panel], traces: Sequence[LeadTrace], signal: Signal
) -> tuple[LeadStatus, ...]:
    """Say what became of each of the twelve leads and of any other that is printed."""
    statuses = []
    for lead in (*LEADS, *(name for name in signal.leads if name not in LEADS)):
        own = [k for k, p in enumerate(panels) if p.lead == lead]
        if not own:
            statuses.append(LeadStatus(lead, "missing"))
            continue
        k = max(own, key=lambda j: panels[j].duration_s)
        visible = traces[k].visible
        coverage = float(visible.mean()) if len(visible) else 0.0
        kind: Literal["ok", "partial", "missing"] = (
            "missing" if coverage == 0 else "ok" if coverage >= _WHOLE else "partial"
        )
        statuses.append(
            LeadStatus(
                lead,
                kind,
                panels[k].start_s,
                panels[k].duration_s,
                coverage,
                stated_snr(signal, lead),
            )
        )
    return tuple(statuses)


def quality_of(signal: Signal, statuses: Sequence[LeadStatus], px_per_mm: float) -> Quality:
    """Return the page's overall figures."""
    printed = [s for s in statuses if s.status != "missing"]
    coverage = float(np.mean([s.coverage for s in printed])) if printed else 0.0
    predictions = [s.predicted_snr_db for s in printed if s.predicted_snr_db is not None]
    return Quality(
        px_per_mm=px_per_mm,
        limb_residual_mv=limb_residual_mv(signal),
        coverage=coverage,
        predicted_snr_db=float(np.mean(predictions)) if predictions else None,
    )


def limb_residual_mv(signal: Signal) -> float | None:
    """Median |II - I - III|, offset removed, over samples that show all three; or None."""
    if not {"I", "II", "III"} <= set(signal.leads):
        return None
    one, two, three = (
        signal.samples_mv[:, signal.leads.index(lead)].astype(float) for lead in ("I", "II", "III")
    )
    residual = two - one - three
    residual = residual[np.isfinite(residual)]
    if len(residual) < 10:
        return None
    return float(np.median(np.abs(residual - np.median(residual))))
