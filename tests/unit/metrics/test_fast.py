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
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_close_to_the_official_value(late, noise):
    rng = np.random.default_rng(0)
    x = lead() + 0.02 * rng.standard_normal(2500).cumsum() / 5
    y = np.roll(x, late) + noise * np.sin(np.arange(len(x)) * 0.9) + 0.1
    x[: len(x) // 2] = np.nan
    official = score_lead(x, y, 500).snr_db
    assert official - 0.1 <= fast_snr(x, y, 500) <= official + 2


def test_empty_and_far_off_estimates():
    x = lead()
    assert fast_snr(x, np.full(10, np.nan), 500) == 0
    assert np.isnan(fast_snr(np.full(10, np.nan), x, 500))
    assert fast_snr(x, x + 1.5, 500) < 0
