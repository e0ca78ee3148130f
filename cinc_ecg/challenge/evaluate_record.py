"""Score one record of a folder as the official evaluator does, including where it stops."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import CincEcgError, ScoreError
from cinc_ecg.io.raw_records import RawRecord, read_header_text, read_raw
from cinc_ecg.io.records import LABEL_TAG
from cinc_ecg.metrics.clinical import MeasurePairs, compare_lead
from cinc_ecg.metrics.distance import correlation, coverage, rmse
from cinc_ecg.metrics.kaggle import CAP, MAX_LAG_S, picture_ratio, printed_pairs
from cinc_ecg.metrics.official import LeadScore, reorder_signal, score_lead
from cinc_ecg.metrics.official_align import OfficialVersion


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to compute.

    Attributes:
        version: Which published evaluator.
        align: Undo small shifts (False: the official `--no_shift`).
        extra: The official `--extra_scores`.
        distances: RMSE, correlation and the Kaggle ratio too.
        clinical: Heart rate, intervals and amplitudes too.
        lenient: Score what can be scored where the official evaluator stops.
        kaggle_cap, kaggle_max_lag_s: See `metrics.kaggle`.
        jobs: Processes; None takes one per available core.
    """

    version: OfficialVersion = "2024-09"
    align: bool = True
    extra: bool = False
    distances: bool = False
    clinical: bool = False
    lenient: bool = False
    kaggle_cap: float = CAP
    kaggle_max_lag_s: float = MAX_LAG_S
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class LeadResult:
    """One (record, lead).

    Attributes:
        lead: As spelt in the reference.
        score: The official score.
        covered: Share of the reference's samples that the estimate has.
        rmse_mv, r: Plain distances on the signals as they came, NaN unless asked for.
        masked: Whether the reference has samples that are not printed.
        printed_samples: Finite samples of the reference.
        measures: (reference, estimate) of each clinical measure; empty unless asked for.
    """

    lead: str
    score: LeadScore
    covered: float
    rmse_mv: float = float("nan")
    r: float = float("nan")
    masked: bool = False
    printed_samples: int = 0
    measures: MeasurePairs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordResult:
    """One record of the reference folder.

    Attributes:
        record: Path relative to the reference folder, without extension.
        leads: In the reference's order; empty when the reference has no signals.
        digitized: Whether the output folder has signals for it.
        labels, predicted: Reference and predicted labels as written, empty items included.
        leak: Whether the output carries the reference's labels beside or as its own.
        kaggle_ratio: Linear ratio of the picture; NaN unless asked for.
        problem: What the official evaluator would have stopped at.
    """

    record: str
    leads: tuple[LeadResult, ...]
    digitized: bool
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    leak: bool = False
    kaggle_ratio: float = float("nan")
    problem: str | None = None


def score_record(
    folder_ref: Path, folder_est: Path, record: str, *, options: EvaluateOptions
) -> RecordResult:
    """Score one record.

    Raises:
        ScoreError: The official evaluator stops here, and `options.lenient` is off.
    """
    labels, _ = _labels(folder_ref / record)
    predicted, output_comments = _labels(folder_est / record)
    label_lines = sum(line.startswith(LABEL_TAG) for line in output_comments)
    stripped = not any(line.startswith(("# Age", "# Sex")) for line in output_comments)
    leak = label_lines > 1 or (not stripped and bool(predicted) and predicted == labels)
    result = RecordResult(record, (), False, labels, predicted, leak)
    try:
        reference = _read(folder_ref, record)
    except ScoreError as error:
        if not options.lenient:
            raise
        return replace(result, problem=str(error))
    if reference is None:
        return result
    problem = None
    try:
        estimate = _read(folder_est, record)
        samples = _matched(record, reference, estimate, options.lenient)
    except ScoreError as error:
        if not options.lenient:
            raise
        problem, estimate, samples = str(error), None, _nothing(reference)
    leads = tuple(
        _score_lead(record, name, reference, samples[:, k], k, options)
        for k, name in enumerate(reference.leads)
    )
    return replace(
        result,
        leads=leads,
        digitized=estimate is not None,
        kaggle_ratio=_kaggle_ratio(reference, samples, options),
        problem=problem,
    )


