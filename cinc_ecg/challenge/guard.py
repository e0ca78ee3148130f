"""The last step before a signal leaves for the Challenge: the shape and values its drivers can
write.

One value out of range aborts the organizers' whole run, so nothing passes here unchecked.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.leads import canonical_lead
from cinc_ecg.signals import fill_gaps, resample
from cinc_ecg.types import LeadStatus, RecordHeader, Signal

#: Beyond any electrocardiogram, well inside what format 16 holds.
MAX_MV = 10.0


def guard(
    signal: Signal, header: RecordHeader, statuses: Iterable[LeadStatus] = ()
) -> NDArray[np.float32]:
    """Fit a signal to what a record's header promises.

    A lead is NaN outside its printed window. A lead whose predicted signal-to-noise ratio is below
    0 dB is left out, because an absent lead scores 0 dB. Gaps inside a kept lead's window are
    filled, because missing samples lower its score.

    Args:
        signal: As digitized.
        header: Rate, length and lead order to deliver; lead names in any case.
        statuses: Windows and predicted quality per lead, where known.

    Returns:
        (n_samples, n_leads) float32 in mV: NaN or finite within +-10.
    """
    n_samples = max(header.n_samples, 0)
    out = np.full((n_samples, len(header.leads)), np.nan)
    if n_samples == 0 or signal.samples_mv.size == 0:
        return out.astype(np.float32)
    samples = np.where(np.isfinite(signal.samples_mv), signal.samples_mv, np.nan)
    samples = _fit(samples, signal.fs_hz, header.fs_hz, n_samples)
    columns = {canonical_lead(name) or name: k for k, name in enumerate(signal.leads)}
    known = {status.lead: status for status in statuses}
    for k, name in enumerate(header.leads):
        lead = canonical_lead(name) or name
        status = known.get(lead)
        if lead in columns and not _hopeless(status):
            out[:, k] = _filled(samples[:, columns[lead]], status, header.fs_hz)
    return np.clip(out, -MAX_MV, MAX_MV).astype(np.float32)


def _fit(
    samples: NDArray[np.floating], fs_in_hz: float, fs_out_hz: float, n_out: int
) -> NDArray[np.floating]:
    """Resample, then cut or continue with NaN to the wanted length."""
    if fs_in_hz != fs_out_hz:
        reach = round(len(samples) * fs_out_hz / fs_in_hz)
        samples = resample(samples, fs_in_hz, fs_out_hz, min(n_out, reach))
    missing = n_out - len(samples)
    if missing > 0:
        samples = np.vstack([samples, np.full((missing, samples.shape[1]), np.nan)])
    return samples[:n_out]


def _hopeless(status: LeadStatus | None) -> bool:
    if status is None:
        return False
    predicted = status.predicted_snr_db
    return status.status == "missing" or (predicted is not None and predicted < 0.0)


def _filled(
    values: NDArray[np.floating], status: LeadStatus | None, fs_hz: float
) -> NDArray[np.floating]:
    """Bridge the gaps between a lead's first and last sample, or within its printed window."""
    found = np.flatnonzero(np.isfinite(values))
    if not len(found):
        return values
    start, stop = int(found[0]), int(found[-1]) + 1
    if status is not None and status.duration_s > 0:
        start = min(start, max(0, round(status.start_s * fs_hz)))
        stop = max(stop, min(len(values), round((status.start_s + status.duration_s) * fs_hz)))
    out = values.copy()
    out[start:stop] = fill_gaps(values[start:stop])
    return out
