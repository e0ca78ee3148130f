"""Simulate twelve-lead electrocardiograms of many rhythms and shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinc_ecg.leads import CHEST_LEADS, LEADS
from cinc_ecg.synth.electrodes import disturbances, pacing_spikes, to_leads
from cinc_ecg.synth.heart import CONDUCTIONS, Conduction, atrial_waves, dipole, draw_shape
from cinc_ecg.synth.rhythm import RHYTHMS, Rhythm, Timing, draw_timing
from cinc_ecg.types import FloatArray, Signal

#: A stimulus precedes the R peak of the beat it makes by about this much.
_SPIKE_LEAD_S = 0.05


@dataclass(frozen=True, slots=True)
class EcgSettings:
    """What to simulate; None lets the seed decide.

    Attributes:
        fs_hz, duration_s: Rate and length.
        rhythm: See `cinc_ecg.synth.rhythm.RHYTHMS`.
        rate_bpm: Mean ventricular rate.
        conduction: See `cinc_ecg.synth.heart.CONDUCTIONS`.
        voltage: Factor on the QRS: 0.4 low voltage, 1.8 hypertrophy.
        st_mv: Size of the ST shift.
        t_inverted: T waves against the QRS.
        wander_mv, muscle_mv, mains_mv: Baseline wander, muscle noise (standard deviations), hum
            (amplitude).
        mains_hz: 50 or 60.
        flat_leads: Chest leads that are off and print a flat line; "LA" makes lead I flat
            (III = II).
    """

    fs_hz: float = 500.0
    duration_s: float = 10.0
    rhythm: Rhythm | None = None
    rate_bpm: float | None = None
    conduction: Conduction | None = None
    voltage: float | None = None
    st_mv: float | None = None
    t_inverted: bool | None = None
    wander_mv: float | None = None
    muscle_mv: float | None = None
    mains_mv: float | None = None
    mains_hz: float | None = None
    flat_leads: tuple[str, ...] | None = None


def simulate(settings: EcgSettings | None = None, *, seed: int) -> Signal:
    """Simulate a twelve-lead electrocardiogram.

    Gaussian pulses of a dipole are projected on electrodes; noise is added at the electrodes, so
    III = II - I and the Goldberger equations hold to rounding.

    Args:
        settings: Fixed properties; whatever is None is drawn.
        seed: Same seed and settings, same samples.

    Returns:
        The twelve leads in mV, (n, 12) float32.
    """
    settings = settings or EcgSettings()
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(settings.duration_s * settings.fs_hz)) / settings.fs_hz
    rhythm = settings.rhythm or _choose_rhythm(rng)
    timing = draw_timing(rhythm, settings.rate_bpm, settings.duration_s, rng)
    shape = draw_shape(
        settings.conduction or _choose_conduction(rng),
        _or(settings.voltage, float(np.exp(rng.normal(-0.15, 0.25)))),
        _or(settings.st_mv, float(rng.exponential(0.15)) if rng.random() < 0.3 else 0.0),
        bool(rng.random() < 0.15) if settings.t_inverted is None else settings.t_inverted,
        rng,
    )
    moment = dipole(shape, timing, time_s, rng) + atrial_waves(timing, time_s, rng)
    extra = disturbances(
        time_s,
        settings.fs_hz,
        _or(settings.wander_mv, float(rng.exponential(0.04))),
        _or(settings.muscle_mv, float(rng.exponential(0.008))),
        _or(settings.mains_mv, float(rng.exponential(0.01)) if rng.random() < 0.3 else 0.0),
        settings.mains_hz or float(rng.choice([50.0, 60.0])),
        rng,
    )
    spikes = pacing_spikes(time_s, _spike_times(timing), rng)
    samples = to_leads(moment, {name: extra[name] + spikes[name] for name in extra})
    flat = settings.flat_leads
    if flat is None:
        flat = (CHEST_LEADS[rng.integers(6)],) if rng.random() < 0.03 else ()
    return Signal(_switch_off(samples, flat).astype(np.float32), settings.fs_hz, LEADS)


def _choose_rhythm(rng: np.random.Generator) -> Rhythm:
    """Sinus rhythm in half of the records, the others evenly."""
    others = [name for name in RHYTHMS if name != "sinus"]
    return "sinus" if rng.random() < 0.5 else others[rng.integers(len(others))]


def _choose_conduction(rng: np.random.Generator) -> Conduction:
    return "normal" if rng.random() < 0.65 else CONDUCTIONS[1 + rng.integers(len(CONDUCTIONS) - 1)]


def _or(value: float | None, drawn: float) -> float:
    return drawn if value is None else value


def _spike_times(timing: Timing) -> list[float]:
    return [beat.time_s - _SPIKE_LEAD_S for beat in timing.beats if beat.kind == "paced"]


def _switch_off(samples: FloatArray, flat: tuple[str, ...]) -> FloatArray:
    """Flatten leads; with "LA" off, lead I is flat and the other limb leads follow from II."""
    samples = samples.copy()
    for name in flat:
        if name == "LA":
            lead_ii = samples[:, LEADS.index("II")].copy()
            samples[:, :6] = lead_ii[:, None] * np.array([0.0, 1.0, 1.0, -0.5, -0.5, 1.0])
        else:
            samples[:, LEADS.index(name)] = 0.0
    return samples
