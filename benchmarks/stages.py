"""Tell which stage limits digitization: `python -m benchmarks.stages`.

Each stage is replaced in turn by what the renderer knows, everything else being the pipeline's own.
A stage limits a condition by as much as the value rises when the truth takes its place.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measure import score_page
from benchmarks.run import N_RECORDINGS, SEED
from benchmarks.sources import Task, choose_recordings, drawn_tasks, open_page
from cinc_ecg.digitization.assemble import assemble
from cinc_ecg.digitization.density import even_light, paper_background
from cinc_ecg.digitization.layout import Frame, Hypothesis, Place
from cinc_ecg.digitization.orient import UprightPage
from cinc_ecg.digitization.panels import make_panels
from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.digitization.read_page import ClassicalPageReader, light_paper
from cinc_ecg.digitization.read_strips import ClassicalStripReader
from cinc_ecg.digitization.rows import Row
from cinc_ecg.digitization.strip_cut import cut_strips
from cinc_ecg.errors import CincEcgError, GridNotFound
from cinc_ecg.geometry import to_image, to_page
from cinc_ecg.types import (
    EcgImage,
    FloatArray,
    Orientation,
    PageEvidence,
    PageGeometry,
    PageReader,
    PageTruth,
    Pulse,
    RowTrace,
    Signal,
    Strip,
    StripReader,
)

CONDITIONS = "clean,augment,bw,wrinkle,lowres,camera1,camera2,camera3,layouts"
#: Samples per mm at which the true trace is handed over: finer than any strip.
_STEPS_PER_MM = 40.0

EXPLANATION = """\
Mean SNR in dB over every (record, lead), one-dimensional alignment (benchmarks/measure.py, fast);
refused pages count 0. *as it is*: the pipeline. *geometry*: the page-to-image map is the truth.
*layout*: rows, panels, lead names, paper speed and gain are the truth. *traces*: the pen's line is
the truth. *geometry + layout*: only the traces are read. *all*: what sampling alone costs.
"""


class TrueGeometry:
    """A page reader that knows the page's map; the masks are those of the classical reader."""

    def __init__(self, truth: PageTruth) -> None:
        self._truth = truth

    def read(self, image: EcgImage) -> PageEvidence:
        """Return the true lattice."""
        try:
            found = ClassicalPageReader().read(image)
        except GridNotFound:
            found = PageEvidence()
        return replace(found, lattice=self._truth.geometry, orientation=Orientation())


class TrueTraces:
    """A strip reader that knows the pen's line; told the page's frame by `observe`."""

    def __init__(self, truth: PageTruth) -> None:
        self._truth = truth
        self._geometry = truth.geometry

    def observe(self, stage: str, value: object) -> None:
        """Take over the frame in which strips are cut."""
        if stage == "page" and isinstance(value, UprightPage):
            self._geometry = value.geometry

    def read(self, strips: Sequence[Strip]) -> list[RowTrace]:
        """Return the true traces; each belongs to the strip whose baseline is nearest."""
        lines = [_onto(self._geometry, self._truth, line) for line in self._truth.trace_mm]
        baselines = np.array([strip.baseline_mm for strip in strips])
        owners = [int(np.abs(baselines - _middle(line)).argmin()) for line in lines]
        return [
            _row_trace(strip, [x for x, owner in zip(lines, owners, strict=True) if owner == k])
            for k, strip in enumerate(strips)
        ]


def _middle(line: FloatArray) -> float:
    return float(np.nanmedian(line[:, 1])) if len(line) else 0.0


def _row_trace(strip: Strip, lines: Sequence[FloatArray]) -> RowTrace:
    """Sample polylines at the strip's columns; NaN between them."""
    n = round(strip.pixels.shape[1] / strip.px_per_mm * _STEPS_PER_MM)
    x = strip.x0_mm + np.arange(n) / _STEPS_PER_MM
    y = np.full(n, np.nan)
    for line in lines:
        known = np.isfinite(line).all(axis=1)
        if known.sum() < 2:
            continue
        inside = (x >= line[known][0, 0]) & (x <= line[known][-1, 0])
        y[inside] = np.interp(x[inside], line[:, 0][known], line[:, 1][known])
    sigma = np.full(n, 0.01)
    return RowTrace(strip.row, strip.x0_mm, 1.0 / _STEPS_PER_MM, y, sigma, np.isfinite(y))


def _onto(geometry: PageGeometry, truth: PageTruth, points_mm: FloatArray) -> FloatArray:
    """Bring points of the true page frame into the frame of a geometry that was found."""
    if len(points_mm) == 0:
        return np.asarray(points_mm, float)
    return to_page(geometry, to_image(truth.geometry, np.asarray(points_mm, float)))


class _EnoughError(Exception):
    """Stops the pipeline once the wanted stage is known."""


def find_geometry(image: EcgImage) -> PageGeometry:
    """Run the pipeline up to the upright page and return its map."""
    found: list[PageGeometry] = []

    def observe(stage: str, value: object) -> None:
        if stage == "page" and isinstance(value, UprightPage):
            found.append(value.geometry)
            raise _EnoughError

    try:
        digitize(image, observe=observe)
    except _EnoughError:
        return found[0]
    raise AssertionError("the pipeline told no page")


