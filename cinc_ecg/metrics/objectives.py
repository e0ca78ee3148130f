"""What the training losses compute, for single signals in plain NumPy.

Each function has a differentiable twin in `cinc_ecg.models` that a property test compares it with.
Signals are 1-D, in mV; a sample counts where both are finite. NaN when none does, 0 for classes
without a known label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cinc_ecg.metrics.official_extra import compared_samples, compute_ks_metric

FloatArray = NDArray[np.float64]
_POWER_FLOOR_MV2 = 1e-6


def _shared(reference_mv: ArrayLike, estimate_mv: ArrayLike) -> tuple[FloatArray, FloatArray]:
    return compared_samples(np.asarray(reference_mv), np.asarray(estimate_mv))


def capped_snr_db(
    reference_mv: ArrayLike, estimate_mv: ArrayLike, *, cap_db: float = 30.0
) -> float:
    """Return 10 log10((S + e) / (N + 10^(-cap/10) S + e)), S and N mean powers, e = 1e-6 mV^2."""
    x, y = _shared(reference_mv, estimate_mv)
    if len(x) == 0:
        return float("nan")
    signal, noise = np.mean(x**2), np.mean((x - y) ** 2)
    share = 10 ** (-cap_db / 10)
    floor = _POWER_FLOOR_MV2
    return float(10 * np.log10((signal + floor) / (noise + share * signal + floor)))


def mean_squared_error(reference_mv: ArrayLike, estimate_mv: ArrayLike) -> float:
    """Return the mean squared error in mV^2."""
    x, y = _shared(reference_mv, estimate_mv)
    return float(np.mean((x - y) ** 2)) if len(x) else float("nan")


def mean_absolute_error(reference_mv: ArrayLike, estimate_mv: ArrayLike) -> float:
    """Return the mean absolute error in mV."""
    x, y = _shared(reference_mv, estimate_mv)
    return float(np.mean(np.abs(x - y))) if len(x) else float("nan")


def ks_distance(reference_mv: ArrayLike, estimate_mv: ArrayLike) -> float:
    """Return 1 minus the Challenge's KS metric."""
    x, y = _shared(reference_mv, estimate_mv)
    return 1 - compute_ks_metric(x, y) if len(x) else float("nan")


def soft_asci(
    reference_mv: ArrayLike, estimate_mv: ArrayLike, *, beta: float = 0.05, sharpness: float = 1.0
) -> float:
    """Return the mean of tanh(k (th - |e|) / th) with th = beta * std(reference), at least 1 uV.

    For a large k this is the Challenge's ASCI.
    """
    x, y = _shared(reference_mv, estimate_mv)
    if len(x) == 0:
        return float("nan")
    tolerance = max(beta * float(np.std(x)), 1e-3)
    return float(np.mean(np.tanh(sharpness * (tolerance - np.abs(x - y)) / tolerance)))


def soft_dtw_cost(x: ArrayLike, y: ArrayLike, *, gamma: float, band: int) -> float:
    """Return the banded soft-DTW cost of two signals of equal length, cell by cell.

    R[i, j] = (x_i - y_j)^2 - g log sum exp(-R / g) over the three neighbours before it (Cuturi and
    Blondel, arXiv 1703.01541). Quadratic and slow; for comparison.

    Raises:
        ValueError: the lengths differ.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) != len(b):
        raise ValueError(f"signals of {len(a)} and {len(b)} samples")
    if len(a) == 0:
        return 0.0
    n = len(a)
    table = np.full((n + 1, n + 1), np.inf)
    table[0, 0] = 0.0
    for i in range(n):
        for j in range(max(0, i - band), min(n, i + band + 1)):
            ways = -np.array([table[i, j], table[i, j + 1], table[i + 1, j]]) / gamma
            highest = ways.max()
            soft = -gamma * (highest + np.log(np.exp(ways - highest).sum()))
            table[i + 1, j + 1] = (a[i] - b[j]) ** 2 + soft
    return float(table[n, n])


def soft_dtw_divergence(
    reference_mv: ArrayLike, estimate_mv: ArrayLike, *, gamma: float = 0.01, band: int = 25
) -> float:
    """Return soft-DTW's divergence per sample in mV^2 (Blondel et al., arXiv 2010.08354)."""
    x, y = _shared(reference_mv, estimate_mv)
    if len(x) == 0:
        return float("nan")
    cross = soft_dtw_cost(x, y, gamma=gamma, band=band)
    own = [soft_dtw_cost(z, z, gamma=gamma, band=band) for z in (x, y)]
    return (cross - sum(own) / 2) / len(x)


