"""The Challenge's classification score: the macro F-measure over the reference's classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Labels = Sequence[Sequence[str]]


def is_nan(x: object) -> bool:
    """Tell whether something is, or reads as, not-a-number."""
    try:
        number = float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return math.isnan(number)


def compute_one_hot_encoding(data: Labels, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Mark which classes each record has; two spellings of NaN count as the same class.

    Args:
        data: Labels per record.
        classes: The columns.

    Returns:
        (len(data), len(classes)) bool.
    """
    encoded = np.zeros((len(data), len(classes)), dtype=np.bool_)
    for i, labels in enumerate(data):
        for j, name in enumerate(classes):
            encoded[i, j] = any(x == name or (is_nan(x) and is_nan(name)) for x in labels)
    return encoded


def compute_one_vs_rest_confusion_matrix(
    labels: NDArray[np.bool_], outputs: NDArray[np.bool_], classes: Sequence[str]
) -> FloatArray:
    """Count outcomes per class from one-hot arrays.

    Returns:
        (len(classes), 2, 2) with [[TP, FP], [FN, TN]] per class.
    """
    labels, outputs = np.asarray(labels, dtype=bool), np.asarray(outputs, dtype=bool)
    assert labels.shape == outputs.shape == (len(labels), len(classes))
    counts = [labels & outputs, ~labels & outputs, labels & ~outputs, ~labels & ~outputs]
    return np.stack([c.sum(axis=0) for c in counts], axis=1).reshape(-1, 2, 2).astype(np.float64)


def compute_f_measure(labels: Labels, outputs: Labels) -> tuple[float, FloatArray, list[str]]:
    """Return the macro F-measure, its value per class, and the classes.

    The classes are those of the reference labels only: a predicted class that no reference record
    has is ignored (quirk B10).

    Args:
        labels: Reference labels per record.
        outputs: Predicted labels per record, in the same order.
    """
    classes = sorted({name for record in labels for name in record})
    matrices = compute_one_vs_rest_confusion_matrix(
        compute_one_hot_encoding(labels, classes),
        compute_one_hot_encoding(outputs, classes),
        classes,
    )
    tp, fp, fn = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0]
    total = 2 * tp + fp + fn
    per_class = np.divide(2 * tp, total, out=np.full(len(classes), np.nan), where=total > 0)
    macro = float(np.nanmean(per_class)) if np.isfinite(per_class).any() else float("nan")
    return macro, per_class, classes
