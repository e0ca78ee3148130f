"""The Challenge's digitization scores as the official evaluator computes them, both versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.metrics.official_align import VERSIONS, OfficialVersion, align_lead
from cinc_ecg.metrics.official_extra import (
    compute_asci_metric,
    compute_ks_metric,
    compute_weighted_absolute_difference,
    pad_to_same_length,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExtraScores:
    """The extra metrics of one lead.

    Attributes:
        snr_median: The whole tuple (SNR in dB with the median as noise power, signal power and
            noise power in mV^2): the official summary averages all three numbers together (quirk
            B2).
        ks, asci, wad: See `official_extra`.
    """

    snr_median: tuple[float, float, float]
    ks: float
    asci: float
    wad: float


@dataclass(frozen=True, slots=True)
class LeadScore:
    """The official score of one lead.

    Attributes:
        snr_db: Signal-to-noise ratio times the share of the reference that is covered; NaN when
            undefined.
        p_signal_mv2, p_noise_mv2: Powers over the compared samples.
        shift_samples, shift_mv: Where the alignment found the estimate (positive: late, high).
        shift_accepted: False when that lies beyond the limits and the lead was scored as it came.
        extra: The extra metrics, when asked for.
    """

    snr_db: float
    p_signal_mv2: float
    p_noise_mv2: float
    shift_samples: int = 0
    shift_mv: float = 0.0
    shift_accepted: bool = True
    extra: ExtraScores | None = None


def score_lead(
    reference_mv: FloatArray,
    estimate_mv: FloatArray,
    fs_hz: float,
    *,
    version: OfficialVersion = "2024-09",
    align: bool = True,
    extra: bool = False,
    literal: bool = False,
) -> LeadScore:
    """Score one lead as the official evaluator does.

    Args:
        reference_mv: (n,) reference in mV; NaN outside the printed window.
        estimate_mv: (m,) estimate in mV at the same rate; NaN where nothing is claimed.
        fs_hz: Sampling rate of both.
        version: Which published evaluator.
        align: Remove a small shift first, as the evaluator does by default.
        extra: Compute the extra metrics too; they raise where the two share no sample (quirk B8).
        literal: Align by the literal transforms only (slow; the result is the same).
    """
    if version not in VERSIONS:
        raise ValueError(f"unknown scorer version {version!r}; use one of {', '.join(VERSIONS)}")
    reference = np.asarray(reference_mv, dtype=np.float64)
    estimate = np.asarray(estimate_mv, dtype=np.float64)
    shift, shift_mv, accepted = 0, 0.0, True
    if align:
        alignment = align_lead(reference, estimate, fs_hz, version=version, literal=literal)
        estimate = alignment.estimate_mv
        shift, shift_mv = alignment.shift_samples, alignment.shift_mv
        accepted = alignment.accepted
    snr, p_signal, p_noise = compute_snr(reference, estimate)
    extras = extra_scores(reference, estimate, fs_hz) if extra else None
    return LeadScore(snr, p_signal, p_noise, shift, shift_mv, accepted, extras)


def extra_scores(reference: FloatArray, estimate: FloatArray, fs_hz: float) -> ExtraScores:
    """Compute the extra metrics of one aligned lead.

    Raises:
        IndexError: The two share no finite sample, as in the official code (quirk B8).
    """
    return ExtraScores(
        compute_snr(reference, estimate, noise_median=True),
        compute_ks_metric(reference, estimate),
        compute_asci_metric(reference, estimate),
        compute_weighted_absolute_difference(reference, estimate, fs_hz),
    )


def compute_snr(
    x_ref: FloatArray,
    x_est: FloatArray,
    keep_nans: bool = True,
    signal_median: bool = False,
    noise_median: bool = False,
) -> tuple[float, float, float]:
    """Return the signal-to-noise ratio in dB, weighted by coverage, with the two powers.

    The ratio of mean x^2 (mean not removed) to mean (x - y)^2 over the samples finite in both, in
    dB, times the share of the reference's finite samples among them, negative values included
    (quirk B5). Nothing shared gives 0; a perfect estimate, a silent or empty reference give NaN
    (quirk B3).

    Args:
        x_ref: (n,) reference.
        x_est: (m,) estimate; the shorter signal is continued with NaN.
        keep_nans: False counts non-finite samples of the estimate as 0.
        signal_median: Take the median of x^2 instead of the mean.
        noise_median: Take the median of (x - y)^2 instead of the mean.
    """
    x_ref, x_est = pad_to_same_length(x_ref, x_est)
    if not keep_nans:
        x_est[~np.isfinite(x_est)] = 0
    known = np.isfinite(x_ref)
    both = known & np.isfinite(x_est)
    n_known, n_both = int(known.sum()), int(both.sum())
    if n_both == 0:
        return (0.0 if n_known else float("nan")), float("nan"), float("nan")
    x_ref, x_est = x_ref[both], x_est[both]
    p_signal = float((np.median if signal_median else np.mean)(x_ref**2))
    p_noise = float((np.median if noise_median else np.mean)((x_ref - x_est) ** 2))
    if p_signal <= 0 or p_noise <= 0:
        return float("nan"), p_signal, p_noise
    snr = float(10 * np.log10(p_signal / p_noise)) * (n_both / n_known)
    return snr, p_signal, p_noise


def normalize_names(names_ref: Sequence[str], names_est: Sequence[str]) -> list[str]:
    """Spell the estimate's names as the reference does, ignoring case; drop unknown ones."""
    return [ref for est in names_est for ref in names_ref if est.casefold() == ref.casefold()]


def reorder_signal(
    input_signal: FloatArray, input_channels: Sequence[str], output_channels: Sequence[str]
) -> FloatArray:
    """Put columns into the order of `output_channels`, matching names without regard to case.

    A channel that cannot be matched is silently dropped and the following columns move left (quirk
    B7).

    Args:
        input_signal: (n, len(input_channels)) signal.
        input_channels: Its channel names.
        output_channels: The wanted order.
    """
    assert len(set(input_channels)) == len(input_channels), "channel names repeat"
    assert len(set(output_channels)) == len(output_channels), "channel names repeat"
    if list(input_channels) == list(output_channels):
        return input_signal
    folded = [name.casefold() for name in input_channels]
    wanted = [name.casefold() for name in output_channels]
    return np.asarray(input_signal)[:, [folded.index(name) for name in wanted if name in folded]]
