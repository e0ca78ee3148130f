"""Shape of the beats: Gaussian pulses along vector loops, in mV.

The body frame is x left, y down, z to the front.
As in the dipole models of the literature, each wave is a short run of the
heart's dipole in one direction; the leads are projections of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cinc_ecg.synth.rhythm import Timing
from cinc_ecg.types import FloatArray

Conduction = Literal["normal", "rbbb", "lbbb", "lafb", "ivcd"]
CONDUCTIONS: tuple[Conduction, ...] = Conduction.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Wave:
    """A Gaussian pulse of the dipole: centre relative to the R peak, width, vector."""

    at_s: float
    sigma_s: float
    vector_mv: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """The waves of one heart; T moves with the QT interval, the others keep their distance to R."""

    p: tuple[Wave, ...]
    qrs: tuple[Wave, ...]
    t: tuple[Wave, ...]
    st_mv: tuple[float, float, float]
    ectopic: tuple[Wave, ...]
    ectopic_t: tuple[Wave, ...]
    qt_s: float


def draw_shape(
    conduction: Conduction,
    voltage: float,
    st_mv: float,
    t_inverted: bool,
    rng: np.random.Generator,
) -> Shape:
    """Draw one heart's waves.

    Args:
        conduction: Normal or a bundle branch block.
        voltage: Factor on the QRS (0.4 low voltage, 1 normal, 1.8 hypertrophy).
        st_mv: Size of the ST shift, in a random direction.
        t_inverted: T waves against the QRS.
        rng: Source of all chance.
    """
    turn = _rotation(rng.normal(0, 0.35), rng.normal(0, 0.25))
    direction = rng.normal(0, 1, 3)
    direction *= st_mv / np.linalg.norm(direction)
    against = conduction in ("lbbb", "ivcd")
    size = rng.uniform(0.6, 1.5) * (-1 if t_inverted != against else 1)
    ectopic, ectopic_t = _ectopic_waves(rng)
    return Shape(
        p=_p_waves(turn, rng),
        qrs=_qrs_waves(turn, conduction, voltage, rng),
        t=_t_waves(turn, size, rng),
        st_mv=(float(direction[0]), float(direction[1]), float(direction[2])),
        ectopic=ectopic,
        ectopic_t=ectopic_t,
        qt_s=rng.uniform(0.37, 0.43),
    )


def _p_waves(turn: FloatArray, rng: np.random.Generator) -> tuple[Wave, ...]:
    """Right, then left atrium."""
    size = rng.uniform(0.5, 1.5)
    return (
        Wave(-0.014, 0.016, _v(turn, (0.03 * size, 0.08 * size, 0.06 * size), rng)),
        Wave(0.020, 0.018, _v(turn, (0.07 * size, 0.05 * size, -0.03 * size), rng)),
    )


def _qrs_waves(
    turn: FloatArray, conduction: Conduction, voltage: float, rng: np.random.Generator
) -> tuple[Wave, ...]:
    """Septum, apex, free walls, base; then the block's delay and a few small sharp notches."""
    width = rng.uniform(0.66, 1.08)
    waves = [
        Wave(-0.024 * width, 0.0065 * width, _v(turn, (-0.22, -0.10, 0.42), rng)),
        Wave(-0.009 * width, 0.0080 * width, _v(turn, (0.55, 0.45, 0.40), rng)),
        Wave(0.004 * width, 0.0080 * width, _v(turn, (0.95, 0.75, -0.75), rng)),
        Wave(0.024 * width, 0.0085 * width, _v(turn, (-0.28, -0.22, -0.45), rng)),
    ]
    waves += _conduction_waves(conduction, width, rng)
    for _ in range(int(rng.integers(2, 6))):
        at, sigma = rng.uniform(-0.03, 0.04), rng.uniform(0.002, 0.0045)
        waves.append(Wave(at, sigma, tuple(rng.normal(0, 0.06, 3))))
    return tuple(replace(wave, vector_mv=_scale(wave.vector_mv, voltage)) for wave in waves)


def _t_waves(turn: FloatArray, size: float, rng: np.random.Generator) -> tuple[Wave, ...]:
    """A slow rise and a faster fall, seldom a U wave; `size` is negative for inverted T waves."""
    t_turn = _rotation(rng.normal(0, 0.3), rng.normal(0, 0.3))
    waves = [
        Wave(-0.075, 0.045, _v(t_turn, (0.09 * size, 0.07 * size, 0.07 * size), rng)),
        Wave(-0.025, 0.030, _v(t_turn, (0.20 * size, 0.16 * size, 0.16 * size), rng)),
    ]
    if rng.random() < 0.15:
        waves.append(Wave(0.16, 0.03, _v(turn, (0.02, 0.02, 0.03), rng)))
    return tuple(waves)


