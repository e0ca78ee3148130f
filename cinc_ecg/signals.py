"""Signal arithmetic: band-limited resampling, gap filling."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from cinc_ecg.types import FloatArray

#: FFT interpolation to this multiple of the input rate, then a cubic spline: its error is then
#: below -80 dB.
_OVERSAMPLING = 8


def fill_gaps(values: FloatArray) -> FloatArray:
    """Return a copy with NaN runs bridged linearly and edges held; all NaN gives zeros."""
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    if finite.all():
        return values.copy()
    if not finite.any():
        return np.zeros_like(values)
    index = np.arange(len(values))
    return np.interp(index, index[finite], values[finite])


def upsample(values: FloatArray, factor: int) -> FloatArray:
    """Interpolate n finite samples to (n - 1) * factor + 1 by zero-padding the spectrum.

    The ends are continued by odd reflection about the end samples, so that no step appears where
    the FFT wraps.
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 3 or factor == 1:
        positions = np.arange((n - 1) * factor + 1) / factor
        return np.interp(positions, np.arange(n), values)
    pad = min(n - 1, 64)
    left = 2 * values[0] - values[pad:0:-1]
    right = 2 * values[-1] - values[-2 : -pad - 2 : -1]
    padded = np.concatenate([left, values, right])
    # A straight line is taken off first: what is left starts and ends at zero and wraps without a
    # step.
    line = np.linspace(padded[0], padded[-1], len(padded))
    m = len(padded) - 1  # the last point equals the first after detrending
    spectrum = np.fft.rfft((padded - line)[:-1])
    wide = np.zeros(m * factor // 2 + 1, complex)
    wide[: len(spectrum)] = spectrum
    if m % 2 == 0:
        wide[m // 2] *= 0.5  # the Nyquist bin is shared between both sides
    fine = np.fft.irfft(wide, m * factor) * factor
    fine = np.append(fine, fine[0]) + np.linspace(padded[0], padded[-1], m * factor + 1)
    return fine[pad * factor : pad * factor + (n - 1) * factor + 1]


def sample_at(values: FloatArray, start: float, step: float, at: FloatArray) -> FloatArray:
    """Evaluate a uniformly sampled signal at arbitrary positions, band-limited.

    Args:
        values: (n,) samples at `start + k * step`; NaN = unknown.
        start, step: Position of the first sample and distance, in any unit.
        at: Positions in the same unit.

    Returns:
        Values at `at`; NaN outside the samples' span (half a step of tolerance) and inside NaN
        runs.
    """
    values = np.asarray(values, float)
    at = np.asarray(at, float)
    result = np.full(at.shape, np.nan)
    finite = np.isfinite(values)
    if not finite.any() or len(values) < 2:
        return result
    fine = upsample(fill_gaps(values), _OVERSAMPLING)
    position = (at - start) / step
    inside = (position >= -0.5) & (position <= len(values) - 0.5)
    clipped = np.clip(position, 0, len(values) - 1)
    spline = CubicSpline(np.arange(len(fine)) / _OVERSAMPLING, fine)
    near = np.clip(np.rint(clipped).astype(int), 0, len(values) - 1)
    keep = inside & finite[near]
    result[keep] = spline(clipped[keep])
    return result


def resample(
    samples: FloatArray, fs_in_hz: float, fs_out_hz: float, n_out: int | None = None
) -> FloatArray:
    """Resample (n_samples, n_leads); sample 0 stays at time 0, NaN windows stay NaN."""
    samples = np.asarray(samples, float)
    if n_out is None:
        n_out = round(len(samples) * fs_out_hz / fs_in_hz)
    if fs_in_hz == fs_out_hz and n_out == len(samples):
        return samples.copy()
    at = np.arange(n_out) / fs_out_hz
    columns = [sample_at(lead, 0.0, 1.0 / fs_in_hz, at) for lead in samples.T]
    return np.stack(columns, 1)
