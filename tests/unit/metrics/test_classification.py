import numpy as np
import pytest
from sklearn.metrics import f1_score, fbeta_score, roc_auc_score

from cinc_ecg.challenge.helpers import compute_f_measure
from cinc_ecg.errors import ConfigError
from cinc_ecg.metrics import classification as c


@pytest.fixture
def example():
    rng = np.random.default_rng(3)
    targets = rng.random((200, 4)) < (0.5, 0.3, 0.2, 0.1)
    scores = np.clip(0.3 * targets + 0.7 * rng.random((200, 4)), 0, 1)
    return scores, targets


def test_areas_are_those_of_scikit_learn(example):
    scores, targets = example
    expected = [roc_auc_score(targets[:, k], scores[:, k]) for k in range(4)]
    assert c.class_aucs(scores, targets) == pytest.approx(expected)
    assert c.macro_auc(scores, targets) == pytest.approx(np.mean(expected))


def test_ties_count_half_and_order_is_all_that_matters(example):
    scores, targets = example
    assert c.roc_auc([0, 0, 0, 0], [1, 0, 1, 0]) == 0.5
    assert c.roc_auc(scores[:, 0] ** 3, targets[:, 0]) == c.roc_auc(scores[:, 0], targets[:, 0])
    flipped = c.roc_auc(-scores[:, 0], targets[:, 0])
    assert flipped == pytest.approx(1 - c.roc_auc(scores[:, 0], targets[:, 0]))


def test_one_kind_of_record_has_no_area_and_is_no_part_of_the_mean():
    assert np.isnan(c.roc_auc([0.1, 0.2], [1, 1]))
    scores, targets = np.array([[0.9, 0.1], [0.1, 0.2]]), np.array([[1, 1], [0, 1]])
    assert c.macro_auc(scores, targets) == 1.0


def test_what_is_unknown_takes_part_in_nothing(example):
    scores, targets = example
    known = np.ones(targets.shape, bool)
    known[::2, 1] = False
    spoilt = scores.copy()
    spoilt[::2, 1] = 1 - spoilt[::2, 1]
    assert c.class_aucs(spoilt, targets, known) == pytest.approx(
        c.class_aucs(scores, targets, known)
    )
    assert c.macro_f1(spoilt > 0.5, targets, known) == c.macro_f1(scores > 0.5, targets, known)


def test_macro_f_is_the_challenges(example):
    scores, targets = example
    targets = targets.copy()
    targets[:, 3] = False  # a class that only outputs have is not counted
    guess = scores > 0.5
    names = ("A", "B", "C", "D")
    said = [[n for n, on in zip(names, row, strict=True) if on] for row in guess]
    true = [[n for n, on in zip(names, row, strict=True) if on] for row in targets]
    some = [k for k, row in enumerate(true) if row]  # the Challenge skips unlabelled records
    expected, _, _ = compute_f_measure([true[k] for k in some], [said[k] for k in some])
    assert c.macro_f1(guess[some], targets[some]) == pytest.approx(expected)
    assert c.macro_f1(guess, targets) == pytest.approx(
        f1_score(targets[:, :3], guess[:, :3], average="macro")
    )


def test_counts_add_up():
    found = c.count([1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 0])
    assert (found.tp, found.fp, found.fn, found.tn) == (1, 1, 1, 1)
    assert (found.precision, found.recall, found.specificity, found.f1) == (0.5, 0.5, 0.5, 0.5)
    assert np.isnan(c.count([0, 0], [0, 0]).f1)


def test_f_and_g_beta_weigh_records_by_their_number_of_labels():
    truth = np.array([[1, 1], [1, 0], [0, 0]])
    guess = np.array([[1, 0], [1, 1], [1, 0]])
    f, g = c.f_g_beta(guess, truth, beta=2)
    # class 0: TP 0.5 + 1, FP 1 (no labels: counts once), FN 0; class 1: TP 0, FP 1, FN 0.5
    assert f == pytest.approx([5 * 1.5 / (5 * 1.5 + 1), 0])
    assert g == pytest.approx([1.5 / 2.5, 0])


def test_f_beta_of_single_labels_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth = np.eye(3, dtype=bool)[rng.integers(3, size=60)]
    guess = rng.random((60, 3)) < 0.5
    f, _ = c.f_g_beta(guess, truth, beta=2)
    assert f == pytest.approx(fbeta_score(truth, guess, beta=2, average=None))


def test_f_max_is_centred_on_samples():
    truth = np.array([[1, 0], [1, 1], [0, 0]])
    scores = np.array([[0.9, 0.2], [0.8, 0.1], [0.9, 0.9]])
    best, at, unlabelled = c.f_max_sample(scores, truth)
    # between 0.2 and 0.8 precision is 1 and recall (1 + 1/2) / 2; at 0.1 they are 3/4 and 1
    assert best == pytest.approx(max(2 * 0.75 / 1.75, 2 * 0.75 / 1.75))
    assert unlabelled == 1
    assert 0 <= at <= 0.8


def test_the_best_common_threshold(example):
    scores, targets = example
    best, at = c.f1_max_macro(scores, targets)
    assert best == c.macro_f1(scores >= at, targets)
    assert best >= c.macro_f1(scores >= 0.5, targets)


@pytest.mark.parametrize("objective", ["f1", "youden", "g_beta"])
def test_thresholds_are_the_best_of_all(example, objective):
    scores, targets = example
    p, truth = scores[:, 1], targets[:, 1]

    def merit(limit):
        found = c.count(p >= limit, truth)
        if objective == "f1":
            return found.f1
        if objective == "youden":
            return found.recall + found.specificity - 1
        return found.tp / (found.tp + found.fp + 2 * found.fn)

    chosen = c.best_threshold(p, truth, objective)
    assert merit(chosen) == pytest.approx(max(merit(limit) for limit in p))
    assert not (p == chosen).any()


def test_thresholds_without_a_choice_are_fixed():
    assert c.best_threshold([0.2, 0.4], [1, 1], "f1") == 0.5
    assert c.best_threshold([0.2, 0.4], [1, 0], "fixed", fixed=0.3) == 0.3
    with pytest.raises(ConfigError, match="choose fixed, f1, youden, g_beta"):
        c.best_threshold([0.2], [1], "best")


def test_bootstrap_intervals_hold_the_value_and_shrink(example):
    scores, targets = example
    values = c.bootstrap(scores, targets, n=200, seed=1)
    low, high = c.interval(values)
    assert low < c.macro_auc(scores, targets) < high
    four = c.bootstrap(np.tile(scores, (4, 1)), np.tile(targets, (4, 1)), n=200, seed=1)
    assert four.std() == pytest.approx(values.std() / 2, rel=0.25)
    assert (values == c.bootstrap(scores, targets, n=200, seed=1)).all()


def test_bootstrap_of_macro_f(example):
    scores, targets = example
    limits = np.full(4, 0.5)
    values = c.bootstrap(scores, targets, thresholds=limits, n=100)
    assert values.min() <= c.macro_f1(scores >= limits, targets) <= values.max()


def test_an_interval_of_nothing_is_unknown():
    assert np.isnan(c.interval([np.nan, np.nan])).all()
    assert c.interval([1.0, np.nan, 1.0]) == (1.0, 1.0)
