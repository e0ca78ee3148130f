"""Figures for multi-label diagnosis: areas, F, G, thresholds, bootstrap intervals.

Arrays are (n_records, n_classes). Where given, `known` is False for a class of a record about which
nothing is known; such entries take part in nothing. A figure without a value is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from cinc_ecg.errors import ConfigError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Objective = Literal["fixed", "f1", "youden", "g_beta"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
#: Weight of recall in F_beta and G_beta (PhysioNet Challenge 2020).
BETA = 2.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How often a class was right and wrong."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def precision(self) -> float:
        """Return TP / (TP + FP)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Return TP / (TP + FN)."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Return TN / (TN + FP)."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float:
        """Return 2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative.

    Ties count half (Mann-Whitney U over the number of pairs).

    Args:
        scores: (n,) higher = more likely.
        positive: (n,) bool.
    """
    truth = np.asarray(positive, bool)
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(np.asarray(scores, float))
    u = float(ranks[truth].sum()) - n_positive * (n_positive + 1) / 2
    return u / (n_positive * n_negative)


def class_aucs(scores: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> FloatArray:
    """Return the area of each class over the records where it is known; NaN with one kind only."""
    values, truth, use = _three(scores, targets, known)
    return np.array(
        [roc_auc(values[use[:, k], k], truth[use[:, k], k]) for k in range(truth.shape[1])]
    )


def macro_auc(scores: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> float:
    """Return the mean area over the classes that have both kinds."""
    return _nanmean(class_aucs(scores, targets, known))


def bootstrap(
    scores: ArrayLike,
    targets: ArrayLike,
    known: ArrayLike | None = None,
    *,
    thresholds: ArrayLike | None = None,
    n: int = 1000,
    seed: int = 0,
) -> FloatArray:
    """Return a figure's values over resampled records: macro AUC, or macro F at thresholds.

    Records are drawn with replacement; a draw in which a class that had both kinds has only one is
    drawn again (at most 20 times, then the class is left out of that draw).

    Args:
        scores: (n, classes).
        targets: (n, classes) of 0 and 1.
        known: (n, classes).
        thresholds: (classes,); None = macro AUC.
        n: Draws.
        seed: Start of all chance.

    Returns:
        (n,) values; their 2.5 and 97.5 % quantiles are the 95 % interval.
    """
    values, truth, use = _three(scores, targets, known)
    rng = np.random.default_rng(seed)
    columns = [k for k in range(truth.shape[1]) if _both(truth[:, k], use[:, k])]
    limits = None if thresholds is None else np.asarray(thresholds, float)
    results = np.empty(n)
    for draw in range(n):
        pick = rng.integers(len(truth), size=len(truth))
        for _ in range(20):
            if all(_both(truth[pick, k], use[pick, k]) for k in columns):
                break
            pick = rng.integers(len(truth), size=len(truth))
        if limits is None:
            results[draw] = macro_auc(values[pick], truth[pick], use[pick])
        else:
            results[draw] = macro_f1(values[pick] >= limits, truth[pick], use[pick])
    return results


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the central interval of bootstrap values; NaN when none of them is a number."""
    tail = (1 - level) / 2
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, (tail, 1 - tail))
    return float(low), float(high)


def count(predicted: ArrayLike, positive: ArrayLike, known: ArrayLike | None = None) -> Counts:
    """Count one class's decisions over the records where it is known."""
    guess, truth = np.asarray(predicted, bool), np.asarray(positive, bool)
    use = np.ones(len(truth), bool) if known is None else np.asarray(known, bool)
    guess, truth = guess[use], truth[use]
    return Counts(
        int((guess & truth).sum()),
        int((guess & ~truth).sum()),
        int((~guess & truth).sum()),
        int((~guess & ~truth).sum()),
    )


def class_counts(
    predicted: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None
) -> list[Counts]:
    """Count the decisions of every class."""
    guess, truth, use = _three(predicted, targets, known)
    return [count(guess[:, k], truth[:, k], use[:, k]) for k in range(truth.shape[1])]


def macro_f1(predicted: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> float:
    """Return the mean F1 over the classes that occur in the reference, as the Challenge does."""
    guess, truth, use = _three(predicted, targets, known)
    values = [
        entry.f1 if entry.tp + entry.fn else float("nan")
        for entry in class_counts(guess, truth, use)
    ]
    return _nanmean(np.array(values))


def f_g_beta(
    predicted: ArrayLike, targets: ArrayLike, *, beta: float = BETA
) -> tuple[FloatArray, FloatArray]:
    """Return F_beta and G_beta per class; each record counts 1 / (number of its labels).

    F = (1+b^2) TP / ((1+b^2) TP + FP + b^2 FN), G = TP / (TP + FP + b FN), PhysioNet Challenge 2020
    as used for PTB-XL (Strodthoff et al. 2021). A record without labels counts once.
    """
    guess, truth = np.asarray(predicted, bool), np.asarray(targets, bool)
    weight = 1 / np.maximum(truth.sum(axis=1), 1)
    tp = weight @ (guess & truth)
    fp = weight @ (guess & ~truth)
    fn = weight @ (~guess & truth)
    square = beta**2
    f_below, g_below = (1 + square) * tp + fp + square * fn, tp + fp + beta * fn
    with np.errstate(invalid="ignore", divide="ignore"):
        f_beta = np.where(f_below > 0, (1 + square) * tp / f_below, np.nan)
        g_beta = np.where(g_below > 0, tp / g_below, np.nan)
    return f_beta, g_beta


def f_max_sample(
    scores: ArrayLike, targets: ArrayLike, *, steps: int = 101
) -> tuple[float, float, int]:
    """Return the sample-centric F_max, its threshold, and the unlabelled records left out.

    Precision at t is the mean over records with a prediction of |right| / |predicted|, recall the
    mean over all of |right| / |true|; F_max = max over t of 2PR / (P + R).
    """
    values, truth = np.asarray(scores, float), np.asarray(targets, bool)
    labelled = truth.any(axis=1)
    values, truth = values[labelled], truth[labelled]
    best = float("nan"), float("nan")
    for t in np.linspace(0, 1, steps):
        guess = values >= t
        some = guess.any(axis=1)
        if not some.any():
            continue
        right = (guess & truth).sum(axis=1)
        precision = float((right[some] / guess[some].sum(axis=1)).mean())
        recall = float((right / truth.sum(axis=1)).mean())
        f = _ratio(2 * precision * recall, precision + recall)
        if not f <= best[0] and np.isfinite(f):
            best = f, float(t)
    return *best, int((~labelled).sum())


def f1_max_macro(
    scores: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None, *, steps: int = 101
) -> tuple[float, float]:
    """Return the best macro F1 over one threshold for all classes, and that threshold."""
    grid = np.linspace(0, 1, steps)
    values, truth, use = _three(scores, targets, known)
    found = [macro_f1(values >= t, truth, use) for t in grid]
    best = int(np.nanargmax(found)) if np.isfinite(found).any() else 0
    return float(found[best]), float(grid[best])


def best_threshold(
    scores: ArrayLike,
    positive: ArrayLike,
    objective: str = "f1",
    *,
    beta: float = BETA,
    fixed: float = 0.5,
) -> float:
    """Return the threshold of one class that is best on held-out records.

    Between two neighbouring scores the middle is taken, so that a score never lies on the limit.

    Args:
        scores: (n,) probabilities of the records where the class is known.
        positive: (n,) bool.
        objective: "f1", "youden" (sensitivity + specificity - 1), "g_beta", or "fixed".
        beta: For g_beta.
        fixed: Returned for "fixed", and where only one kind of record is there.

    Raises:
        ConfigError: an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise ConfigError(f"threshold objective {objective!r}; choose {', '.join(OBJECTIVES)}")
    values, truth = np.asarray(scores, float), np.asarray(positive, bool)
    if objective == "fixed" or truth.all() or not truth.any():
        return fixed
    order = np.argsort(values)
    values, truth = values[order], truth[order]
    places = np.flatnonzero(np.diff(values) > 0) + 1  # predicted: from this index on
    places = np.concatenate(([0], places))
    above = np.concatenate((np.cumsum(truth[::-1])[::-1], [0]))
    tp = above[places].astype(float)
    n_above = len(values) - places
    fp, fn = n_above - tp, truth.sum() - tp
    if objective == "f1":
        merit = 2 * tp / (2 * tp + fp + fn)
    elif objective == "g_beta":
        merit = tp / (tp + fp + beta * fn)
    else:
        merit = tp / truth.sum() - fp / (~truth).sum()
    best = places[int(np.argmax(merit))]
    return float(values[best] / 2 if best == 0 else (values[best - 1] + values[best]) / 2)


def _both(truth: BoolArray, use: BoolArray) -> bool:
    part = truth[use]
    return bool(part.any() and not part.all())


def _three(
    values: ArrayLike, targets: ArrayLike, known: ArrayLike | None
) -> tuple[NDArray[np.generic], BoolArray, BoolArray]:
    truth = np.asarray(targets).astype(bool)
    use = np.ones(truth.shape, bool) if known is None else np.asarray(known).astype(bool)
    return np.asarray(values), truth, use


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")


def _nanmean(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
