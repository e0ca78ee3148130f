"""Plain distances between two leads over the samples finite in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.metrics.official_extra import compared_samples, pad_to_same_length

FloatArray = NDArray[np.float64]


def rmse(reference_mv: FloatArray, estimate_mv: FloatArray) -> float:
    """Return the root mean square error in mV; NaN when nothing is shared."""
    x, y = compared_samples(reference_mv, estimate_mv)
    return float(np.sqrt(np.mean((x - y) ** 2))) if len(x) else float("nan")


def correlation(reference_mv: FloatArray, estimate_mv: FloatArray) -> float:
    """Return Pearson's r; NaN when nothing is shared or one side is constant."""
    x, y = compared_samples(reference_mv, estimate_mv)
    if len(x) < 2:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float((x * y).sum()) / scale if scale > 0 else float("nan")


def coverage(reference_mv: FloatArray, estimate_mv: FloatArray) -> float:
    """Return the share of the reference's samples that the estimate covers; NaN without any."""
    x, y = pad_to_same_length(reference_mv, estimate_mv)
    known = np.isfinite(x)
    return float(np.isfinite(y[known]).mean()) if known.any() else float("nan")
