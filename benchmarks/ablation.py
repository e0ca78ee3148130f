"""Tell what each part of the pipeline earns: `python -m benchmarks.ablation`.

Two questions about the same pages. What is lost when one part is left out of the pipeline as it
ships? And what is won when one stage is replaced by what the renderer knows?
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import score_page
from benchmarks.sources import Page, Task, open_page
from benchmarks.stages import (
    StageResult,
    TrueGeometry,
    TrueTraces,
    print_table,
    with_true_layout,
)
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


def ablate(task: Task, data: Path | None) -> StageResult:
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
    return StageResult(task.condition, task.index, scores)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    summary = (__doc__ or "").splitlines()[0]
    return print_table(argv, summary, ablate, EXPLANATION, pages=4, total=True)


if __name__ == "__main__":
    sys.exit(main())
