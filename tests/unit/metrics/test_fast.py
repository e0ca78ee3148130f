"""The quick SNR follows the official one."""

import numpy as np
import pytest

from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.metrics.official import score_lead


def lead(n=2500):
    t = np.arange(n) / 500
    return np.exp(-(((t % 0.8 - 0.3) / 0.015) ** 2)) + 0.2 * np.exp(
        -(((t % 0.8 - 0.6) / 0.05) ** 2)
    )


@pytest.mark.parametrize("late", [-40, 0, 17])
@pytest.mark.parametrize("level", [0.0, 0.4])
def test_shift_and_level_do_not_matter(late, level):
    rng = np.random.default_rng(0)
    y = lead() + 0.05 * rng.standard_normal(2500)
    x = lead()
    x[: len(x) // 2] = np.nan
    still = fast_snr(x, y, 500)
    assert fast_snr(x, np.roll(y, late) + level, 500) == pytest.approx(still, abs=0.1)
    assert still >= score_lead(x, y, 500).snr_db - 0.1


def test_empty_and_far_off_estimates():
    x = lead()
    assert fast_snr(x, np.full(10, np.nan), 500) == 0
    assert np.isnan(fast_snr(np.full(10, np.nan), x, 500))
    assert fast_snr(x, x + 1.5, 500) < 0
