"""The score of the Kaggle 2025 competition "PhysioNet - Digitization of ECG Images".

Per lead the estimate is shifted in time (cross-correlation, limited lag) and in level (mean
difference, unlimited); then signal and noise energies are pooled over the leads of a picture, and
the linear ratios, capped, are averaged over pictures before the result is turned into decibels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

FloatArray = NDArray[np.float64]

#: Ceiling of a picture's linear ratio (25.84 dB); copies of the metric differ, so it is an option.
CAP = 384.0
#: Largest shift in time.
MAX_LAG_S = 0.2


def align_kaggle(
    reference_mv: FloatArray, estimate_mv: FloatArray, fs_hz: float, *, max_lag_s: float = MAX_LAG_S
) -> FloatArray:
    """Return the estimate moved onto the reference; samples lost at an edge are NaN.

    Args:
        reference_mv: (n,) finite.
        estimate_mv: (n,) finite.
        fs_hz: Sampling rate.
        max_lag_s: Largest shift in time.
    """
    n = len(reference_mv)
    centred = reference_mv - reference_mv.mean(), estimate_mv - estimate_mv.mean()
    correlation = correlate(*centred, mode="full", method="fft")
    lags = np.arange(-(n - 1), n)
    allowed = np.abs(lags) <= int(max_lag_s * fs_hz)
    lags, correlation = lags[allowed], correlation[allowed]
    # Ties, up to the rounding of the transform, go to the smallest shift.
    scale = np.sqrt(np.square(centred[0]).sum() * np.square(centred[1]).sum())
    best = lags[correlation >= correlation.max() - 1e-12 * scale]
    lag = int(best[np.argmin(np.abs(best))])
    moved = np.full(n, np.nan)
    if lag >= 0:
        moved[lag:] = estimate_mv[: n - lag]
    else:
        moved[:lag] = estimate_mv[-lag:]
    return moved - np.nanmean(moved - reference_mv)


def picture_ratio(
    leads: Iterable[tuple[FloatArray, FloatArray]],
    fs_hz: float,
    *,
    cap: float = CAP,
    max_lag_s: float = MAX_LAG_S,
) -> float:
    """Return a picture's linear signal-to-noise ratio, at most `cap`.

    Args:
        leads: (reference, estimate) per lead in mV over its printed window, both finite; samples
            that the estimate lacks must have been set to 0 by the caller.
        fs_hz: Sampling rate.
        cap: Ceiling; also the value of a perfect estimate.
        max_lag_s: Largest shift in time.
    """
    p_signal = p_noise = 0.0
    for reference, estimate in leads:
        moved = np.nan_to_num(align_kaggle(reference, estimate, fs_hz, max_lag_s=max_lag_s))
        p_signal += float(np.square(reference).sum())
        p_noise += float(np.square(reference - moved).sum())
    if p_signal == 0:
        return 0.0
    return min(p_signal / p_noise, cap) if p_noise > 0 else cap


def kaggle_score(ratios: Sequence[float], *, cap: float = CAP) -> float:
    """Return the competition's score in dB: of the mean linear ratio, not less than `-cap`."""
    if not ratios:
        return float("nan")
    mean = float(np.mean(ratios))
    return max(10 * float(np.log10(mean)), -cap) if mean > 0 else -cap


def printed_pairs(
    reference: FloatArray, estimate: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Cut both signals to each lead's printed window: where the reference is finite.

    The competition forbids gaps in a submission; here samples the estimate lacks count as 0 mV.

    Args:
        reference: (n, n_leads) in mV, NaN outside the printed windows.
        estimate: (m, n_leads) in mV.
    """
    n = min(len(reference), len(estimate))
    filled = np.zeros(reference.shape)
    filled[:n] = np.nan_to_num(estimate[:n], nan=0.0, posinf=0.0, neginf=0.0)
    pairs = []
    for lead in range(reference.shape[1]):
        printed = np.isfinite(reference[:, lead])
        if printed.any():
            pairs.append((reference[printed, lead], filled[printed, lead]))
    return pairs
