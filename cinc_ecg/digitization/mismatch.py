"""Say in words why simultaneous leads contradict each other: swap, sign, gain or time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import minimize_scalar

from cinc_ecg.types import FloatArray

#: A cause counts when it leaves less than this share of the contradiction; causes that leave about
#: as little as the best (within the factor) are named with it.
_EXPLAINED = 0.4
_AS_GOOD = 1.3
_MOST_NAMED = 3
_GAINS = (0.25, 4.0)
_SAME_GAIN = 0.1
_LAGS_S = (0.012, 0.4)


def has_simple_cause(
    leads: Sequence[str], model: FloatArray, values: FloatArray, sigma: FloatArray
) -> bool:
    """Tell whether a swap, a sign or a gain accounts for most of what leads differ by.

    Reading errors look like none of these, so this finds a mistake even where the standard errors
    are stated too large to make it stand out. Arguments as in `explain`.
    """
    weight, data = _weighted(values, sigma)
    power = data.T @ data
    causes = [*_relabelled(leads, model, weight, power), *_scaled(leads, model, weight, power)]
    before = _left_over(model * weight[:, None], power)
    return min((cost for cost, _ in causes), default=np.inf) < _EXPLAINED * before


def explain(
    leads: Sequence[str],
    model: FloatArray,
    values: FloatArray,
    sigma: FloatArray,
    columns: Sequence[int],
    fs_hz: float,
) -> str:
    """Name the causes that remove most of a contradiction between simultaneous leads.

    Every cause is tried by least squares with one weight per lead. Some cannot be told apart: with
    I, II and III alone, I and II swapped looks like III upside down; then both are named.

    Args:
        leads: Names of the k traces.
        model: (k, d) coefficients of the traces.
        values, sigma: (n, k) readings in mV and their standard errors.
        columns: Number of the printed column each trace stands in.
        fs_hz: Sampling rate.

    Returns:
        A clause such as "I and II may be swapped, or III may be upside down".
    """
    weight, data = _weighted(values, sigma)
    power = data.T @ data
    before = _left_over(model * weight[:, None], power)
    found = [
        *_relabelled(leads, model, weight, power),
        *_scaled(leads, model, weight, power),
        *_moved(leads, model * weight[:, None], data, columns, fs_hz),
    ]
    found.sort(key=lambda item: item[0])
    if not found or found[0][0] > _EXPLAINED * before:
        return "no single swap, sign, gain or delay explains it"
    limit = _AS_GOOD * found[0][0] + 0.01 * before
    return ", or ".join([text for cost, text in found if cost <= limit][:_MOST_NAMED])


def _weighted(values: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return one weight per lead, and the readings about their means times it."""
    weight = 1.0 / np.median(sigma, 0)
    return weight, (values - values.mean(0)) * weight


def _left_over(model: FloatArray, power: FloatArray) -> float:
    """Return the power outside the span of the model; `power` is the data's (k, k) Gram matrix."""
    basis, size, _ = np.linalg.svd(model, full_matrices=False)
    basis = basis[:, size > 1e-9 * size[0]]
    return float(np.trace(power) - np.trace(basis.T @ power @ basis))


def _relabelled(
    leads: Sequence[str], model: FloatArray, weight: FloatArray, power: FloatArray
) -> Iterator[tuple[float, str]]:
    """Try two leads swapped and one upside down."""
    for i, j in combinations(range(len(leads)), 2):
        if leads[i] != leads[j]:
            order = np.arange(len(leads))
            order[[i, j]] = j, i
            cost = _left_over(model[order] * weight[:, None], power)
            yield cost, f"{leads[i]} and {leads[j]} may be swapped"
    for i, lead in enumerate(leads):
        signs = np.where(np.arange(len(leads)) == i, -1.0, 1.0)
        yield _left_over(model * (signs * weight)[:, None], power), f"{lead} may be upside down"


def _scaled(
    leads: Sequence[str], model: FloatArray, weight: FloatArray, power: FloatArray
) -> Iterator[tuple[float, str]]:
    """Try one lead at another gain, whatever fits best."""
    for i, lead in enumerate(leads):

        def cost(log_gain: float, i: int = i) -> float:
            gains = np.where(np.arange(len(leads)) == i, np.exp(log_gain), 1.0)
            return _left_over(model * (gains * weight)[:, None], power)

        best = minimize_scalar(cost, bounds=np.log(_GAINS), method="bounded")
        gain = float(np.exp(best.x))
        if abs(gain - 1) > _SAME_GAIN and _GAINS[0] * 1.05 < gain < _GAINS[1] / 1.05:
            yield float(best.fun), f"{lead} may have {gain:.2g} times the gain assumed"


def _moved(
    leads: Sequence[str],
    model: FloatArray,
    data: FloatArray,
    columns: Sequence[int],
    fs_hz: float,
) -> Iterator[tuple[float, str]]:
    """Try one lead, or one printed column of leads, at another time."""
    alone = [(k,) for k in range(len(leads))]
    together = [
        tuple(k for k in range(len(leads)) if columns[k] == c) for c in sorted(set(columns))
    ]
    least, most = round(_LAGS_S[0] * fs_hz), min(round(_LAGS_S[1] * fs_hz), len(data) // 3)
    middle = slice(most, len(data) - most)
    for moved in dict.fromkeys(alone + [t for t in together if 1 < len(t) < len(leads)]):
        best, at = np.inf, 0
        shifted = data[middle].copy()
        for lag in (*range(-most, -least + 1), *range(least, most + 1)):
            shifted[:, moved] = data[middle.start + lag : middle.stop + lag, moved]
            cost = _left_over(model, shifted.T @ shifted) * len(data) / len(shifted)
            if cost < best:
                best, at = cost, lag
        names = ", ".join(leads[k] for k in moved)
        how = "late" if at > 0 else "early"
        yield best, f"{names} may be {abs(at) / fs_hz * 1e3:.0f} ms too {how}"
