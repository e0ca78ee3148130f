import numpy as np
import pytest

from cinc_ecg.leads import LEADS
from cinc_ecg.models import dx_input
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.types import Signal


@pytest.fixture(scope="module")
def signal():
    return simulate(EcgSettings(), seed=11)


def cut(strip):
    """Show what a page of three rows and a rhythm strip prints."""
    shown = np.full(strip.shape, np.nan)
    for lead in range(12):
        start = 250 * (lead // 3)
        shown[lead, start : start + 250] = strip[lead, start : start + 250]
    shown[1] = strip[1]
    return shown


@pytest.mark.parametrize("fs_hz", [100.0, 250.0, 500.0, 257.0])
def test_strips_have_one_shape_whatever_the_rate(signal, fs_hz):
    t = np.arange(round(10 * fs_hz)) / fs_hz
    wave = np.sin(2 * np.pi * 3 * t)[:, None] * np.arange(1, 13)
    strip = dx_input.standard_strip(Signal(wave.astype(np.float32), fs_hz, LEADS))
    expected = np.sin(2 * np.pi * 3 * np.arange(1000) / 100) * np.arange(1, 13)[:, None]
    assert strip.shape == (12, 1000)
    inner = slice(20, 960)
    assert np.nanmax(np.abs(strip - expected)[:, inner]) < 0.03 * 12


def test_leads_find_their_rows_and_others_are_unknown(signal):
    order = ("V2", "II", "V9")
    samples = np.stack([np.full(5000, k, np.float32) for k in (1.0, 2.0, 3.0)], 1)
    strip = dx_input.standard_strip(Signal(samples, 500.0, order))
    assert np.isfinite(strip).all(1).sum() == 2
    assert strip[LEADS.index("V2"), 500] == pytest.approx(1)
    assert strip[1, 500] == pytest.approx(2)


def test_short_and_empty_signals_are_padded_with_nothing(signal):
    short = Signal(signal.samples_mv[:1250], signal.fs_hz, signal.leads)
    strip = dx_input.standard_strip(short)
    assert np.isfinite(strip[:, :249]).all()
    assert np.isnan(strip[:, 251:]).all()
    empty = dx_input.standard_strip(Signal(np.empty((0, 0), np.float32), 500.0, ()))
    assert np.isnan(empty).all()


def test_gaps_stay_gaps(signal):
    samples = signal.samples_mv.copy()
    samples[1000:2000, 3] = np.nan
    strip = dx_input.standard_strip(Signal(samples, signal.fs_hz, signal.leads))
    assert np.isnan(strip[3, 201:399]).all()
    assert np.isfinite(strip[3, :199]).all()
    assert np.isfinite(strip[2]).all()


@pytest.mark.parametrize("kind", dx_input.INPUT_KINDS)
def test_inputs_do_not_depend_on_the_level(signal, kind):
    strip = dx_input.standard_strip(signal)
    values, mask = dx_input.prepare(strip, kind)
    lifted, _ = dx_input.prepare(strip + np.arange(12)[:, None], kind)
    assert values.shape == mask.shape == (12, dx_input.n_samples(kind))
    assert values.dtype == np.float32
    assert np.allclose(values, lifted, atol=1e-5)


@pytest.mark.parametrize("kind", dx_input.INPUT_KINDS)
def test_nothing_printed_gives_zeros_without_a_warning(kind):
    values, mask = dx_input.prepare(np.full((12, 1000), np.nan), kind)
    assert not values.any()
    assert not mask.any()


def test_a_page_shows_the_beats_of_the_recording(signal):
    strip = dx_input.standard_strip(signal)
    whole, page = dx_input.median_beats(strip), dx_input.median_beats(cut(strip))
    for lead in range(12):
        assert np.isfinite(page[lead]).mean() > 0.9
        # each column is aligned by the leads that are printed in it: some 10 ms apart
        likeness = [_likeness(np.roll(whole[lead], lag), page[lead]) for lag in range(-3, 4)]
        assert max(likeness) > 0.9


def _likeness(one, other):
    both = np.isfinite(one) & np.isfinite(other)
    return np.corrcoef(one[both], other[both])[0, 1]


def test_beats_are_found_where_they_were_put():
    t = np.arange(1000)
    places = np.array([100, 190, 260, 380, 470, 640, 730, 860])
    wave = sum(np.exp(-0.5 * ((t - place) / 2.0) ** 2) for place in places)
    strip = cut(np.outer(np.arange(1, 13), wave) / 6)
    assert np.abs(dx_input.r_peaks(strip) - places).max() <= 1


def test_one_ectopic_beat_leaves_the_median_beat(signal):
    strip = dx_input.standard_strip(signal)
    before = dx_input.median_beats(strip)
    peak = dx_input.r_peaks(strip)[3]
    strip[:, peak - 5 : peak + 25] *= -1.5
    after = dx_input.median_beats(strip)
    assert np.nanmedian(np.abs(after - before)) < 0.02


def test_flat_leads_give_no_beats_and_no_error():
    assert not len(dx_input.r_peaks(np.full((12, 1000), 0.3)))
    values, mask = dx_input.prepare(np.full((12, 1000), 0.3), "beat")
    assert not values.any()
    assert not mask.any()
