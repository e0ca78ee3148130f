"""Resampling is exact for band-limited signals and keeps NaN windows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.signals import fill_gaps, resample, sample_at, upsample


def tones(t, rng):
    frequencies = rng.uniform(1, 60, 8)
    return sum(
        np.sin(2 * np.pi * f * t + p)
        for f, p in zip(frequencies, rng.uniform(0, 6, 8), strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([250.0, 360.0, 1000.0]))
def test_resampling_reproduces_band_limited_signals(seed, fs_out):
    rng = np.random.default_rng(seed)
    t_in, t_out = np.arange(2500) / 500, np.arange(int(5 * fs_out)) / fs_out
    rng_state = rng.bit_generator.state
    x = tones(t_in, rng)
    rng.bit_generator.state = rng_state
    y = tones(t_out, rng)
    z = resample(x[:, None], 500.0, fs_out)[:, 0]
    middle = (t_out > 0.5) & (t_out < 4.5)
    assert np.sqrt(np.mean((z - y)[middle] ** 2)) < 2e-3 * np.std(y)


def test_upsample_passes_through_the_samples():
    x = np.random.default_rng(1).normal(size=301)
    assert np.allclose(upsample(x, 8)[::8], x, atol=1e-9)
    assert np.allclose(upsample(x[:300], 8)[::8], x[:300], atol=1e-9)


def test_a_straight_line_stays_straight_at_the_ends():
    x = np.linspace(0, 5, 101)
    assert np.allclose(upsample(x, 4), np.linspace(0, 5, 401), atol=1e-9)


def test_nan_window_stays_nan():
    x = np.ones((1000, 2))
    x[300:700, 1] = np.nan
    y = resample(x, 500, 250)
    assert np.isfinite(y[:, 0]).all()
    assert np.isnan(y[150:350, 1]).all()
    assert np.isfinite(y[:149, 1]).all()


def test_outside_the_span_is_nan_and_gaps_fill_linearly():
    assert np.isnan(sample_at(np.arange(10.0), 0.0, 1.0, np.array([-2.0, 12.0]))).all()
    assert np.allclose(fill_gaps(np.array([0, np.nan, np.nan, 3.0])), [0, 1, 2, 3])
    assert (fill_gaps(np.full(3, np.nan)) == 0).all()
