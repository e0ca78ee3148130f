"""Score a folder of outputs against a folder of references as the official evaluator does.

`evaluate` follows the official flow record by record, including where it stops: what the official
code answers with a crash is a `ScoreError` here that names the record and the quirk. With
`lenient`, such a record scores 0 dB per lead (as if it had not been digitized) and is reported.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.evaluate_record import EvaluateOptions, RecordResult, score_record
from cinc_ecg.errors import InputError, ScoreError
from cinc_ecg.io.records import find_records
from cinc_ecg.metrics.official import ExtraScores
from cinc_ecg.metrics.official_classification import compute_f_measure

#: Fewer records than this are scored in this process: starting others would take longer.
_FEW = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The official figures and the records they rest on.

    Attributes:
        snr_db, snr_median, ks, asci, wad: Means over every (record, lead), NaN left out; the
            extras are None unless asked for.
        f_measure: Macro F-measure, NaN when nothing was classified.
        per_class: F-measure of each class, empty when nothing was classified.
        records: In sorted order.
    """

    snr_db: float
    f_measure: float
    per_class: dict[str, float]
    records: tuple[RecordResult, ...]
    snr_median: float | None = None
    ks: float | None = None
    asci: float | None = None
    wad: float | None = None


def evaluate(
    folder_ref: Path,
    folder_est: Path,
    options: EvaluateOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score every record of the reference folder.

    Args:
        folder_ref: References: headers, signals, labels, at any depth.
        folder_est: Outputs, in the same tree.
        options: What to compute.
        progress: Called with (done, all) after each record.

    Raises:
        ScoreError: No records (no_records), or a record that stops the official evaluator.
        InputError: The reference folder cannot be read.
    """
    options = options or EvaluateOptions()
    if not folder_ref.is_dir() or not os.access(folder_ref, os.R_OK | os.X_OK):
        raise InputError(f"{folder_ref}: not a readable folder", code="folder_unreadable")
    records = find_records(folder_ref)
    if not records:
        raise ScoreError(f"{folder_ref}: No records found.", code="no_records")
    score = partial(score_record, folder_ref, folder_est, options=options)
    results = []
    for result in _map(score, records, options.jobs):
        results.append(result)
        if progress:
            progress(len(results), len(records))
    return summarize_records(tuple(results), options)


def summarize_records(results: tuple[RecordResult, ...], options: EvaluateOptions) -> Evaluation:
    """Average record results the way the official evaluator does."""
    digitized = any(result.digitized for result in results)
    scores = [lead.score for result in results for lead in result.leads]
    f_measure, per_class = _classification(results)
    evaluation = Evaluation(
        _mean([s.snr_db for s in scores]) if digitized else float("nan"),
        f_measure,
        per_class,
        results,
    )
    if not options.extra:
        return evaluation

    def extra(values: Callable[[ExtraScores], tuple[float, ...]]) -> float:
        found = [v for s in scores if s.extra for v in values(s.extra)]
        return _mean(found) if digitized else float("nan")

    return replace(
        evaluation,
        snr_median=extra(lambda e: e.snr_median),  # B2: SNR and both powers in one mean
        ks=extra(lambda e: (e.ks,)),
        asci=extra(lambda e: (e.asci,)),
        wad=extra(lambda e: (e.wad,)),
    )


def _mean(values: list[float]) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(np.nanmean(array)) if np.isfinite(array).any() else float("nan")


def _classification(results: tuple[RecordResult, ...]) -> tuple[float, dict[str, float]]:
    """Return the F-measures over records with any non-empty reference label (B10)."""
    labelled = [r for r in results if any(r.labels)]
    if not any(any(r.predicted) for r in labelled):
        return float("nan"), {}
    macro, values, classes = compute_f_measure(
        [r.labels for r in labelled], [r.predicted for r in labelled]
    )
    return macro, {name: float(v) for name, v in zip(classes, values, strict=True)}


def _map(
    function: Callable[[str], RecordResult], records: list[str], jobs: int | None
) -> Iterator[RecordResult]:
    """Apply a function to every record, in order, over processes when it pays."""
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(records))
    if jobs <= 1 or len(records) < _FEW:
        yield from map(function, records)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(function, records)
