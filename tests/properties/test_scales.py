"""Gain, speed and lead order of the page are undone; arithmetic on signals keeps its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinc_ecg.digitization.assemble import assemble
from cinc_ecg.digitization.pipeline import DigitizeConfig, digitize
from cinc_ecg.geometry import flat_geometry, map_nodes, to_image, to_page
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.signals import resample, sample_at
from cinc_ecg.types import LeadTrace, Panel

QUICK = settings(max_examples=25, deadline=None)
PAGES = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Known:
    """A reader that returns what was read before."""

    def __init__(self, value):
        self.value = value

    def read(self, _):
        return self.value


def trace_of(levels_mm, x0=10.0, step=0.1):
    n = len(levels_mm)
    return LeadTrace(0, x0, step, 40.0 - levels_mm, np.full(n, 0.05), np.ones(n, bool))


def panel_of(n, *, speed=25.0, gain=10.0, x0=10.0, step=0.1, start_s=0.0):
    box = (x0, 0.0, x0 + n * step, 80.0)
    return Panel("V1", 0, box, start_s, n * step / speed, speed, gain, 40.0)


@QUICK
@given(
    seed=st.integers(0, 10**6),
    gain=st.sampled_from([2.5, 5.0, 10.0, 20.0]),
    speed=st.sampled_from([12.5, 25.0, 50.0]),
)
def test_assembled_millivolts_scale_exactly_with_the_gain(seed, gain, speed):
    levels = np.random.default_rng(seed).normal(0, 4, 500).cumsum() / 20
    one = assemble([panel_of(500, speed=speed)], [trace_of(levels)], 500.0)
    other = assemble([panel_of(500, speed=speed, gain=gain)], [trace_of(levels)], 500.0)
    # Powers of two leave the mantissa alone.
    assert np.array_equal(
        other.samples_mv, one.samples_mv * np.float32(10.0 / gain), equal_nan=True
    )


@QUICK
@given(seed=st.integers(0, 10**6), speed=st.sampled_from([12.5, 50.0]))
def test_assembled_seconds_scale_with_the_speed(seed, speed):
    levels = np.random.default_rng(seed).normal(0, 4, 500).cumsum() / 20
    usual = assemble([panel_of(500)], [trace_of(levels)], 500.0)
    other = assemble([panel_of(500, speed=speed)], [trace_of(levels)], 500.0 * speed / 25.0)
    assert usual.samples_mv.shape == other.samples_mv.shape
    assert np.allclose(usual.samples_mv, other.samples_mv, atol=1e-5, equal_nan=True)


@QUICK
@given(
    seed=st.integers(0, 10**6),
    factor=st.floats(-3, 3),
    offset=st.floats(-2, 2),
    rate=st.sampled_from([250.0, 360.0, 1000.0]),
)
def test_resampling_is_linear(seed, factor, offset, rate):
    samples = np.random.default_rng(seed).normal(size=(300, 2))
    direct = resample(factor * samples + offset, 500.0, rate)
    assert np.allclose(direct, factor * resample(samples, 500.0, rate) + offset, atol=1e-6)


@QUICK
@given(seed=st.integers(0, 10**6), start=st.floats(-50, 50), step=st.floats(0.05, 2.0))
def test_sampling_at_the_samples_returns_them(seed, start, step):
    values = np.random.default_rng(seed).normal(size=80)
    at = start + step * np.arange(80)
    assert np.allclose(sample_at(values, start, step, at), values, atol=1e-6)


@QUICK
@given(
    a=st.floats(-0.2, 0.2),
    b=st.floats(-0.2, 0.2),
    p=st.floats(-2e-5, 2e-5),
    q=st.floats(-2e-5, 2e-5),
    seed=st.integers(0, 10**6),
)
def test_page_and_image_are_inverse_under_perspective(a, b, p, q, seed):
    from cinc_ecg.geometry import densify

    def warp(points):
        x, y = points[:, 0], points[:, 1]
        w = 1 + p * x + q * y
        return np.stack([(x + a * y) / w, (y + b * x) / w], -1)

    geometry = map_nodes(densify(flat_geometry(1600, 1200, 8.0), 10.0), warp)
    points = np.random.default_rng(seed).uniform((5, 5), (190, 140), (20, 2))
    assert np.allclose(to_page(geometry, to_image(geometry, points)), points, atol=1e-4)


@pytest.mark.slow
@PAGES
@given(gain=st.sampled_from([5.0, 10.0, 20.0]), speed=st.sampled_from([25.0, 50.0]))
def test_gain_and_speed_of_the_page_are_undone(page_of, read_page, snr, gain, speed):
    # Quick and tall pages need more room.
    image, truth = page_of(
        3,
        scale__mm_per_mv=gain,
        scale__mm_per_s=speed,
        layout__column_s=1.25 * 25.0 / speed,
        layout__baselines_mm=(40.0, 80.0, 120.0, 160.0),
        paper__size_mm=(160.0, 180.0),
    )
    result = read_page(image.pixels)
    assert result.calibration.mm_per_mv == gain
    assert result.calibration.mm_per_s == speed
    assert snr(truth, result.signal) > 10.0


def test_the_users_gain_scales(plain):
    """The same traces under 5, 10 and 20 mm/mV: twice, once and half the millivolts.

    Not to the bit: simultaneous leads are reconciled by uncertainties that have a floor in mV.
    """
    image = plain[0]
    stages = {}
    digitize(image, observe=stages.__setitem__)
    readers = {
        "page_reader": Known(stages["evidence"]),
        "strip_reader": Known(stages["traces"]),
    }
    samples = {}
    for gain in (5.0, 10.0, 20.0):
        config = DigitizeConfig(mm_per_mv=gain, mm_per_s=25.0)
        samples[gain] = digitize(image, config=config, **readers).signal.samples_mv * gain
    tolerance = 0.005 * np.nanmax(np.abs(samples[10.0]))
    for gain in (5.0, 20.0):
        assert np.allclose(samples[gain], samples[10.0], atol=tolerance, rtol=0, equal_nan=True)


@pytest.mark.slow
@PAGES
@given(seed=st.integers(0, 1000))
def test_the_order_of_the_leads_is_read_from_the_page(page_of, read_page, snr, seed):
    leads = [lead for row in TEMPLATES["3x4+1"].rows for lead in row]
    order = tuple(np.random.default_rng(seed).permutation(leads).tolist())
    image, truth = page_of(3, layout__order=order)
    result = read_page(image.pixels)
    found, printed = (
        sorted((p.row, p.start_s, p.lead) for p in panels)
        for panels in (result.layout.panels, truth.layout.panels)
    )
    assert [(row, lead) for row, _, lead in found] == [(row, lead) for row, _, lead in printed]
    assert [s for _, s, _ in found] == pytest.approx([s for _, s, _ in printed], abs=0.05)
    assert snr(truth, result.signal) > 12.0
