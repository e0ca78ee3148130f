"""From the heart's dipole to disturbed electrode potentials, and from those to the leads.

Every disturbance enters at an electrode, so the limb leads obey Einthoven and Goldberger whatever
happens.
"""

from __future__ import annotations

import numpy as np

from cinc_ecg.leads import LIMB_COEFFICIENTS
from cinc_ecg.types import FloatArray

#: Direction and strength with which each electrode sees the dipole (x left, y down, z front),
#: relative to the limb electrodes' mean. RA, LA, LL reproduce I = x, II = x/2 + 0.87 y.
_ELECTRODES: dict[str, tuple[float, float, float]] = {
    "RA": (-0.50, -0.29, 0.0),
    "LA": (0.50, -0.29, 0.0),
    "LL": (0.00, 0.58, 0.0),
    "V1": (-0.45, 0.00, 0.95),
    "V2": (0.00, 0.05, 1.35),
    "V3": (0.45, 0.10, 1.20),
    "V4": (0.95, 0.25, 0.80),
    "V5": (1.10, 0.30, 0.25),
    "V6": (0.95, 0.30, -0.20),
}


def to_leads(moment_mv: FloatArray, electrode_mv: dict[str, FloatArray]) -> FloatArray:
    """Return the twelve leads, (n, 12) in mV, of a dipole plus extra electrode potentials.

    Args:
        moment_mv: (n, 3) dipole.
        electrode_mv: (n,) disturbance per electrode (RA LA LL V1..V6).
    """
    potential = {
        name: moment_mv @ np.array(vector) + electrode_mv.get(name, 0.0)
        for name, vector in _ELECTRODES.items()
    }
    lead_i = potential["LA"] - potential["RA"]
    lead_ii = potential["LL"] - potential["RA"]
    reference = (potential["RA"] + potential["LA"] + potential["LL"]) / 3
    limb = [a * lead_i + b * lead_ii for a, b in LIMB_COEFFICIENTS.values()]
    chest = [potential[f"V{k}"] - reference for k in range(1, 7)]
    return np.stack(limb + chest, -1)


def disturbances(
    time_s: FloatArray,
    fs_hz: float,
    wander_mv: float,
    muscle_mv: float,
    mains_mv: float,
    mains_hz: float,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Draw baseline wander, muscle noise and mains hum for every electrode.

    Args:
        time_s: (n,) sample times.
        fs_hz: Sampling rate.
        wander_mv: Standard deviation of the slow wander (below 0.6 Hz).
        muscle_mv: Standard deviation of the muscle noise (about 15 to 150 Hz).
        mains_mv: Amplitude of the hum.
        mains_hz: 50 or 60.
        rng: Source of all chance.
    """
    n = len(time_s)
    extra = {}
    hum_phase = rng.uniform(0, 2 * np.pi)
    for name in _ELECTRODES:
        noise = _coloured(n, fs_hz, 0.0, 0.6, rng) * wander_mv
        noise += _coloured(n, fs_hz, 15.0, 150.0, rng) * muscle_mv
        hum = np.sin(2 * np.pi * mains_hz * time_s + hum_phase + rng.normal(0, 0.3))
        extra[name] = noise + mains_mv * rng.uniform(0.2, 1.0) * hum
    return extra


def pacing_spikes(
    time_s: FloatArray, at_s: list[float], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Return stimulation spikes, two samples wide at most, as every electrode sees them."""
    train = np.zeros(len(time_s))
    for at in at_s:
        index = int(np.searchsorted(time_s, at))
        if 0 <= index < len(train):
            train[index] = 1.0
    height = rng.uniform(0.3, 1.6)
    return {name: train * height * rng.uniform(-1, 1) for name in _ELECTRODES}


def _coloured(
    n: int, fs_hz: float, low_hz: float, high_hz: float, rng: np.random.Generator
) -> FloatArray:
    """Gaussian noise of unit standard deviation with smooth band edges."""
    n_fft = 2 * n
    hz = np.fft.rfftfreq(n_fft, 1 / fs_hz)
    gain = np.exp(-((hz / high_hz) ** 4))
    gain *= 1 - np.exp(-((hz / low_hz) ** 4)) if low_hz > 0 else hz > 0
    spectrum = gain * (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz)))
    noise = np.fft.irfft(spectrum, n_fft)[:n]
    return noise / max(noise.std(), 1e-12)
