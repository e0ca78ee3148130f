"""How good a page's leads are expected to be, and a warning where that is not good enough.

The standard errors of a trace know blur, noise and missing ink. They do not know that a stroke was
taken for another or that a lead is out of time. What the limb leads contradict each other by does:
II = I + III holds for any heart. Both together, weighted as on rendered pages whose truth is known
(`python -m benchmarks.calibrate_snr`), give the expected signal-to-noise ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cinc_ecg.types import LeadStatus, Note, Signal

#: A lead below this is read badly. A warning names those expected below the second value: what is
#: expected lies nearer to the middle than what comes.
LOW_SNR_DB, WARN_BELOW_DB = 8.0, 12.0
#: A contradiction smaller than this is that of rounding.
_FLOOR_MV = 0.003
#: Fewer leads than this are what a page of limb or chest leads alone does not show either.
_FEW_LEADS = 6
#: Flat lines: less power than any lead with beats has.
_LEAST_POWER_DB = -35.0
#: No expectation leaves this range: beyond it there were no pages to learn from.
_RANGE_DB = (-5.0, 35.0)


@dataclass(frozen=True, slots=True)
class SnrModel:
    """A sum of what is known about a lead, in dB.

    Attributes:
        constant: The sum's start.
        stated: Weight of the ratio that the standard errors state, in dB.
        power: Weight of the lead's power, in dB re 1 mV².
        coverage: Weight of the share of the lead whose ink was seen, 0..1.
        limb: Weight of log10 of the limb leads' contradiction in mV.
    """

    constant: float
    stated: float
    power: float
    coverage: float
    limb: float = 0.0


#: With and without limb leads to compare; from `python -m benchmarks.calibrate_snr`.
WITH_LIMB_LEADS = SnrModel(-74.00, 0.78, -0.22, 63.37, -7.30)
WITHOUT_LIMB_LEADS = SnrModel(-82.86, 1.01, -0.38, 80.93)


def stated_snr(signal: Signal, lead: str) -> float | None:
    """Return a lead's power about its mean over the mean squared standard error, in dB.

    None where there are no standard errors, or too few samples.
    """
    facts = power_and_noise(signal, lead)
    return None if facts is None else float(10 * np.log10(facts[0] / facts[1]))


def power_and_noise(signal: Signal, lead: str) -> tuple[float, float] | None:
    """Return a lead's variance and mean squared standard error in mV², None where there is none."""
    if signal.sigma_mv is None or lead not in signal.leads:
        return None
    column = signal.leads.index(lead)
    values = signal.samples_mv[:, column].astype(float)
    errors = signal.sigma_mv[:, column].astype(float)
    known = np.isfinite(values) & np.isfinite(errors)
    if known.sum() < 10:
        return None
    power, noise = float(np.var(values[known])), float(np.mean(errors[known] ** 2))
    return (power, noise) if power > 0 and noise > 0 else None


def expected_snr(
    signal: Signal, lead: str, coverage: float, limb_residual_mv: float | None
) -> float | None:
    """Return the signal-to-noise ratio to be expected of a lead read from pixels, in dB.

    Args:
        signal: Samples and standard errors.
        lead: Its name.
        coverage: Share of the lead whose ink was seen.
        limb_residual_mv: Median of abs(II - I - III) as read, None where it cannot be told.
    """
    facts = power_and_noise(signal, lead)
    if facts is None:
        return None
    power, noise = facts
    model = WITHOUT_LIMB_LEADS if limb_residual_mv is None else WITH_LIMB_LEADS
    terms = features(power, noise, coverage, limb_residual_mv)
    weights = (model.stated, model.power, model.coverage, model.limb)
    value = model.constant + sum(w * t for w, t in zip(weights, terms, strict=True))
    return float(np.clip(value, *_RANGE_DB))


def features(
    power_mv2: float, noise_mv2: float, coverage: float, limb_residual_mv: float | None
) -> tuple[float, float, float, float]:
    """Return what `SnrModel` weighs: stated ratio, power (in dB), coverage, log of the misfit."""
    limb = 0.0 if limb_residual_mv is None else float(np.log10(limb_residual_mv + _FLOOR_MV))
    stated = float(10 * np.log10(power_mv2 / noise_mv2))
    return stated, max(float(10 * np.log10(power_mv2)), _LEAST_POWER_DB), coverage, limb


def with_expected_snr(
    statuses: Sequence[LeadStatus], signal: Signal, limb_residual_mv: float | None
) -> tuple[LeadStatus, ...]:
    """Put the expected ratio into the statuses of the leads that are there."""
    return tuple(
        status
        if status.status == "missing"
        else replace(
            status,
            predicted_snr_db=expected_snr(signal, status.lead, status.coverage, limb_residual_mv),
        )
        for status in statuses
    )


def few_leads_notes(statuses: Sequence[LeadStatus]) -> list[Note]:
    """Warn where so few leads were recognised that a usual page has probably been misread."""
    read = [status.lead for status in statuses if status.status != "missing"]
    if len(read) >= _FEW_LEADS:
        return []
    text = (
        f"only {len(read)} of 12 leads were recognised ({', '.join(read)}); if the page shows "
        "more, look at the overlay and give --layout or --leads"
    )
    return [Note("few_leads", "warning", "page", text)]


def quality_notes(statuses: Sequence[LeadStatus], *, named: bool = False) -> list[Note]:
    """Warn of what makes a result doubtful as a whole.

    Args:
        named: The user named the leads, so their number is no surprise.
    """
    return [*([] if named else few_leads_notes(statuses)), *low_snr_notes(statuses)]


def low_snr_notes(statuses: Sequence[LeadStatus]) -> list[Note]:
    """Warn of leads that are expected to be poor."""
    poor = [
        (status.lead, status.predicted_snr_db)
        for status in statuses
        if status.predicted_snr_db is not None and status.predicted_snr_db < WARN_BELOW_DB
    ]
    if not poor:
        return []
    worst = ", ".join(f"{lead} ({value:.0f} dB)" for lead, value in poor)
    text = f"probably read badly: {worst}; look at the overlay before you use them"
    return [Note("low_snr", "warning", ", ".join(lead for lead, _ in poor), text)]
