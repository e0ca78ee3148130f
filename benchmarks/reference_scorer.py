"""The official digitization scores, line by line from their definition: slow, nothing else.

What the package computes must equal this to 1e-9 (tests/unit/metrics/test_official.py) and be
several times faster (benchmarks/score_speed.py).
"""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve, filtfilt

Q = 256


def picture(x, low, high, length):
    """Draw the binary picture of a signal."""
    image = np.zeros((Q, length))
    for column, value in enumerate(x):
        if np.isfinite(value):
            row = 1.0 if high == low else np.round((Q - 1) * (value - low) / (high - low) + 1)
            image[int(min(max(row, 1), Q)) - 1, column] = 1
    return image


def peak(correlation):
    """Return (row, column) of the first maximum in row-major order."""
    return np.unravel_index(np.argmax(correlation), correlation.shape)


def align(x, y, version):
    """Return y moved onto x, the shift in samples and the one in mV."""
    if not np.any(np.isfinite(x)) or not np.any(np.isfinite(y)):
        return y.copy(), 0, 0.0
    low = min(np.nanmin(x), np.nanmin(y))
    high = max(np.nanmax(x), np.nanmax(y))
    length = max(len(x), len(y))
    a = gaussian_filter(picture(x, low, high, length), 0.5)
    b = gaussian_filter(picture(y, low, high, length), 0.5)
    auto = peak(fftconvolve(a, np.flip(a, axis=(0, 1)), mode="full"))
    cross = peak(fftconvolve(a, np.flip(b, axis=(0, 1)), mode="full"))
    k = int(auto[1] - cross[1])
    dv = (auto[0] - cross[0]) / (Q - 1) * (high - low)
    if k > 0:
        moved = np.append(y[k:], [np.nan] * k)
    elif k < 0:
        kept = y if version == "2024-09" else y[:-k]
        moved = np.append([np.nan] * -k, kept)
    else:
        moved = y.copy()
    return moved - dv, k, dv


def pair(x, y):
    """Continue the shorter signal with NaN."""
    n = max(len(x), len(y))
    x = np.append(x, [np.nan] * (n - len(x)))
    y = np.append(y, [np.nan] * (n - len(y)))
    return x, y


def snr(x, y, median=False):
    """Return SNR (dB, weighted by coverage), signal power, noise power."""
    x, y = pair(x, y)
    f = np.isfinite(x)
    i = f & np.isfinite(y)
    if i.sum() == 0:
        return (0.0 if f.sum() > 0 else np.nan), np.nan, np.nan
    ps = np.mean(x[i] ** 2)
    pn = (np.median if median else np.mean)((x[i] - y[i]) ** 2)
    value = 10 * np.log10(ps / pn) if ps > 0 and pn > 0 else np.nan
    return value * (i.sum() / f.sum()), ps, pn


def extra(x, y, fs):
    """Return the SNR-median tuple, KS, ASCI and weighted absolute difference."""
    x, y = pair(x, y)
    i = np.isfinite(x) & np.isfinite(y)
    median = snr(x, y, median=True)
    x, y = x[i], y[i]
    cx, cy = np.cumsum(np.abs(x)), np.cumsum(np.abs(y))
    cx, cy = (c / c[-1] if c[-1] > 0 else c for c in (cx, cy))
    ks = 1 - np.max(np.abs(cx - cy))
    asci = np.mean([1 if abs(a - b) <= 0.05 * np.std(x) else -1 for a, b in zip(x, y, strict=True)])
    m = int(np.round(0.1 * fs))
    s = filtfilt(np.ones(m), m, x, method="gust")
    w = 1 - 0.5 * s / np.max(s)
    return median, ks, asci, np.sum(np.abs(x - y) * w) / np.sum(w)


def aligned(x, y, fs, version="2024-09"):
    """Return y as it is scored, the shifts, and whether they were accepted."""
    moved, k, dv = align(x, y, version)
    accepted = abs(k) <= np.round(0.5 * fs) and abs(dv) <= 1.0
    return (moved if accepted else y), k, dv, accepted


def score(x, y, fs, version="2024-09", shift=True):
    """Return the SNR in dB of one lead."""
    return snr(x, aligned(x, y, fs, version)[0] if shift else y)[0]
