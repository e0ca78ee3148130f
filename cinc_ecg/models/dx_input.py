"""What the diagnosis networks look at: ten seconds at 100 Hz, or one median beat per lead.

Both come from a signal as it is printed: leads in different seconds, NaN where nothing is. The
median beat is the same for every layout, which is why it learns from few recordings; the rhythm is
left to the network that sees the whole page.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, resample_poly, sosfiltfilt

from cinc_ecg.leads import LEADS
from cinc_ecg.signals import fill_gaps
from cinc_ecg.types import FloatArray, Signal

InputKind = Literal["strip", "beat"]
INPUT_KINDS: tuple[str, ...] = get_args(InputKind)
FS_HZ = 100.0
DURATION_S = 10.0
N_STRIP = round(DURATION_S * FS_HZ)
#: Samples of a beat before the R peak, and from it on.
_BEFORE, _AFTER = 32, 56
N_BEAT = _BEFORE + _AFTER
#: Of these samples of a beat the median is its zero level.
_LEVEL = slice(0, 20)
#: A beat counts for a lead when so many of the samples about its R peak are printed.
_CORE = slice(20, 64)
_QRS_BAND_HZ = (5.0, 25.0)
_REFRACTORY_S = 0.25
Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]


def n_samples(kind: str) -> int:
    """Return the length of an input of a kind."""
    return N_STRIP if kind == "strip" else N_BEAT


def standard_strip(signal: Signal) -> FloatArray:
    """Return the first ten seconds of the twelve leads at 100 Hz: (12, 1000) mV.

    Leads and seconds that the signal lacks are NaN.
    """
    strip = np.full((len(LEADS), N_STRIP), np.nan)
    places = [(LEADS.index(lead), k) for k, lead in enumerate(signal.leads) if lead in LEADS]
    if not places or not len(signal.samples_mv):
        return strip
    rows, columns = (list(part) for part in zip(*places, strict=True))
    given = signal.samples_mv[: round(DURATION_S * signal.fs_hz), columns]
    values = _to_rate(given, signal.fs_hz)[:, :N_STRIP]
    strip[rows, : values.shape[1]] = values
    return strip


def _to_rate(samples: FloatArray, fs_hz: float) -> FloatArray:
    """Resample (n, leads) to 100 Hz: (leads, m); NaN where the nearest sample is.

    A polyphase filter: twenty times as fast as `signals.resample`, and good enough here.
    """
    ratio = Fraction(FS_HZ / fs_hz).limit_denominator(1000)
    filled = np.stack([fill_gaps(lead) for lead in np.asarray(samples, np.float64).T])
    values = resample_poly(filled, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    nearest = np.minimum(np.rint(np.arange(values.shape[1]) / float(ratio)), len(samples) - 1)
    known = np.isfinite(samples[nearest.astype(int)]).T
    return np.where(known, values, np.nan)


def prepare(strip: FloatArray, kind: str) -> Arrays:
    """Turn a standard strip into a network's input.

    Args:
        strip: (12, 1000) mV from `standard_strip`.
        kind: "strip" or "beat".

    Returns:
        (12, n) float32 mV about each lead's own level, 0 where nothing is printed, and the mask:
        1 where something is.
    """
    values = median_beats(strip) if kind == "beat" else strip - _levels(strip)
    known = np.isfinite(values)
    return np.where(known, values, 0.0).astype(np.float32), known.astype(np.float32)


def median_beats(strip: FloatArray) -> FloatArray:
    """Return each lead's median beat, aligned at the R peaks of all leads together.

    A beat takes part in a lead if it is printed about its R peak; where no beat of a lead is, the
    parts that are printed serve.

    Args:
        strip: (12, 1000) mV, NaN where not printed.

    Returns:
        (12, 88) mV about the level before the QRS, NaN where unknown.
    """
    peaks = r_peaks(strip)
    if not len(peaks):
        return np.full((len(strip), N_BEAT), np.nan)
    padded = np.pad(strip, ((0, 0), (_BEFORE, _AFTER)), constant_values=np.nan)
    beats: FloatArray = padded[:, peaks[:, None] + np.arange(N_BEAT)]
    whole = np.all(np.isfinite(beats[:, :, _CORE]), axis=2, keepdims=True)
    use = whole | ~np.any(whole, axis=1, keepdims=True)
    beats = np.where(use, beats, np.nan)
    before = _median(beats[:, :, _LEVEL], axis=2)
    level = np.where(np.isfinite(before), before, _median(beats, axis=2))
    beat = _median(beats - level, axis=1)[:, 0]
    return beat - np.where(
        np.isfinite(beat).any(axis=1, keepdims=True), _levels(beat[:, _LEVEL], beat), 0.0
    )


def r_peaks(strip: FloatArray) -> NDArray[np.int64]:
    """Return the samples of the QRS complexes, by the slope's energy in all printed leads.

    Band-pass, square of the slope, mean over the leads that are printed at the time, each lead
    scaled by its own steepest parts (after Pan and Tompkins, IEEE Trans Biomed Eng 32, 1985).

    Args:
        strip: (leads, n) mV at 100 Hz, NaN where not printed.
    """
    known: NDArray[np.bool_] = np.isfinite(strip)
    some = known.any(axis=1)
    if not some.any():
        return np.empty(0, np.int64)
    filled = np.stack([fill_gaps(lead) for lead in strip[some]])
    energy = np.gradient(sosfiltfilt(_qrs_filter(), filled, axis=1), axis=1) ** 2
    shown = known[some]
    # a quantile over the printed samples alone: the others are made the smallest
    share = 0.02 * shown.sum(axis=1) / shown.shape[1]
    ordered = np.sort(np.where(shown, energy, 0.0), axis=1)
    place = np.minimum(np.ceil((1 - share) * shown.shape[1]).astype(int), shown.shape[1] - 1)
    scale = ordered[np.arange(len(ordered)), place][:, None] + 1e-9
    total = (np.minimum(energy / scale, 3.0) * shown).sum(axis=0)
    course = uniform_filter1d(total / np.maximum(shown.sum(axis=0), 1), 9)
    peaks, _ = find_peaks(course, distance=round(_REFRACTORY_S * FS_HZ))
    if not len(peaks):
        return np.empty(0, np.int64)
    typical = np.median(np.sort(course[peaks])[::-1][:10])
    return peaks[course[peaks] > 0.3 * typical].astype(np.int64)


@lru_cache(maxsize=1)
def _qrs_filter() -> FloatArray:
    return butter(2, _QRS_BAND_HZ, "bandpass", fs=FS_HZ, output="sos")


def _median(values: FloatArray, axis: int) -> FloatArray:
    """Return the median of the finite values along an axis (kept), NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis, keepdims=True)
    ordered = np.sort(np.where(finite, values, np.inf), axis=axis)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis)
    high = np.take_along_axis(ordered, np.minimum(count // 2, max(values.shape[axis] - 1, 0)), axis)
    return np.where(
        count > 0, (np.where(count > 0, low, 0) + np.where(count > 0, high, 0)) / 2, np.nan
    )


def _levels(values: FloatArray, otherwise: FloatArray | None = None) -> FloatArray:
    """Return (rows, 1) medians; where nothing is finite the other array's, or 0."""
    own = _median(values, axis=1)
    other = 0.0 if otherwise is None else _levels(otherwise)
    return np.where(np.isfinite(own), own, other)
