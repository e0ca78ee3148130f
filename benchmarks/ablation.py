"""Tell what each part of the pipeline earns: `python -m benchmarks.ablation`.

Two questions about the same pages. What is lost when one part is left out of the pipeline as it
ships? And what is won when one stage is replaced by what the renderer knows?
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import score_page
from benchmarks.run import N_RECORDINGS, SEED
from benchmarks.sources import Page, Task, choose_recordings, drawn_tasks, open_page
from benchmarks.stages import TrueGeometry, TrueTraces, with_true_layout
from cinc_ecg.digitization.pipeline import DigitizeConfig, digitize
from cinc_ecg.digitization.read_page import ClassicalPageReader
from cinc_ecg.digitization.read_strips import ClassicalStripReader, StripReaderSettings
from cinc_ecg.errors import CincEcgError
from cinc_ecg.models.readers import (
    PACKAGED,
    load_strip_reader,
    named_page_reader,
    named_strip_reader,
    set_threads,
)
from cinc_ecg.types import PageReader, Signal, StripReader

CONDITIONS = "clean,augment,bw,wrinkle,lowres,camera1,camera2,camera3,layouts"
EXPLANATION = """\
Mean SNR in dB over every (record, lead), one-dimensional alignment (benchmarks/measure.py, fast);
refused pages count 0. *as it ships*: everything. *no …*: that part left out, the rest unchanged;
*none*: without networks, correction and combining. *true …*: that stage replaced by what the
renderer knows: the page's map, the arrangement with names, speed and gain, the pen's line.
"""


def _uncorrected() -> StripReader:
    return load_strip_reader(PACKAGED, StripReaderSettings(rerender=False))


def _ships() -> StripReader:
    return named_strip_reader("learned")


def _pages() -> PageReader:
    return named_page_reader("learned")


def _piped(page: Page, pages: PageReader, strips: StripReader, *, reconcile: bool = True) -> Signal:
    config = DigitizeConfig(reconcile=reconcile)
    return digitize(page.image, page_reader=pages, strip_reader=strips, config=config).signal


def _bare(page: Page) -> Signal:
    strips = ClassicalStripReader(StripReaderSettings(rerender=False))
    return _piped(page, ClassicalPageReader(), strips, reconcile=False)


def _true_geometry(page: Page) -> Signal:
    assert page.truth is not None
    reader = TrueGeometry(page.truth)
    return digitize(page.image, page_reader=reader, strip_reader=_ships()).signal


def _true_both(page: Page) -> Signal:
    assert page.truth is not None
    return with_true_layout(page.image, page.truth, page.truth.geometry, _ships())


def _true_traces(page: Page) -> Signal:
    assert page.truth is not None
    reader = TrueTraces(page.truth)
    found = digitize(page.image, page_reader=_pages(), strip_reader=reader, observe=reader.observe)
    return found.signal


#: Column -> how a page is digitized.
WAYS: dict[str, Callable[[Page], Signal]] = {
    "as it ships": lambda page: _piped(page, _pages(), _ships()),
    "no page network": lambda page: _piped(page, ClassicalPageReader(), _ships()),
    "no strip network": lambda page: _piped(page, _pages(), ClassicalStripReader()),
    "no correction": lambda page: _piped(page, _pages(), _uncorrected()),
    "no combining": lambda page: _piped(page, _pages(), _ships(), reconcile=False),
    "none": _bare,
    "true geometry": _true_geometry,
    "true geometry + layout": _true_both,
    "true traces": _true_traces,
}


@dataclass(frozen=True)
class Ablated:
    """SNR per printed lead of one page for each way."""

    condition: str
    index: int
    snr_db: dict[str, list[float]]


def ablate(task: Task, data: Path | None) -> Ablated:
    """Digitize one page in every way, on one thread."""
    import cv2

    cv2.setNumThreads(1)
    set_threads(1)
    page = open_page(task, data)
    if page.truth is None:
        raise ValueError(f"{task.condition}: its pages have no truth but the signal")
    scores = {}
    for name, way in WAYS.items():
        try:
            signal = way(page)
        except CincEcgError:
            signal = None
        scores[name] = list(score_page(page.signal, signal, True).values())
    return Ablated(task.condition, task.index, scores)


def table(results: Sequence[Ablated]) -> str:
    """Lay the means out as a Markdown table, one row per condition and one for all pages."""
    lines = [
        "| condition | pages | " + " | ".join(WAYS) + " |",
        "| --- | ---: |" + " ---: |" * len(WAYS),
    ]
    groups = {name: [r for r in results if r.condition == name] for name in _conditions(results)}
    if len(groups) > 1:
        groups["all"] = list(results)
    for condition, own in groups.items():
        means = [float(np.nanmean([v for r in own for v in r.snr_db[name]])) for name in WAYS]
        cells = [condition, str(len(own)), *(f"{mean:.1f}" for mean in means)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _conditions(results: Sequence[Ablated]) -> list[str]:
    return list(dict.fromkeys(result.condition for result in results))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", default=CONDITIONS, help="comma-separated")
    parser.add_argument("--pages", type=int, default=4, help="per condition")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args(argv)
    try:
        recordings = choose_recordings(arguments.data, N_RECORDINGS, arguments.seed)
        tasks = [
            task
            for name in arguments.conditions.split(",")
            for task in drawn_tasks(name, arguments.pages, recordings, arguments.seed)
        ]
    except CincEcgError as error:
        print(f"error: [{error.reason_code}] {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(ablate, tasks, [arguments.data] * len(tasks)):
            results.append(result)
            means = {k: round(float(np.nanmean(v)), 1) for k, v in result.snr_db.items()}
            print(result.condition, result.index, means, file=sys.stderr, flush=True)
    print(EXPLANATION)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
