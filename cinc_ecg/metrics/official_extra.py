"""The official evaluator's extra metrics: KS, ASCI and the weighted absolute difference.

All of them look only at the samples that are finite in both signals, the shorter one being padded
with NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import filtfilt

FloatArray = NDArray[np.float64]


def pad_to_same_length(x_ref: FloatArray, x_est: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return float64 copies of both signals, the shorter one continued with NaN."""
    signals = [np.array(x, dtype=np.float64) for x in (x_ref, x_est)]
    length = max(len(x) for x in signals)
    padded = [np.pad(x, (0, length - len(x)), constant_values=np.nan) for x in signals]
    return padded[0], padded[1]


def compared_samples(
    x_ref: FloatArray, x_est: FloatArray, keep_nans: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Return the samples of both signals that are compared.

    Args:
        x_ref: (n,) reference.
        x_est: (m,) estimate.
        keep_nans: True leaves a non-finite sample of the estimate out; False counts it as 0.
    """
    x_ref, x_est = pad_to_same_length(x_ref, x_est)
    if not keep_nans:
        x_est[~np.isfinite(x_est)] = 0
    both = np.isfinite(x_ref) & np.isfinite(x_est)
    return x_ref[both], x_est[both]


def compute_ks_metric(x_ref: FloatArray, x_est: FloatArray, keep_nans: bool = True) -> float:
    """Return 1 minus the largest distance of the normalised cumulative sums of |x| over time.

    Raises:
        IndexError: No sample is finite in both (quirk B8).
    """
    x_ref, x_est = compared_samples(x_ref, x_est, keep_nans)
    curves = []
    for x in (x_ref, x_est):
        curve = np.cumsum(np.abs(x))
        curves.append(curve / curve[-1] if curve[-1] > 0 else curve)
    return float(1 - np.max(np.abs(curves[0] - curves[1])))


def compute_asci_metric(
    x_ref: FloatArray, x_est: FloatArray, beta: float = 0.05, keep_nans: bool = True
) -> float:
    """Return the mean of +1 where the error is within beta standard deviations, else -1.

    Returns:
        A value in [-1, 1]; NaN when no sample is finite in both.

    Raises:
        ValueError: beta is outside (0, 1].
    """
    if not 0 < beta <= 1:
        raise ValueError(f"beta must lie in (0, 1], not {beta}")
    x_ref, x_est = compared_samples(x_ref, x_est, keep_nans)
    if len(x_ref) == 0:
        return float("nan")
    close = np.abs(x_ref - x_est) <= beta * np.std(x_ref)
    return float(np.mean(np.where(close, 1.0, -1.0)))


def compute_weighted_absolute_difference(
    x_ref: FloatArray, x_est: FloatArray, sampling_frequency: float, keep_nans: bool = True
) -> float:
    """Return the mean absolute error, weighted down to a half where the smoothed reference is high.

    The weight is 1 - 0.5 s / max(s), s being the reference filtered forwards and backwards by a
    window of ones of 0.1 s. Samples left out are cut out, not bridged.

    Raises:
        ValueError: No sample is finite in both (quirk B8).
    """
    x_ref, x_est = compared_samples(x_ref, x_est, keep_nans)
    m = int(np.round(0.1 * sampling_frequency))
    smooth = filtfilt(np.ones(m), m, x_ref, method="gust")
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = 1 - 0.5 * smooth / np.max(smooth)
        return float(np.sum(np.abs(x_ref - x_est) * weights) / np.sum(weights))