def binary_cross_entropy(
    probability: ArrayLike, label: ArrayLike, known: ArrayLike, *, pos_weight: ArrayLike = 1.0
) -> float:
    """Return -(w y log p + (1 - y) log(1 - p)), averaged over known labels."""
    p, y = np.asarray(probability, np.float64), np.asarray(label, np.float64)
    values = -(np.asarray(pos_weight) * y * np.log(p) + (1 - y) * np.log(1 - p))
    return _known_mean(values, known)


def focal(
    probability: ArrayLike,
    label: ArrayLike,
    known: ArrayLike,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> float:
    """Return -a_t (1 - p_t)^g log p_t, averaged over known labels.

    Lin et al., arXiv 1708.02002.
    """
    p, y = np.asarray(probability, np.float64), np.asarray(label, np.float64)
    p_true = np.where(y == 1, p, 1 - p)
    weight = 1.0 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    return _known_mean(-weight * (1 - p_true) ** gamma * np.log(p_true), known)


def asymmetric(
    probability: ArrayLike,
    label: ArrayLike,
    known: ArrayLike,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
) -> float:
    """Return the asymmetric loss (Ridnik et al., arXiv 2009.14119), averaged over known labels."""
    p, y = np.asarray(probability, np.float64), np.asarray(label, np.float64)
    q = np.maximum(p - clip, 0)
    positive = -((1 - p) ** gamma_pos) * np.log(p)
    negative = -(q**gamma_neg) * np.log(1 - q)
    return _known_mean(np.where(y == 1, positive, negative), known)


def _known_mean(values: FloatArray, known: ArrayLike) -> float:
    keep = np.asarray(known, bool)
    return float(values[keep].mean()) if keep.any() else 0.0


def heat_divergence(
    heat: ArrayLike,
    row_y_px: ArrayLike,
    *,
    cell: tuple[int, int],
    sigma_px: float = 1.0,
    slope_share: float = 1 / np.sqrt(12),
) -> float:
    """Return the Kullback-Leibler divergence of one heat map from its trace, in nat per column.

    Args:
        heat: (H', W') logits.
        row_y_px: (W,) true y in picture pixels, NaN where nothing is printed; W = W' * cell x.
        cell: (y, x) picture pixels per heat cell.
        sigma_px: Width of the Gaussian beside half a cell.
        slope_share: Share of the slope that widens it.
    """
    logits, y_px = np.asarray(heat, np.float64), np.asarray(row_y_px, np.float64)
    centres = (np.arange(len(logits)) + 0.5) * cell[0] - 0.5
    steps = np.abs(np.diff(y_px))
    found = []
    for column in range(logits.shape[1]):
        inside = [c for c in range(column * cell[1], (column + 1) * cell[1]) if c < len(y_px)]
        inside = [c for c in inside if np.isfinite(y_px[c])]
        if not inside:
            continue
        slopes = []
        for c in inside:
            beside = [steps[k] for k in (c - 1, c) if 0 <= k < len(steps) and np.isfinite(steps[k])]
            slopes.append(float(np.mean(beside)) if beside else 0.0)
        spread = slope_share * float(np.mean(slopes)) * cell[1]
        sigma = np.hypot(sigma_px + cell[0] / 2, spread)
        wanted = np.exp(-0.5 * ((centres - y_px[inside].mean()) / sigma) ** 2)
        wanted /= wanted.sum()
        given = logits[:, column] - logits[:, column].max()
        given = given - np.log(np.exp(given).sum())
        positive = wanted > 0
        found.append(float((wanted[positive] * (np.log(wanted[positive]) - given[positive])).sum()))
    return float(np.mean(found)) if found else 0.0
