"""The Kaggle score: invariances it promises and its caps."""

import numpy as np
import pytest

from cinc_ecg.metrics.kaggle import CAP, align_kaggle, kaggle_score, picture_ratio, printed_pairs


def lead(n=1000):
    t = np.arange(n) / 250
    return np.exp(-(((t % 0.8 - 0.3) / 0.02) ** 2)) + 0.05 * np.sin(5 * t)


@pytest.mark.parametrize("shift", [-30, 0, 12])
def test_shift_and_level_are_removed(shift):
    x = lead()
    moved = align_kaggle(x, np.roll(x, shift) + 3.0, 250)
    inner = np.isfinite(moved)
    assert inner.sum() >= len(x) - abs(shift)
    inner[:40] = inner[-40:] = False
    np.testing.assert_allclose(moved[inner], x[inner], atol=0.02)


def test_lag_is_limited():
    x = lead()
    near = picture_ratio([(x, np.roll(x, 40))], 250)
    assert near > 5 * picture_ratio([(x, np.roll(x, 40))], 250, max_lag_s=0.1)


def test_energies_are_pooled_over_leads_and_the_ratio_is_capped():
    x = lead()
    noise = 0.1 * np.sin(np.arange(len(x)))
    ratio = picture_ratio([(10 * x, 10 * x + noise), (x, x + noise)], 250)
    expected = (np.square(10 * x).sum() + np.square(x).sum()) / (2 * np.square(noise).sum())
    assert ratio == pytest.approx(min(CAP, expected), rel=0.05)
    assert picture_ratio([(x, x)], 250) == CAP
    assert picture_ratio([(np.zeros(10), np.ones(10))], 250) == 0


def test_score_is_the_mean_of_linear_ratios():
    assert kaggle_score([CAP, CAP]) == pytest.approx(25.843, abs=1e-3)
    assert kaggle_score([100.0, 0.0]) == pytest.approx(10 * np.log10(50))
    assert kaggle_score([0.0]) == -CAP
    assert np.isnan(kaggle_score([]))


def test_missing_samples_count_as_zero():
    reference = np.full((100, 2), np.nan)
    reference[:50, 0] = 1
    estimate = np.full((40, 2), 2.0)
    (pair,) = printed_pairs(reference, estimate)
    assert pair[0].tolist() == [1] * 50
    assert pair[1].tolist() == [2] * 40 + [0] * 10
