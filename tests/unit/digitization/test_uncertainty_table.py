"""The table of standard errors rises, is undone by its inverse, and widens what it must."""

import numpy as np
import pytest

from cinc_ecg.digitization.uncertainty import TABLE, correct_sigma, raw_sigma


def test_the_table_rises():
    assert (np.diff(TABLE, axis=1) > 0).all()


@pytest.mark.parametrize("low", [0.01, 0.15, 1.0, 50.0])
def test_correction_keeps_the_order_and_can_be_undone(low):
    sigma = np.geomspace(low, 20.0 * low, 40)
    corrected = correct_sigma(sigma)
    assert (np.diff(corrected) > 0).all()
    assert np.allclose(raw_sigma(corrected), sigma, rtol=1e-6)


def test_table_points_are_met():
    assert np.allclose(correct_sigma(TABLE[0]), TABLE[1])
