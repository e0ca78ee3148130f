"""The macro F-measure and its quirks."""

import numpy as np
import pytest

from cinc_ecg.metrics.official_classification import (
    compute_f_measure,
    compute_one_hot_encoding,
    compute_one_vs_rest_confusion_matrix,
)


def test_toy_values():
    labels = [["A"], ["B"], ["A", "B"]]
    macro, per_class, classes = compute_f_measure(labels, [["A"], ["A"], ["A", "B"]])
    assert classes == ["A", "B"]
    assert per_class.tolist() == pytest.approx([0.8, 2 / 3])
    assert macro == pytest.approx(0.7333, abs=1e-4)


def test_b10_classes_come_from_the_references_only():
    macro, _, classes = compute_f_measure([["A"], ["B"]], [["A", "Z"], ["b"]])
    assert classes == ["A", "B"]
    assert macro == pytest.approx(0.5)  # "b" is not "B", "Z" costs nothing


def test_missing_predictions_are_misses():
    assert compute_f_measure([["A"], ["B"]], [["A"], []])[0] == pytest.approx(0.5)


def test_stray_empty_item_is_a_class():
    assert compute_f_measure([["A", ""]], [["A"]])[2] == ["", "A"]


def test_no_labels_at_all_gives_nan():
    assert np.isnan(compute_f_measure([[]], [["A"]])[0])


def test_confusion_matrix_layout_is_tp_fp_fn_tn():
    hot = compute_one_hot_encoding([["A"], ["A"], [], []], ["A"])
    out = compute_one_hot_encoding([["A"], [], ["A"], []], ["A"])
    assert compute_one_vs_rest_confusion_matrix(hot, out, ["A"]).tolist() == [[[1, 1], [1, 1]]]


def test_nan_like_labels_match_each_other():
    assert compute_one_hot_encoding([["nan"], ["NaN"], ["x"]], ["NAN"]).ravel().tolist() == [
        True,
        True,
        False,
    ]