def _read(folder: Path, record: str) -> RawRecord | None:
    try:
        return read_raw(folder / record)
    except CincEcgError as error:
        message = f"{error}; the official evaluator stops here"
        raise ScoreError(message, code="score_unreadable") from error


def _nothing(reference: RawRecord) -> NDArray[np.float64]:
    return np.full(reference.samples.shape, np.nan)


def _matched(
    record: str, reference: RawRecord, estimate: RawRecord | None, lenient: bool
) -> NDArray[np.float64]:
    """Return the estimate in the reference's lead order; all NaN when there is none (B4)."""
    if estimate is None:
        return _nothing(reference)
    if estimate.fs_hz != reference.fs_hz:
        raise _stop(
            record,
            f"sampling rate {estimate.fs_hz:g} Hz, reference {reference.fs_hz:g} Hz; "
            "write the output at the header's rate (nothing is resampled)",
            "B9, B20",
            "score_fs",
        )
    units = set(estimate.units + reference.units)
    if units != {"mV"} or (not lenient and estimate.units != reference.units):
        raise _stop(
            record,
            f"{len(estimate.units)} channels in {_names(estimate.units)}, reference "
            f"{len(reference.units)} in {_names(reference.units)}; both must be the same, in mV",
            "B9",
            "score_units",
        )
    for side, leads in (("output", estimate.leads), ("reference", reference.leads)):
        if len(set(leads)) != len(leads):
            raise _stop(record, f"channel names of the {side} repeat", "B9", "score_names")
    folded = [name.casefold() for name in estimate.leads]
    unmatched = [name for name in reference.leads if name.casefold() not in folded]
    if unmatched and not lenient:
        raise _stop(
            record,
            f"the output has {', '.join(estimate.leads)}, but no {', '.join(unmatched)}",
            "B7",
            "score_channels",
        )
    if not unmatched:
        return reorder_signal(estimate.samples, estimate.leads, reference.leads)
    samples = np.full((len(estimate.samples), len(reference.leads)), np.nan)
    for k, name in enumerate(reference.leads):
        if name not in unmatched:
            samples[:, k] = estimate.samples[:, folded.index(name.casefold())]
    return samples


def _names(units: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(units))


def _stop(record: str, what: str, quirk: str, code: str) -> ScoreError:
    where = f"(quirk {quirk}: the official evaluator stops here)"
    return ScoreError(f"{record}: {what} {where}", code=code)


def _score_lead(
    record: str,
    lead: str,
    reference: RawRecord,
    estimate: NDArray[np.float64],
    column: int,
    options: EvaluateOptions,
) -> LeadResult:
    x = reference.samples[:, column]
    score_pair = partial(
        score_lead, x, estimate, reference.fs_hz, version=options.version, align=options.align
    )
    try:
        score = score_pair(extra=options.extra)
    except (IndexError, ValueError) as error:
        if not options.lenient:
            raise _stop(
                record,
                f"lead {lead} shares no usable sample with the reference, which the extra scores "
                "cannot take; leave out --extra_scores",
                "B8",
                "score_extra_empty",
            ) from error
        score = score_pair()
    covered = coverage(x, estimate)
    printed = int(np.isfinite(x).sum())
    result = LeadResult(lead, score, covered, masked=printed < len(x), printed_samples=printed)
    if options.distances:
        result = replace(result, rmse_mv=rmse(x, estimate), r=correlation(x, estimate))
    if options.clinical:
        result = replace(result, measures=compare_lead(x, estimate, reference.fs_hz))
    return result


def _kaggle_ratio(
    reference: RawRecord, samples: NDArray[np.float64], options: EvaluateOptions
) -> float:
    if not options.distances:
        return float("nan")
    return picture_ratio(
        printed_pairs(reference.samples, samples),
        reference.fs_hz,
        cap=options.kaggle_cap,
        max_lag_s=options.kaggle_max_lag_s,
    )


def _labels(record: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the items of all label lines merged (B12), and all comment lines."""
    try:
        text = read_header_text(record)
    except CincEcgError:
        return (), ()
    comments = tuple(line for line in text.splitlines() if line.startswith("#"))
    lines = [line[len(LABEL_TAG) :] for line in comments if line.startswith(LABEL_TAG)]
    return tuple(item.strip() for line in lines for item in line.split(",")), comments
