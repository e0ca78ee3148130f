"""Measure one lead: R peaks, the median beat, its onsets and ends, intervals and amplitudes.

Meant for comparing a digitized lead with its reference, both measured alike. R peaks come from the
energy of the band-passed slope (after Pan and Tompkins, IEEE Trans Biomed Eng 32, 1985), the QRS's
ends from where the median beat's slope sinks to its noise, the T wave's end from the tangent at its
steepest descent (Lepeschkin and Surawicz, Circulation 6, 1952). What cannot be found is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Gaps up to this long are bridged; the longest stretch without a longer one is measured.
_MAX_GAP_S = 0.04
_MIN_STRETCH_S = 1.5
#: The median beat's window about the R peak.
_BEFORE_S, _AFTER_S = 0.36, 0.6
#: Ends of the QRS are sought below this frequency, where a trace read off paper is faithful.
_EDGE_BAND_HZ = 40.0
#: Slope at which the QRS begins and ends, of its steepest.
_EDGE = 0.06
#: Where ST is read, after the QRS's end.
_ST_DELAY_S = 0.06


@dataclass(frozen=True, slots=True)
class BeatMeasures:
    """What a lead's median beat shows; NaN where it cannot be told.

    Attributes:
        hr_bpm: Heart rate from the median RR interval.
        pr_ms, qrs_ms, qt_ms: Intervals.
        st_mv: Level 60 ms after the QRS's end, against the level before the QRS.
        r_mv: Height of the R wave (0 in a QS complex).
    """

    hr_bpm: float = float("nan")
    pr_ms: float = float("nan")
    qrs_ms: float = float("nan")
    qt_ms: float = float("nan")
    st_mv: float = float("nan")
    r_mv: float = float("nan")


def measure_lead(lead_mv: FloatArray, fs_hz: float) -> BeatMeasures:
    """Measure a lead's longest stretch.

    Args:
        lead_mv: (n,) in mV, NaN where not printed.
        fs_hz: Sampling rate.
    """
    stretch = longest_stretch(np.asarray(lead_mv, dtype=np.float64), fs_hz)
    if len(stretch) < _MIN_STRETCH_S * fs_hz or np.ptp(stretch) == 0:
        return BeatMeasures()
    peaks = r_peaks(stretch, fs_hz)
    if not len(peaks):
        return BeatMeasures()
    rr_s = float(np.median(np.diff(peaks))) / fs_hz if len(peaks) > 1 else float("nan")
    hr_bpm = 60 / rr_s
    beat = _median_beat(stretch, peaks, fs_hz, rr_s)
    if beat is None:
        return BeatMeasures(hr_bpm)
    return _measure_beat(beat, fs_hz, hr_bpm)


def longest_stretch(lead_mv: FloatArray, fs_hz: float) -> FloatArray:
    """Return the longest run of finite samples, gaps up to 40 ms bridged by straight lines."""
    finite = np.flatnonzero(np.isfinite(lead_mv))
    if not len(finite):
        return np.empty(0)
    breaks = np.flatnonzero(np.diff(finite) > max(1, round(_MAX_GAP_S * fs_hz)))
    starts = np.concatenate(([0], breaks + 1))
    stops = np.concatenate((breaks, [len(finite) - 1]))
    k = int(np.argmax(finite[stops] - finite[starts]))
    run = finite[starts[k] : stops[k] + 1]
    return np.interp(np.arange(run[0], run[-1] + 1), run, lead_mv[run])


def r_peaks(lead_mv: FloatArray, fs_hz: float) -> IntArray:
    """Return the samples of the QRS complexes' largest deflections."""
    band = butter(2, (5, min(25, 0.45 * fs_hz)), "bandpass", fs=fs_hz, output="sos")
    slope = np.gradient(sosfiltfilt(band, lead_mv)) * fs_hz
    energy = uniform_filter1d(slope**2, max(3, round(0.1 * fs_hz)))
    candidates, _ = find_peaks(energy, distance=max(1, round(0.25 * fs_hz)))
    if not len(candidates):
        return np.empty(0, dtype=np.int64)
    top = np.sort(energy[candidates])[::-1]
    typical = np.median(top[: max(1, min(len(top), round(len(lead_mv) / fs_hz)))])
    found = candidates[energy[candidates] > 0.25 * typical]
    level = np.median(lead_mv)
    reach = round(0.06 * fs_hz)
    peaks = []
    for centre in found:
        start = max(0, centre - reach)
        window = np.abs(lead_mv[start : centre + reach + 1] - level)
        peaks.append(start + int(np.argmax(window)))
    return np.unique(peaks)


@dataclass(frozen=True, slots=True)
class _Beat:
    """A median beat; `r` is its R peak, `t_limit` the last sample that may hold the T wave."""

    mv: FloatArray
    r: int
    t_limit: int


def _median_beat(lead_mv: FloatArray, peaks: IntArray, fs_hz: float, rr_s: float) -> _Beat | None:
    """Return the median of the whole beats in a lead, or None when there is none."""
    rr_s = rr_s if np.isfinite(rr_s) else 0.8
    before = round(min(_BEFORE_S, 0.5 * rr_s) * fs_hz)
    after = round(min(_AFTER_S, 0.75 * rr_s) * fs_hz)
    beats = [
        lead_mv[p - before : p + after + 1]
        for p in peaks
        if p >= before and p + after < len(lead_mv)
    ]
    if not beats:
        return None
    # Polarity of the deflection may change from beat to beat in a biphasic lead: keep the majority.
    typical = np.median(beats, axis=0)
    distance = [float(np.mean((beat - typical) ** 2)) for beat in beats]
    kept = [b for b, d in zip(beats, distance, strict=True) if d <= 4 * np.median(distance)]
    return _Beat(np.median(kept, axis=0), before, after + before)


