"""Summaries of many lead scores: location, tails, bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a set of values, NaN left out.

    Attributes:
        n: Number of finite values.
        mean, median, worst, p5: The smallest is the worst; p5 is the 5th percentile.
        low, high: 95 % bootstrap interval of the mean, records being drawn.
    """

    n: int
    mean: float
    median: float
    worst: float
    p5: float
    low: float
    high: float


def summarize(
    values: Sequence[float],
    groups: Sequence[str],
    *,
    seed: int = 0,
    n_bootstrap: int = 1000,
) -> Summary:
    """Summarize values; the interval draws whole groups, keeping the leads of a record together.

    Args:
        values: One per (record, lead), NaN allowed.
        groups: The record of each value.
        seed: Of the bootstrap.
        n_bootstrap: Number of draws; the interval runs from their 2.5th to their 97.5th percentile.
    """
    array = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(array)
    array = array[finite]
    if not len(array):
        nan = float("nan")
        return Summary(0, nan, nan, nan, nan, nan, nan)
    _, group = np.unique(np.asarray(groups)[finite], return_inverse=True)
    low, high = _bootstrap_mean(array, group, seed, n_bootstrap)
    return Summary(
        len(array),
        float(array.mean()),
        float(np.median(array)),
        float(array.min()),
        float(np.percentile(array, 5)),
        low,
        high,
    )


def _bootstrap_mean(
    values: FloatArray, group: NDArray[np.integer], seed: int, n_bootstrap: int
) -> tuple[float, float]:
    """Return the percentile interval of the mean under resampling of groups."""
    n_groups = int(group.max()) + 1
    sums = np.bincount(group, values, minlength=n_groups)
    counts = np.bincount(group, minlength=n_groups).astype(float)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)
    means = (weights * sums).sum(axis=1) / (weights * counts).sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