def dipole(
    shape: Shape, timing: Timing, time_s: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return the heart's dipole, (n, 3) in mV, for the beats of `timing` at the times given."""
    moment = np.zeros((len(time_s), 3))
    breathing = 2 * np.pi * rng.uniform(0.18, 0.33), rng.uniform(0, 6.3), rng.uniform(0, 0.06)
    for at in timing.p_times_s:
        for wave in shape.p:
            _add(moment, time_s, at + wave.at_s, wave.sigma_s, wave.vector_mv)
    for beat in timing.beats:
        swing = 1 + breathing[2] * np.sin(breathing[0] * beat.time_s + breathing[1])
        swing *= 1 + 0.01 * rng.standard_normal()
        normal = beat.kind == "normal"
        qt = shape.qt_s * np.sqrt(np.clip(beat.rr_s, 0.3, 1.5)) + (0.0 if normal else 0.06)
        for wave in shape.qrs if normal else shape.ectopic:
            _add(
                moment, time_s, beat.time_s + wave.at_s, wave.sigma_s, _scale(wave.vector_mv, swing)
            )
        for wave in shape.t if normal else shape.ectopic_t:
            at = beat.time_s + qt - 0.10 + wave.at_s
            _add(moment, time_s, at, wave.sigma_s, _scale(wave.vector_mv, swing))
        if normal and any(shape.st_mv):
            start, stop = beat.time_s + 0.05, beat.time_s + qt - 0.12
            _add_plateau(moment, time_s, start, stop, shape.st_mv)
    return moment


def atrial_waves(timing: Timing, time_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the dipole of fibrillation or flutter waves, (n, 3) in mV; zero for other rhythms."""
    moment = np.zeros((len(time_s), 3))
    if timing.atrial is None:
        return moment
    drift = np.cumsum(rng.standard_normal(len(time_s)))
    drift *= 1.5 / max(np.abs(drift).max(), 1e-9)
    if timing.atrial == "flutter":
        phase = (timing.atrial_hz * time_s) % 1.0
        wave = np.where(phase < 0.75, phase / 0.75, (1 - phase) / 0.25) - 0.5
        return wave[:, None] * np.array([0.04, -0.28, 0.12]) * rng.uniform(0.6, 1.4)
    for _ in range(4):
        hz = timing.atrial_hz * rng.uniform(0.85, 1.2)
        angle = 2 * np.pi * hz * time_s + drift * rng.uniform(1, 3) + rng.uniform(0, 6.3)
        wave = np.sin(angle) + 0.35 * np.sin(2 * angle)
        moment += wave[:, None] * rng.normal(0, 1, 3) * np.array([0.012, 0.02, 0.035])
    return moment


def _conduction_waves(conduction: Conduction, width: float, rng: np.random.Generator) -> list[Wave]:
    late = 0.045 * width
    if conduction == "rbbb":
        return [
            Wave(late, 0.014, _jitter((-0.45, -0.05, 0.75), rng)),
            Wave(late + 0.025, 0.012, _jitter((-0.25, 0.0, 0.35), rng)),
        ]
    if conduction == "lbbb":
        return [
            Wave(-0.02, 0.010, _jitter((0.30, 0.10, -0.55), rng)),
            Wave(late - 0.01, 0.018, _jitter((0.75, 0.25, -0.80), rng)),
            Wave(late + 0.03, 0.012, _jitter((0.45, 0.15, -0.35), rng)),
        ]
    if conduction == "lafb":
        return [Wave(0.02, 0.012, _jitter((0.35, -1.1, -0.1), rng))]
    if conduction == "ivcd":
        return [Wave(late, 0.016, tuple(rng.normal(0, 0.5, 3)))]
    return []


def _ectopic_waves(rng: np.random.Generator) -> tuple[tuple[Wave, ...], tuple[Wave, ...]]:
    """A wide beat from the ventricle's wall, its T wave against it."""
    way = rng.normal(0, 1, 3)
    way *= rng.uniform(1.0, 2.2) / np.linalg.norm(way)
    other = rng.normal(0, 0.4, 3)
    qrs = (
        Wave(-0.02, 0.016, tuple(0.6 * way + 0.5 * other)),
        Wave(0.015, 0.020, tuple(way)),
        Wave(0.055, 0.016, tuple(0.35 * way - other)),
        Wave(rng.uniform(-0.02, 0.04), 0.004, tuple(rng.normal(0, 0.08, 3))),
    )
    return qrs, (Wave(-0.06, 0.05, tuple(-0.28 * way)), Wave(-0.02, 0.035, tuple(-0.15 * way)))


def _add(
    moment: FloatArray,
    time_s: FloatArray,
    at: float,
    sigma: float,
    vector: tuple[float, float, float],
) -> None:
    low, high = np.searchsorted(time_s, (at - 5 * sigma, at + 5 * sigma))
    if high > low:
        pulse = np.exp(-0.5 * ((time_s[low:high] - at) / sigma) ** 2)
        moment[low:high] += pulse[:, None] * np.array(vector)


def _add_plateau(
    moment: FloatArray,
    time_s: FloatArray,
    start: float,
    stop: float,
    vector: tuple[float, float, float],
) -> None:
    low, high = np.searchsorted(time_s, (start - 0.1, stop + 0.3))
    if high > low:
        t = time_s[low:high]
        step = 1 / (1 + np.exp(-(t - start) / 0.008)) / (1 + np.exp((t - stop) / 0.03))
        moment[low:high] += step[:, None] * np.array(vector)


def _rotation(frontal: float, horizontal: float) -> FloatArray:
    """Turn the loop in the frontal plane (the electrical axis) and in the horizontal plane."""
    cf, sf, ch, sh = np.cos(frontal), np.sin(frontal), np.cos(horizontal), np.sin(horizontal)
    return np.array([[cf, -sf, 0], [sf, cf, 0], [0, 0, 1]]) @ np.array(
        [[ch, 0, -sh], [0, 1, 0], [sh, 0, ch]]
    )


def _v(
    turn: FloatArray, vector: tuple[float, float, float], rng: np.random.Generator
) -> tuple[float, float, float]:
    return _jitter(tuple(turn @ np.array(vector)), rng)


def _jitter(vector: tuple[float, ...], rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = np.array(vector) * rng.uniform(0.75, 1.25, 3)
    return float(x), float(y), float(z)


def _scale(vector: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor
