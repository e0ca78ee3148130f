import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.challenge.guard import guard
from cinc_ecg.leads import LEADS
from cinc_ecg.types import LeadStatus, RecordHeader, Signal

NAMES = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")


def header(fs_hz=500.0, n_samples=5000, leads=NAMES):
    return RecordHeader("r", fs_hz, n_samples, leads)


def smooth_signal(fs_hz=500.0, n=5000, leads=LEADS):
    time = np.arange(n) / fs_hz
    waves = [np.sin(2 * np.pi * (k + 1) * time) * (k + 1) / 10 for k in range(len(leads))]
    return Signal(np.stack(waves, axis=1).astype(np.float32), fs_hz, tuple(leads))


def test_a_fitting_signal_passes_untouched_whatever_the_case_of_the_names():
    signal = smooth_signal()
    np.testing.assert_allclose(guard(signal, header()), signal.samples_mv)


def test_columns_follow_the_header():
    signal = smooth_signal()
    out = guard(signal, header(leads=("V6", "AVR", "I", "X")))
    np.testing.assert_allclose(out[:, :3], signal.samples_mv[:, [11, 3, 0]])
    assert np.isnan(out[:, 3]).all()


def test_rate_and_length_are_the_headers():
    out = guard(smooth_signal(fs_hz=500.0), header(fs_hz=250.0, n_samples=2500))
    expected = smooth_signal(fs_hz=250.0, n=2500).samples_mv
    assert out.shape == (2500, 12)
    assert np.abs(out - expected)[50:-50].max() < 0.01
    longer = guard(smooth_signal(n=4000), header())
    assert np.isnan(longer[4000:]).all()
    assert np.isfinite(longer[:4000]).all()


def test_nan_outside_the_window_stays_and_gaps_inside_are_filled():
    signal = smooth_signal()
    samples = signal.samples_mv.copy()
    samples[:1000, 0] = np.nan
    samples[3000:, 0] = np.nan
    samples[1500:1520, 0] = np.nan
    out = guard(Signal(samples, 500.0, LEADS), header())
    assert np.isnan(out[:1000, 0]).all()
    assert np.isfinite(out[1000:3000, 0]).all()
    assert np.isnan(out[3000:, 0]).all()


def test_the_printed_window_is_filled_to_its_ends():
    samples = smooth_signal().samples_mv.copy()
    samples[:1010, 0] = np.nan
    samples[2240:, 0] = np.nan
    status = LeadStatus("I", "partial", 2.0, 2.5, 0.98, 15.0)
    out = guard(Signal(samples, 500.0, LEADS), header(), [status])
    finite = np.flatnonzero(np.isfinite(out[:, 0]))
    assert (finite[0], finite[-1]) == (1000, 2249)
    assert len(finite) == 1250


@pytest.mark.parametrize(
    "status",
    [LeadStatus("II", "ok", 0, 10, 1.0, -0.1), LeadStatus("II", "missing")],
)
def test_a_hopeless_lead_is_left_out(status):
    out = guard(smooth_signal(), header(), [status])
    assert np.isnan(out[:, 1]).all()
    assert np.isfinite(out[:, 2]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 400),
    st.sampled_from([100.0, 250.0, 333.3, 500.0]),
    st.integers(0, 300),
    st.integers(0, 2**32 - 1),
)
def test_nothing_that_a_driver_cannot_write_ever_passes(n, fs_hz, n_out, seed):
    rng = np.random.default_rng(seed)
    samples = rng.choice([0.5, -40.0, 1e30, np.nan, np.inf, -np.inf], (n, 3)).astype(np.float32)
    out = guard(Signal(samples, fs_hz, ("I", "V1", "odd")), header(250.0, n_out))
    assert out.shape == (n_out, 12)
    assert out.dtype == np.float32
    assert not np.isinf(out).any()
    assert np.nanmax(np.abs(out), initial=0.0) <= 10.0
