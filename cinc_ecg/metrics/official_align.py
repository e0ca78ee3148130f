"""The official alignment of an estimated lead to its reference, in both published versions.

Each signal becomes a binary picture of 256 levels by time, slightly blurred; the peak of the two
pictures' cross-correlation, measured from the peak of the reference's auto-correlation, gives a
shift in samples and one in millivolts. `align_signals` finds that peak with `official_search` where
the answer is proven to be the same, and with the literal transforms otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from cinc_ecg.metrics.official_search import find_peak_lag

FloatArray = NDArray[np.float64]
#: "2024-09" scored the 2024 Challenge; "2025-10" is the public code since 2025-10-17.
OfficialVersion = Literal["2024-09", "2025-10"]
VERSIONS: tuple[OfficialVersion, ...] = ("2024-09", "2025-10")

#: Levels of the alignment picture.
LEVELS = 256
#: A shift is used only up to these limits; beyond, the lead is scored as it came.
MAX_SHIFT_S = 0.5
MAX_SHIFT_MV = 1.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """An estimate moved onto its reference.

    Attributes:
        estimate_mv: The estimate as it is scored: moved when `accepted`, untouched otherwise.
        shift_samples: How late the estimate is (negative: early).
        shift_mv: How high the estimate is.
        accepted: Whether the shift is within the official limits.
    """

    estimate_mv: FloatArray
    shift_samples: int
    shift_mv: float
    accepted: bool


def align_lead(
    reference_mv: FloatArray,
    estimate_mv: FloatArray,
    fs_hz: float,
    *,
    version: OfficialVersion = "2024-09",
    literal: bool = False,
) -> Alignment:
    """Move an estimate onto its reference as the official evaluator does.

    A shift beyond half a second (rounded half to even, in samples) or 1 mV is dropped, not clamped
    (quirk B6).

    Args:
        reference_mv: (n,) reference.
        estimate_mv: (m,) estimate at the same rate.
        fs_hz: Sampling rate.
        version: Which published evaluator.
        literal: Always use the literal transforms.
    """
    shifted, shift_samples, shift_mv = align_signals(
        reference_mv, estimate_mv, LEVELS, version=version, literal=literal
    )
    limit = np.round(MAX_SHIFT_S * fs_hz)
    accepted = bool(abs(shift_samples) <= limit and abs(shift_mv) <= MAX_SHIFT_MV)
    estimate = shifted if accepted else np.array(estimate_mv, dtype=np.float64)
    return Alignment(estimate, shift_samples, shift_mv, accepted)


def align_signals(
    x_ref: FloatArray,
    x_est: FloatArray,
    num_quant_levels: int,
    smooth: bool = True,
    sigma: float = 0.5,
    *,
    version: OfficialVersion = "2024-09",
    literal: bool = False,
) -> tuple[FloatArray, int, float]:
    """Find and undo the shift of `x_est` against `x_ref`, without any limit on it.

    Args:
        x_ref: (n,) reference in mV, NaN allowed.
        x_est: (m,) estimate in mV, NaN allowed.
        num_quant_levels: Rows of the pictures.
        smooth: Blur the pictures.
        sigma: Standard deviation of the blur, in levels and samples.
        version: Which published evaluator.
        literal: Always use the literal transforms.

    Returns:
        The moved estimate, its horizontal offset in samples (positive: late) and its vertical
        offset in mV.
    """
    x_ref = np.asarray(x_ref, dtype=np.float64)
    x_est = np.asarray(x_est, dtype=np.float64)
    if not np.isfinite(x_ref).any() or not np.isfinite(x_est).any():
        return x_est.copy(), 0, 0.0
    low = min(np.nanmin(x_ref), np.nanmin(x_est))
    high = max(np.nanmax(x_ref), np.nanmax(x_est))
    length = max(len(x_ref), len(x_est))
    row_lag = column_lag = None
    if not literal and smooth and np.isfinite(high - low) and high > low:
        rows_ref = _levels(x_ref, num_quant_levels, low, high)
        rows_est = _levels(x_est, num_quant_levels, low, high)
        found = find_peak_lag(rows_ref, rows_est, num_quant_levels, length, sigma)
        if found is not None:
            row_lag, column_lag = found
    if row_lag is None or column_lag is None:
        row_lag, column_lag = _literal_lag(
            convert_signal(x_ref, num_quant_levels, low, high, length),
            convert_signal(x_est, num_quant_levels, low, high, length),
            sigma if smooth else None,
        )
    offset_mv = float(row_lag / (num_quant_levels - 1) * (high - low))
    return shift_samples(x_est, column_lag, version) - offset_mv, column_lag, offset_mv


def shift_samples(x: FloatArray, late_by: int, version: OfficialVersion = "2024-09") -> FloatArray:
    """Undo a horizontal offset.

    A late signal loses its first samples and gains NaN at the end. An early one gains NaN in front;
    the 2025-10 evaluator then keeps only its first `-late_by` samples instead of all but the last
    ones (quirk B1).
    """
    if late_by > 0:
        return np.concatenate((x[late_by:], np.full(late_by, np.nan)))
    if late_by < 0:
        early_by = -late_by
        kept = x if version == "2024-09" else x[:early_by]
        return np.concatenate((np.full(early_by, np.nan), kept))
    return x.copy()


def convert_signal(
    x: FloatArray, num_quant_levels: int, min_amp: float, max_amp: float, max_t: int
) -> FloatArray:
    """Draw a signal as a binary picture: (num_quant_levels, max_t), one pixel per finite sample."""
    picture = np.zeros((num_quant_levels, max_t), dtype=np.float64)
    levels = _levels(np.asarray(x, dtype=np.float64), num_quant_levels, min_amp, max_amp)
    columns = np.flatnonzero(levels >= 0)
    picture[levels[columns], columns] = 1
    return picture


def fft_correlate(A_ref: FloatArray, A_est: FloatArray) -> FloatArray:
    """Cross-correlate two pictures of the same shape at every lag (mode "full")."""
    return fftconvolve(A_ref, np.flip(A_est), mode="full")


def _levels(x: FloatArray, n_levels: int, low: float, high: float) -> NDArray[np.int64]:
    """Return each sample's level, rounded half to even (quirk B14); -1 where not finite."""
    finite = np.isfinite(x)
    levels = np.full(len(x), -1, dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.round((n_levels - 1) * (x[finite] - low) / (high - low) + 1)
    # A flat pair gives 0/0, which becomes the lowest level.
    scaled = np.clip(np.nan_to_num(scaled, nan=1.0), 1, n_levels)
    levels[finite] = scaled.astype(np.int64) - 1
    return levels


def _literal_lag(ref: FloatArray, est: FloatArray, sigma: float | None) -> tuple[int, int]:
    """Return how high and how late the estimate is, by the definition's two correlations."""
    if sigma is not None:
        ref = gaussian_filter(ref, sigma)
        est = gaussian_filter(est, sigma)
    shape = (2 * ref.shape[0] - 1, 2 * ref.shape[1] - 1)
    auto = np.unravel_index(np.argmax(fft_correlate(ref, ref)), shape)
    cross = np.unravel_index(np.argmax(fft_correlate(ref, est)), shape)
    return int(auto[0] - cross[0]), int(auto[1] - cross[1])
