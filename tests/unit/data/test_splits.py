import numpy as np
import pytest

from cinc_ecg.data.splits import assign_folds
from cinc_ecg.errors import ConfigError

RNG = np.random.default_rng(4)
GROUPS = [f"p{k}" for k in RNG.integers(0, 120, 300)]
LABELS = [
    [name for name, share in (("a", 0.5), ("b", 0.2), ("c", 0.05)) if RNG.random() < share]
    for _ in GROUPS
]


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_no_group_is_in_two_folds_and_the_result_is_stable(method):
    folds = assign_folds(GROUPS, LABELS, n_folds=5, method=method)
    again = assign_folds(GROUPS, LABELS, n_folds=5, method=method)
    np.testing.assert_array_equal(folds, again)
    assert set(folds) == set(range(5))
    for group in set(GROUPS):
        assert len({int(f) for f, g in zip(folds, GROUPS, strict=True) if g == group}) == 1


def test_stratified_folds_share_rare_labels_evenly():
    folds = assign_folds(GROUPS, LABELS, n_folds=5)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 0.25 * sizes.mean()
    for label in "abc":
        has = np.array([label in entry for entry in LABELS])
        counts = np.array([has[folds == fold].sum() for fold in range(5)])
        assert counts.max() - counts.min() <= max(4, 0.25 * counts.mean())


def test_hash_folds_do_not_change_when_records_come_and_go():
    whole = dict(zip(GROUPS, assign_folds(GROUPS, method="hash"), strict=True))
    part = dict(zip(GROUPS[:40], assign_folds(GROUPS[:40], method="hash"), strict=True))
    assert all(whole[group] == fold for group, fold in part.items())


def test_another_seed_is_another_cut():
    assert (assign_folds(GROUPS, seed=0) != assign_folds(GROUPS, seed=1)).any()


def test_without_labels_the_sizes_are_even():
    assert np.ptp(np.bincount(assign_folds([str(k) for k in range(50)], n_folds=5))) == 0


def test_one_fold_is_none():
    with pytest.raises(ConfigError, match="n_folds"):
        assign_folds(GROUPS, n_folds=1)
