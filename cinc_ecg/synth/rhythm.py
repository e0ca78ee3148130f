"""When the heart beats: onset of every atrial and ventricular activation for a rhythm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cinc_ecg.types import FloatArray

Rhythm = Literal[
    "sinus",
    "bradycardia",
    "tachycardia",
    "arrhythmia",
    "pac",
    "pvc",
    "af",
    "flutter",
    "svt",
    "av_block_1",
    "av_block_2",
    "av_block_3",
    "paced",
]
RHYTHMS: tuple[Rhythm, ...] = Rhythm.__args__  # type: ignore[attr-defined]

#: Usual rates in beats per minute (ventricular).
_RATE_BPM: dict[str, tuple[float, float]] = {
    "bradycardia": (35, 58),
    "tachycardia": (102, 160),
    "svt": (150, 210),
    "af": (60, 150),
    "flutter": (70, 150),
    "av_block_3": (30, 45),
    "paced": (60, 90),
}


@dataclass(frozen=True, slots=True)
class Beat:
    """One ventricular beat.

    Attributes:
        time_s: Time of the R peak.
        kind: Where it starts; decides its shape.
        rr_s: Distance to the beat before; the QT interval follows it.
    """

    time_s: float
    kind: Literal["normal", "ectopic", "paced"] = "normal"
    rr_s: float = 0.8


@dataclass(frozen=True, slots=True)
class Timing:
    """Ventricular beats, times of the P waves' peaks, and the kind of continuous atrial waves."""

    beats: tuple[Beat, ...]
    p_times_s: tuple[float, ...]
    atrial: Literal["f", "flutter"] | None = None
    atrial_hz: float = 0.0


def draw_timing(
    rhythm: Rhythm, rate_bpm: float | None, duration_s: float, rng: np.random.Generator
) -> Timing:
    """Draw beat times over 0..duration (and a little beyond, so that no wave is cut at the ends).

    Args:
        rhythm: See `RHYTHMS`.
        rate_bpm: Mean ventricular rate, or None for one usual for the rhythm.
        duration_s: Length of the record.
        rng: Source of all chance.
    """
    rate = rate_bpm or rng.uniform(*_RATE_BPM.get(rhythm, (58, 100)))
    pr_s = rng.uniform(0.12, 0.19)
    if rhythm in ("af", "flutter", "av_block_3", "paced"):
        return _without_conduction(rhythm, rate, pr_s, duration_s, rng)
    spread = 0.12 if rhythm == "arrhythmia" else rng.uniform(0.01, 0.05)
    times = _sinus(rate, duration_s, rng, spread)
    if rhythm == "av_block_2":
        return _wenckebach(times, rng)
    if rhythm in ("pac", "pvc"):
        return _with_extrasystoles(times, rhythm, pr_s, rng)
    if rhythm == "av_block_1":
        pr_s = rng.uniform(0.22, 0.34)
    return Timing(_beats(times), tuple(times - min(pr_s, 0.6 * 60 / rate)))


def _without_conduction(
    rhythm: str, rate: float, pr_s: float, duration_s: float, rng: np.random.Generator
) -> Timing:
    """Rhythms whose ventricular beats do not follow sinus P waves one by one."""
    if rhythm == "af":
        return Timing(_beats(_irregular(rate, duration_s, rng)), (), "f", rng.uniform(4.5, 8.5))
    if rhythm == "flutter":
        hz = rng.uniform(4.2, 5.6)
        cycle_s = max(round(60 * hz / rate), 1) / hz
        times = np.arange(-1.0, duration_s + 1.0, cycle_s) + rng.uniform(0, cycle_s)
        return Timing(_beats(times), (), "flutter", hz)
    if rhythm == "av_block_3":
        p_like = _sinus(rng.uniform(65, 100), duration_s, rng)
        return Timing(_beats(_sinus(rate, duration_s, rng), "ectopic"), tuple(p_like))
    paced = np.arange(-1.0, duration_s + 1.0, 60 / rate) + rng.uniform(0, 0.5)
    p_times = paced - pr_s if rng.random() < 0.5 else paced[:0]
    return Timing(_beats(paced, "paced"), tuple(p_times))


def _beats(
    times: FloatArray, kind: Literal["normal", "ectopic", "paced"] = "normal"
) -> tuple[Beat, ...]:
    rr = np.diff(times, prepend=times[0] - (times[1] - times[0] if len(times) > 1 else 0.8))
    return tuple(Beat(float(t), kind, float(r)) for t, r in zip(times, rr, strict=True))


def _sinus(
    rate_bpm: float, duration_s: float, rng: np.random.Generator, spread: float = 0.02
) -> FloatArray:
    """Beat times with respiratory modulation and a slow random part (heart-rate variability)."""
    mean = 60 / rate_bpm
    count = int((duration_s + 3) / mean) + 4
    at = np.arange(count) * mean
    breathing = np.sin(2 * np.pi * rng.uniform(0.18, 0.33) * at + rng.uniform(0, 6.3))
    rr = mean * (1 + spread * breathing + 0.3 * spread * rng.standard_normal(count))
    return np.cumsum(np.maximum(rr, 0.25)) - 1.0 - rng.uniform(0, mean)


def _irregular(rate_bpm: float, duration_s: float, rng: np.random.Generator) -> FloatArray:
    mean = 60 / rate_bpm
    count = int((duration_s + 3) / mean * 1.5) + 6
    rr = np.maximum(mean * rng.gamma(18, 1 / 18, count), 0.28)
    times = np.cumsum(rr) - 1.0 - rng.uniform(0, mean)
    return times[times < duration_s + 1.5]


def _wenckebach(p_like: FloatArray, rng: np.random.Generator) -> Timing:
    """PR grows from beat to beat until one P wave is not conducted."""
    cycle = int(rng.integers(3, 6))
    first = int(rng.integers(cycle))
    pr0, growth = rng.uniform(0.14, 0.2), rng.uniform(0.03, 0.07)
    p_times = p_like - 0.16
    phase = (np.arange(len(p_times)) + first) % cycle
    conducted = phase < cycle - 1
    return Timing(_beats((p_times + pr0 + growth * phase)[conducted]), tuple(p_times))


def _with_extrasystoles(
    times: FloatArray, rhythm: str, pr_s: float, rng: np.random.Generator
) -> Timing:
    """Make some beats premature; a ventricular one has no P wave, and a full pause follows."""
    beats = list(_beats(times))
    p_times = []
    chance = rng.uniform(0.12, 0.35)
    previous_early = True
    for k, beat in enumerate(beats):
        early = not previous_early and rng.random() < chance
        previous_early = early
        if not early:
            p_times.append(beat.time_s - pr_s)
            continue
        shift = rng.uniform(0.25, 0.42) * beat.rr_s
        kind: Literal["normal", "ectopic"] = "ectopic" if rhythm == "pvc" else "normal"
        beats[k] = replace(beat, time_s=beat.time_s - shift, kind=kind, rr_s=beat.rr_s - shift)
        if rhythm == "pac":
            p_times.append(beat.time_s - shift - 0.85 * pr_s)
    return Timing(tuple(beats), tuple(p_times))
