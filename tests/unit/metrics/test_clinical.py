"""Measures of a drawn beat with known ends, and the agreement of two sets of them."""

import numpy as np
import pytest

from cinc_ecg.errors import OutputError
from cinc_ecg.metrics.clinical import agreement, agreements, compare_lead, draw_bland_altman
from cinc_ecg.metrics.delineate import longest_stretch, measure_lead

PR, QRS, QT, RR, ST, R = 0.160, 0.090, 0.380, 0.800, 0.10, 1.2


def drawn_lead(fs=500, seconds=10.0, *, r=R, st=ST):
    """P a raised cosine, QRS a triangle, ST a step, T a triangle: every end is known."""
    t = np.arange(round(fs * seconds)) / fs
    phase = (t - 0.3) % RR  # 0 = QRS onset
    before = phase - RR
    p = np.where(
        (before > -PR) & (before < -PR + 0.09), 1 - np.cos((before + PR) / 0.09 * 6.283), 0
    )
    qrs = np.interp(phase, [0, QRS / 2, QRS], [0, r, st])
    after = np.interp(phase, [QRS, 0.2, 0.29, QT], [st, st, st + 0.3, 0])
    return 0.08 * p + np.where(phase < QRS, qrs, np.where(phase < QT, after, 0))


@pytest.mark.parametrize("fs", [250, 500, 1000])
def test_known_intervals_and_amplitudes(fs):
    m = measure_lead(drawn_lead(fs), fs)
    assert m.hr_bpm == pytest.approx(60 / RR, abs=0.5)
    assert m.pr_ms == pytest.approx(1000 * PR, abs=25)
    assert m.qrs_ms == pytest.approx(1000 * QRS, abs=20)
    assert m.qt_ms == pytest.approx(1000 * QT, abs=20)
    assert m.st_mv == pytest.approx(ST, abs=0.03)
    assert m.r_mv == pytest.approx(R, abs=0.05)


def test_level_and_noise_do_not_matter():
    rng = np.random.default_rng(0)
    x = drawn_lead()
    pairs = compare_lead(x, x + 0.3 + 0.01 * rng.standard_normal(len(x)), 500)
    for name, tolerance in {"hr_bpm": 1, "qrs_ms": 12, "qt_ms": 15, "st_mv": 0.03}.items():
        assert pairs[name][1] == pytest.approx(pairs[name][0], abs=tolerance)


def test_amplitudes_scale_and_intervals_do_not():
    small, large = (measure_lead(k * drawn_lead(), 500) for k in (1, 2))
    assert large.r_mv == pytest.approx(2 * small.r_mv)
    assert large.qrs_ms == small.qrs_ms


def test_the_estimate_is_measured_over_the_printed_window_only():
    x = drawn_lead()
    printed = x.copy()
    printed[:1250] = printed[2500:] = np.nan
    estimate = x.copy()
    estimate[:1250] = 5
    pairs = compare_lead(printed, estimate, 500)
    assert all(a == b or (np.isnan(a) and np.isnan(b)) for a, b in pairs.values())


def test_stretches_bridge_short_gaps_only():
    x = np.arange(100.0)
    x[10:12] = np.nan
    x[50:60] = np.nan
    np.testing.assert_allclose(longest_stretch(x, 100), np.arange(50.0))
    assert len(longest_stretch(np.full(5, np.nan), 100)) == 0


@pytest.mark.parametrize("x", [np.zeros(1000), np.full(1000, np.nan), np.ones(10)])
def test_nothing_to_measure_is_nan(x):
    assert np.isnan(measure_lead(x, 250).hr_bpm)


def test_agreement_counts_bias_limits_and_losses():
    a = agreement([(1, 2), (2, 3.5), (3, 3.5), (4, np.nan), (np.nan, 1)])
    assert (a.n, a.only_reference) == (3, 1)
    assert a.bias == pytest.approx(1)
    assert a.sd == pytest.approx(0.5)
    assert (a.low, a.high) == pytest.approx((0.02, 1.98))
    assert agreement([]).n == 0


def test_plot_needs_a_known_format(tmp_path):
    pairs = [compare_lead(drawn_lead(), drawn_lead(r=1.3), 500)]
    assert agreements(pairs)["r_mv"].bias == pytest.approx(0.1, abs=0.02)
    draw_bland_altman(pairs, tmp_path / "a.png")
    with pytest.raises(OutputError, match="cannot be written"):
        draw_bland_altman(pairs, tmp_path / "a.nonsense")
