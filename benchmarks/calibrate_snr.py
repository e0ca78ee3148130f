"""Fit how good a lead is expected to be: `python -m benchmarks.calibrate_snr`.

Pages of recordings that the benchmark does not show are drawn, damaged and digitized; the weights
of `cinc_ecg.digitization.quality` are a least-squares fit to the SNR found (one-dimensional
alignment). Printed beside them: errors by five-fold cross-validation over pages.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import score_page
from benchmarks.run import N_RECORDINGS
from benchmarks.run import SEED as BENCHMARK_SEED
from benchmarks.sources import Task, choose_recordings, drawn_tasks, open_page
from cinc_ecg.digitization.quality import LOW_SNR_DB, WARN_BELOW_DB, features, power_and_noise
from cinc_ecg.errors import CincEcgError
from cinc_ecg.types import FloatArray

SEED = 777
CONDITIONS = "clean,augment,bw,camera1,camera2,camera3,lowres,layouts,wrinkle,ladders"
#: Leads read with more than this are all equally good, and those far below 0 equally bad.
_CLIP_DB = (-5.0, 40.0)
_FOLDS = 5


@dataclass(frozen=True)
class Lead:
    """One lead of one page: what is known about it, and how well it was read."""

    page: int
    known: tuple[float, float, float, float]
    compared: bool
    snr_db: float


def leads_of(page: int, task: Task, data: Path | None) -> list[Lead]:
    """Digitize a page with the readers that ship; a refused one has no leads."""
    import cv2

    from cinc_ecg.inference import digitize
    from cinc_ecg.models.readers import set_threads

    cv2.setNumThreads(1)
    set_threads(1)
    shown = open_page(task, data)
    try:
        found = digitize(shown.image)
    except CincEcgError:
        return []
    residual = found.quality.limb_residual_mv
    scores = score_page(shown.signal, found.signal, True)
    leads = []
    for status in found.leads:
        facts = power_and_noise(found.signal, status.lead)
        score = scores.get(status.lead, float("nan"))
        if status.status != "missing" and facts is not None and np.isfinite(score):
            known = features(*facts, status.coverage, residual)
            leads.append(Lead(page, known, residual is not None, float(np.clip(score, *_CLIP_DB))))
    return leads


def fit(leads: Sequence[Lead], *, compared: bool) -> tuple[FloatArray, FloatArray]:
    """Return the weights (constant first) and, per lead, what the other folds' weights expect."""
    terms = np.array([lead.known if compared else lead.known[:3] for lead in leads])
    design = np.column_stack([np.ones(len(terms)), terms])
    snr = np.array([lead.snr_db for lead in leads])
    fold = np.array([lead.page % _FOLDS for lead in leads])
    expected = np.zeros(len(leads))
    for k in range(_FOLDS):
        weights = np.linalg.lstsq(design[fold != k], snr[fold != k], rcond=None)[0]
        expected[fold == k] = design[fold == k] @ weights
    return np.linalg.lstsq(design, snr, rcond=None)[0], expected


def report(leads: Sequence[Lead], *, compared: bool) -> str:
    """Describe a fit in two lines."""
    weights, expected = fit(leads, compared=compared)
    snr = np.array([lead.snr_db for lead in leads])
    low, named = snr < LOW_SNR_DB, expected < WARN_BELOW_DB
    names = ("constant", "stated", "power", "coverage", "limb")
    told = ", ".join(f"{n} {w:.2f}" for n, w in zip(names, weights, strict=False))
    return (
        f"{'with' if compared else 'without'} limb leads: {told}\n"
        f"  {len(leads)} leads, error rms {np.sqrt(np.mean((snr - expected) ** 2)):.1f} dB, rank "
        f"correlation {_rank_correlation(snr, expected):.2f}; below {LOW_SNR_DB:g} dB are "
        f"{low.sum()}, of them named {(low & named).sum()}; named in all {named.sum()}"
    )


def _rank_correlation(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b)[0])


def tasks_of(data: Path | None, conditions: str, pages: int, seed: int) -> list[Task]:
    """List pages of recordings that the benchmark does not use."""
    shown = set(choose_recordings(data, N_RECORDINGS, BENCHMARK_SEED)) - {None}
    drawn = choose_recordings(data, 3 * N_RECORDINGS, seed)
    free = [record for record in drawn if record not in shown]
    return [
        task
        for number, name in enumerate(conditions.split(","))
        for task in drawn_tasks(name, pages, free[number * 7 :], seed)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print weights and errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", default=CONDITIONS, help="comma-separated")
    parser.add_argument("--pages", type=int, default=12, help="per condition")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(argv)
    try:
        tasks = tasks_of(options.data, options.conditions, options.pages, options.seed)
    except CincEcgError as error:
        print(f"error: [{error.reason_code}] {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    leads: list[Lead] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        pages = pool.map(leads_of, range(len(tasks)), tasks, [options.data] * len(tasks))
        for task, found in zip(tasks, pages, strict=True):
            print(task.condition, task.index, len(found), file=sys.stderr, flush=True)
            leads += found
    print(report([lead for lead in leads if lead.compared], compared=True))
    print(report(leads, compared=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
