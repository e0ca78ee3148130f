"""Unwrapping follows a smooth phase through any number of turns and stops at gaps."""

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.phase import _unwrap


def smooth_field(seed, turns=3.0):
    noise = np.random.default_rng(seed).normal(size=(60, 80))
    field = cv2.GaussianBlur(noise, (0, 0), 12)
    return turns * field / np.abs(field).max()


@pytest.mark.parametrize("seed", range(4))
def test_a_smooth_phase_is_followed(seed):
    truth = smooth_field(seed)
    quality = cv2.GaussianBlur(np.random.default_rng(seed + 9).random(truth.shape), (0, 0), 3)
    found = _unwrap((truth + 0.5) % 1.0 - 0.5, quality)
    off = found - truth
    assert np.abs(off - off[0, 0]).max() < 1e-9
    assert abs(off[0, 0] - round(off[0, 0])) < 1e-9


def test_spots_cut_off_stay_unknown():
    truth = smooth_field(5)
    quality = np.ones_like(truth)
    quality[:, 50] = 0.0
    found = _unwrap((truth + 0.5) % 1.0 - 0.5, quality)
    assert np.isfinite(found[:, :50]).all()
    assert np.isnan(found[:, 50:]).all()


def test_nothing_is_known_where_nothing_is_good():
    assert np.isnan(_unwrap(np.zeros((5, 6)), np.zeros((5, 6)))).all()