def _measure_beat(beat: _Beat, fs_hz: float, hr_bpm: float) -> BeatMeasures:
    onset, end = _qrs_edges(beat, fs_hz)
    if onset is None or end is None:
        return BeatMeasures(hr_bpm)
    flat = beat.mv[max(0, onset - round(0.02 * fs_hz)) : onset + 1]
    level = float(np.median(flat))
    st = end + round(_ST_DELAY_S * fs_hz)
    p_onset = _p_onset(beat, onset, fs_hz)
    t_end = _t_end(beat, end, level, fs_hz)
    ms = 1000 / fs_hz
    return BeatMeasures(
        hr_bpm,
        (onset - p_onset) * ms,
        (end - onset) * ms,
        (t_end - onset) * ms,
        float(beat.mv[st]) - level if st < len(beat.mv) else float("nan"),
        max(0.0, float(beat.mv[onset : end + 1].max()) - level),
    )


def _slope(mv: FloatArray, fs_hz: float, smooth_s: float) -> FloatArray:
    """Return the slope in mV/s after a moving average."""
    return np.gradient(uniform_filter1d(mv, max(1, round(smooth_s * fs_hz)))) * fs_hz


def _qrs_edges(beat: _Beat, fs_hz: float) -> tuple[int | None, int | None]:
    """Return where the slope first and last exceeds its threshold without a pause of 14 ms."""
    smooth = beat.mv
    if fs_hz > 2.5 * _EDGE_BAND_HZ:
        low = butter(2, _EDGE_BAND_HZ, fs=fs_hz, output="sos")
        smooth = sosfiltfilt(low, beat.mv, padlen=min(len(beat.mv) - 1, round(0.1 * fs_hz)))
    slope = np.abs(np.gradient(smooth)) * fs_hz
    near = slice(max(0, beat.r - round(0.06 * fs_hz)), beat.r + round(0.06 * fs_hz) + 1)
    steepest = near.start + int(np.argmax(slope[near]))
    quiet = float(np.percentile(slope, 30))
    threshold = max(_EDGE * float(slope[steepest]), 3 * quiet)
    pause = max(2, round(0.014 * fs_hz))
    onset = _first_quiet(slope[:steepest][::-1] < threshold, pause, round(0.12 * fs_hz))
    end = _first_quiet(slope[steepest + 1 :] < threshold, pause, round(0.2 * fs_hz))
    return (
        None if onset is None else steepest - 1 - onset,
        None if end is None else steepest + 1 + end,
    )


def _first_quiet(quiet: NDArray[np.bool_], pause: int, limit: int) -> int | None:
    """Return the first index from which `pause` samples are quiet, at most `limit`."""
    run = np.convolve(quiet[: limit + pause], np.ones(pause), mode="valid")
    found = np.flatnonzero(run >= pause)
    return int(found[0]) if len(found) else None


def _p_onset(beat: _Beat, onset: int, fs_hz: float) -> float:
    """Return where the P wave leaves the line under it, or NaN when no wave stands out."""
    start, stop = max(0, onset - round(0.28 * fs_hz)), onset - round(0.02 * fs_hz)
    if stop - start < 0.08 * fs_hz:
        return float("nan")
    part = uniform_filter1d(beat.mv[start:stop], max(1, round(0.02 * fs_hz)))
    ends = max(1, round(0.02 * fs_hz))
    line = np.linspace(part[:ends].mean(), part[-ends:].mean(), len(part))
    wave = np.abs(part - line)
    peak = int(np.argmax(wave))
    noise = float(np.median(np.abs(np.diff(beat.mv[start:stop], 2)))) / 2
    if wave[peak] < max(0.025, 4 * noise) or not ends < peak < len(part) - ends:
        return float("nan")
    below = np.flatnonzero(wave[:peak] < 0.12 * wave[peak])
    return float(start + below[-1]) if len(below) else float("nan")


def _t_end(beat: _Beat, end: int, level: float, fs_hz: float) -> float:
    """Return where the tangent at the T wave's steepest return meets the level, or NaN."""
    start = end + round(0.08 * fs_hz)
    stop = min(beat.t_limit, len(beat.mv) - 1)
    if stop - start < 0.12 * fs_hz:
        return float("nan")
    smooth = uniform_filter1d(beat.mv, max(1, round(0.03 * fs_hz)))
    inner = np.abs(smooth[start:stop] - level)
    peak = start + int(np.argmax(inner))
    height = smooth[peak] - level
    if abs(height) < 0.04 or stop - peak < round(0.03 * fs_hz):
        return float("nan")
    slope = _slope(smooth, fs_hz, 0.02) * np.sign(height)
    steepest = peak + int(np.argmin(slope[peak : stop + 1]))
    if slope[steepest] >= 0:
        return float("nan")
    meets = steepest + abs(smooth[steepest] - level) / -slope[steepest] * fs_hz
    return float(meets) if meets <= stop + 0.1 * fs_hz else float("nan")
