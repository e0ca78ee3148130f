"""Simulated recordings obey physics, vary, and repeat."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.leads import LEADS, LIMB_COEFFICIENTS
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.heart import CONDUCTIONS
from cinc_ecg.synth.rhythm import RHYTHMS, draw_timing

QUIET = {"wander_mv": 0.0, "muscle_mv": 0.0, "mains_mv": 0.0, "flat_leads": ()}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_limb_leads_obey_einthoven_and_goldberger(seed):
    samples = simulate(seed=seed).samples_mv.astype(float)
    lead_i, lead_ii = samples[:, 0], samples[:, 1]
    for name, (a, b) in LIMB_COEFFICIENTS.items():
        expected = a * lead_i + b * lead_ii
        np.testing.assert_allclose(samples[:, LEADS.index(name)], expected, atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), fs=st.sampled_from([250.0, 500.0, 1000.0]))
def test_amplitudes_are_those_of_hearts(seed, fs):
    signal = simulate(EcgSettings(fs_hz=fs, duration_s=6.0), seed=seed)
    assert signal.samples_mv.shape == (round(6 * fs), 12)
    assert signal.samples_mv.dtype == np.float32
    assert np.isfinite(signal.samples_mv).all()
    assert 0.05 < np.abs(signal.samples_mv).max() < 9


def test_the_same_seed_gives_the_same_samples():
    np.testing.assert_array_equal(simulate(seed=4).samples_mv, simulate(seed=4).samples_mv)
    assert not np.array_equal(simulate(seed=4).samples_mv, simulate(seed=5).samples_mv)


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_rhythms_beat_at_the_rate_asked_for(rhythm):
    rng = np.random.default_rng(1)
    timing = draw_timing(rhythm, 75.0, 60.0, rng)
    times = np.array([beat.time_s for beat in timing.beats])
    inside = np.sum((times > 0) & (times < 60))
    assert (np.diff(times) > 0.1).all()
    # Dropped beats of a second-degree block lower the ventricular rate.
    assert 45 <= inside <= 95


def test_fibrillation_is_irregular_and_pacing_is_not():
    spread = {}
    for rhythm in ("af", "sinus", "paced"):
        timing = draw_timing(rhythm, 80.0, 60.0, np.random.default_rng(3))
        spread[rhythm] = np.std(np.diff([beat.time_s for beat in timing.beats]))
    assert spread["af"] > 3 * spread["sinus"] > 3 * spread["paced"]


def test_fibrillation_and_flutter_have_no_p_waves_but_atrial_activity():
    for rhythm in ("af", "flutter"):
        quiet = EcgSettings(rhythm=rhythm, **QUIET)
        assert draw_timing(rhythm, None, 10.0, np.random.default_rng(0)).p_times_s == ()
        v1 = simulate(quiet, seed=2).samples_mv[:, LEADS.index("V1")]
        assert np.median(np.abs(np.diff(v1))) > 1e-4


def test_the_spectrum_of_the_qrs_reaches_beyond_40_hz():
    """A page that lost this part would be scored wrongly easy."""
    shares = []
    for seed in range(12):
        signal = simulate(EcgSettings(rhythm="sinus", conduction="normal", **QUIET), seed=seed)
        power = np.abs(np.fft.rfft(signal.samples_mv, axis=0)) ** 2
        hz = np.fft.rfftfreq(len(signal.samples_mv), 1 / signal.fs_hz)
        shares.append(power[hz > 40].sum() / power[hz > 0.5].sum())
    assert 1e-4 < np.median(shares) < 0.05


@pytest.mark.parametrize("conduction", CONDUCTIONS)
def test_blocks_widen_the_qrs(conduction):
    def width(kind):
        base = {"rhythm": "sinus", "st_mv": 0.0, "voltage": 1.0, "t_inverted": False}
        widths = []
        for seed in range(8):
            settings = EcgSettings(conduction=kind, **base, **QUIET)
            steep = np.abs(np.diff(simulate(settings, seed=seed).samples_mv, axis=0)).max(axis=1)
            widths.append(np.mean(steep > 0.15 * steep.max()))
        return np.mean(widths)

    assert width(conduction) >= width("normal") * (1.0 if conduction == "normal" else 0.9)
    if conduction in ("rbbb", "lbbb", "ivcd"):
        assert width(conduction) > 1.15 * width("normal")


def test_flat_leads_are_flat_and_the_equations_still_hold():
    signal = simulate(EcgSettings(flat_leads=("V3", "LA")), seed=1)
    columns = {lead: signal.samples_mv[:, k] for k, lead in enumerate(signal.leads)}
    assert not columns["V3"].any()
    assert not columns["I"].any()
    np.testing.assert_allclose(columns["III"], columns["II"])
    assert np.ptp(columns["V2"]) > 0.05


def test_noise_settings_are_followed():
    base = {**QUIET, "rhythm": "sinus", "conduction": "normal"}
    quiet = simulate(EcgSettings(**base), seed=3).samples_mv
    for name, low, high in [("wander_mv", 0.0, 1.0), ("muscle_mv", 15.0, 150.0)]:
        noisy = simulate(EcgSettings(**{**base, name: 0.2}), seed=3).samples_mv
        power = np.abs(np.fft.rfft(noisy - quiet, axis=0)).sum(axis=1) ** 2
        hz = np.fft.rfftfreq(len(noisy), 1 / 500)
        inside = power[(hz >= low) & (hz <= high)].sum() / power.sum()
        assert inside > 0.9
    hum = simulate(EcgSettings(**{**base, "mains_mv": 0.1, "mains_hz": 60.0}), seed=3).samples_mv
    spectrum = np.abs(np.fft.rfft((hum - quiet)[:, 6]))
    assert np.argmax(spectrum) == 600


def test_paced_beats_have_spikes():
    settings = EcgSettings(rhythm="paced", rate_bpm=70.0, **QUIET)
    steps = [np.abs(np.diff(simulate(settings, seed=k).samples_mv[:, 7], n=2)) for k in range(4)]
    assert max(step.max() for step in steps) > 0.15