def with_true_layout(
    image: EcgImage, truth: PageTruth, geometry: PageGeometry, strip_reader: StripReader
) -> Signal:
    """Digitize with the true rows, panels and calibration laid on a page's geometry."""
    frame, hypothesis = true_arrangement(truth, geometry)
    pixels = light_paper(image.pixels)
    strips = cut_strips(even_light(pixels, paper_background(pixels)), geometry, frame)
    traces = strip_reader.read(strips)
    pulses = _pulses(truth, frame)
    panels, cut = make_panels(
        hypothesis, frame, traces, pulses, truth.calibration, truth.layout.simultaneous
    )
    return assemble(panels, cut, truth.signal.fs_hz, len(truth.signal.samples_mv))


def true_arrangement(truth: PageTruth, geometry: PageGeometry) -> tuple[Frame, Hypothesis]:
    """Return the true rows and places in the frame of `geometry`."""
    places, rows = [], []
    for number in sorted({panel.row for panel in truth.layout.panels}):
        own = [p for p in truth.layout.panels if p.row == number]
        ends = [(x, p.baseline_mm) for p in own for x in (p.box_mm[0], p.box_mm[2])]
        moved = _onto(geometry, truth, np.array(ends)).reshape(-1, 2, 2)
        for panel, ((x0, _), (x1, _)) in zip(own, moved, strict=True):
            places.append(Place(panel.lead, len(rows), x0, x1, panel.rhythm, panel.inverted))
        rows.append(Row(float(moved[..., 1].mean()), moved[..., 0].min(), moved[..., 0].max(), 1.0))
    x0, x1 = min(row.x0_mm for row in rows), max(row.x1_mm for row in rows)
    n_columns = len({round(p.box_mm[0], 1) for p in truth.layout.panels})
    name, cabrera = truth.layout.name, truth.layout.cabrera
    return Frame(tuple(rows), x0, x1), Hypothesis(name, tuple(places), n_columns, cabrera, 0.0)


def _pulses(truth: PageTruth, frame: Frame) -> list[Pulse]:
    """Return a pulse per row whose foot is the row's true level of 0 mV."""
    top = truth.calibration.mm_per_mv
    return [
        Pulse(row.x0_mm - 5.0, row.x0_mm, row.baseline_mm, row.baseline_mm - top)
        for row in frame.rows
    ]


def _piped(
    image: EcgImage, page_reader: PageReader | None, strip_reader: StripReader | None
) -> Signal:
    observe = strip_reader.observe if isinstance(strip_reader, TrueTraces) else None
    found = digitize(image, page_reader=page_reader, strip_reader=strip_reader, observe=observe)
    return found.signal


#: Column -> how a page is digitized with its truth at hand.
STAGES: dict[str, Callable[[EcgImage, PageTruth], Signal]] = {
    "as it is": lambda image, truth: _piped(image, None, None),
    "geometry": lambda image, truth: _piped(image, TrueGeometry(truth), None),
    "layout": lambda image, truth: with_true_layout(
        image, truth, find_geometry(image), ClassicalStripReader()
    ),
    "traces": lambda image, truth: _piped(image, None, TrueTraces(truth)),
    "geometry + layout": lambda image, truth: with_true_layout(
        image, truth, truth.geometry, ClassicalStripReader()
    ),
    "all": lambda image, truth: with_true_layout(image, truth, truth.geometry, TrueTraces(truth)),
}


@dataclass(frozen=True)
class StageResult:
    """SNR per printed lead of one page for each column of the table."""

    condition: str
    index: int
    snr_db: dict[str, list[float]]


def measure_stages(task: Task, data: Path | None) -> StageResult:
    """Digitize one page in every way."""
    import cv2

    cv2.setNumThreads(1)
    page = open_page(task, data)
    if page.truth is None:
        raise ValueError(f"{task.condition}: its pages have no truth but the signal")
    scores = {}
    for name, way in STAGES.items():
        try:
            signal = way(page.image, page.truth)
        except CincEcgError:
            signal = None
        scores[name] = list(score_page(page.signal, signal, True).values())
    return StageResult(task.condition, task.index, scores)


def table(results: Sequence[StageResult], *, total: bool = False) -> str:
    """Lay the means out as a Markdown table: a row per condition, and one for all pages."""
    names = list(results[0].snr_db)
    lines = [
        "| condition | pages | " + " | ".join(names) + " |",
        "| --- | ---: |" + " ---: |" * len(names),
    ]
    conditions = dict.fromkeys(result.condition for result in results)
    groups = {name: [r for r in results if r.condition == name] for name in conditions}
    if total and len(groups) > 1:
        groups["all"] = list(results)
    for condition, own in groups.items():
        means = [float(np.nanmean([v for r in own for v in r.snr_db[name]])) for name in names]
        cells = [condition, str(len(own)), *(f"{mean:.1f}" for mean in means)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    return print_table(argv, (__doc__ or "").splitlines()[0], measure_stages, EXPLANATION, pages=10)


def print_table(
    argv: Sequence[str] | None,
    summary: str,
    measure: Callable[[Task, Path | None], StageResult],
    explanation: str,
    *,
    pages: int,
    total: bool = False,
) -> int:
    """Run the command line of a comparison: digitize pages in every way and print the means."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", default=CONDITIONS, help="comma-separated")
    parser.add_argument("--pages", type=int, default=pages, help="per condition")
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
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    results = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        futures = [pool.submit(measure, task, arguments.data) for task in tasks]
        for future in futures:
            results.append(future.result())
            means = {k: round(float(np.nanmean(v)), 1) for k, v in results[-1].snr_db.items()}
            print(results[-1].condition, results[-1].index, means, file=sys.stderr, flush=True)
    print(explanation)
    print(table(results, total=total))
    return 0


if __name__ == "__main__":
    sys.exit(main())
