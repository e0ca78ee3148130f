"""Digitize one page and score it."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.sources import Page, Task, open_page
from cinc_ecg.errors import CincEcgError
from cinc_ecg.geometry import to_image
from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.metrics.official import score_lead
from cinc_ecg.signals import resample
from cinc_ecg.types import (
    Digitization,
    EcgImage,
    FloatArray,
    PageGeometry,
    PageTruth,
    Panel,
    Signal,
)

log = logging.getLogger(__name__)

#: An estimate that follows another lead this much better than its own is taken for a mix-up.
_CLEARLY_BETTER = 0.2
_FOLLOWS = 0.8


@dataclass
class PageResult:
    """What came of one page; `snr_db` holds every printed lead, 0 where nothing was given."""

    condition: str
    variants: tuple[str, ...]
    index: int
    record: str
    outcome: str  # "ok", a reason code, or "crash:..."
    snr_db: dict[str, float]
    seconds: float
    peak_mb: float
    mistaken: list[str] = field(default_factory=list)
    layout: str = ""
    true_layout: str = ""
    simultaneous: tuple[bool | None, bool | None] = (None, None)  # found, true
    size_px: tuple[int, int] = (0, 0)
    calibration: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    message: str = ""
    expected_db: dict[str, float] = field(default_factory=dict)  # what the digitizer expects
    warned: bool = False

    @property
    def mean_db(self) -> float:
        """Mean over the page's leads; NaN when none is defined."""
        values = [v for v in self.snr_db.values() if np.isfinite(v)]
        return float(np.mean(values)) if values else float("nan")


def measure(
    task: Task,
    data: Path | None,
    fast: bool,
    strip_reader: str = "default",
    page_reader: str = "default",
) -> PageResult:
    """Draw or read, digitize and score one page, with one thread."""
    import cv2

    from cinc_ecg.digitization.pipeline import digitize
    from cinc_ecg.models.readers import named_page_reader, named_strip_reader, set_threads

    cv2.setNumThreads(1)
    set_threads(1)
    readers = {
        "strip_reader": named_strip_reader(strip_reader),
        "page_reader": named_page_reader(page_reader),
    }
    return measure_page(task, open_page(task, data), partial(digitize, **readers), fast)


def measure_page(
    task: Task, page: Page, digitize: Callable[[EcgImage], Digitization], fast: bool
) -> PageResult:
    """Digitize and score one page; every failure becomes a result."""
    digitization, outcome, message = None, "ok", ""
    reset_peak_memory()
    start = time.perf_counter()
    try:
        digitization = digitize(page.image)
    except CincEcgError as error:
        outcome, message = error.reason_code, str(error)
    except Exception as error:
        outcome, message = f"crash:{type(error).__name__}", str(error)
        log.exception("%s %d crashed", task.condition, task.index)
    seconds, peak_mb = time.perf_counter() - start, peak_memory_mb()
    result = PageResult(
        task.condition,
        task.variants,
        task.index,
        task.record or "simulated",
        outcome,
        score_page(page.signal, digitization.signal if digitization else None, fast),
        seconds,
        peak_mb,
        true_layout=page.truth.layout.name if page.truth else "",
        size_px=(page.image.width, page.image.height),
        message=message,
    )
    if digitization is not None:
        result.mistaken = sorted(mistaken_leads(page, digitization))
        result.layout = digitization.layout.name
        true = page.truth.layout.simultaneous if page.truth else None
        result.simultaneous = (digitization.layout.simultaneous, true)
        result.calibration = asdict(digitization.calibration)
        result.notes = [note.code for note in digitization.notes]
        result.warned = any(note.severity != "info" for note in digitization.notes)
        result.expected_db = {
            status.lead: status.predicted_snr_db
            for status in digitization.leads
            if status.predicted_snr_db is not None
        }
    return result


def score_page(truth: Signal, estimate: Signal | None, fast: bool) -> dict[str, float]:
    """Return each printed lead's SNR in dB against the masked truth; a lead not given is 0."""
    score = fast_snr if fast else lambda x, y, fs: score_lead(x, y, fs).snr_db
    scores = {}
    for k, lead in enumerate(truth.leads):
        reference = truth.samples_mv[:, k].astype(float)
        if not np.isfinite(reference).any():
            continue
        scores[lead] = float(score(reference, _lead(estimate, lead, truth), truth.fs_hz))
    return scores


def _lead(estimate: Signal | None, lead: str, truth: Signal) -> FloatArray:
    """Return a lead of the estimate at the truth's rate and length; NaN when it is not there."""
    n = len(truth.samples_mv)
    if estimate is None or lead not in estimate.leads:
        return np.full(n, np.nan)
    column = estimate.samples_mv[:, [estimate.leads.index(lead)]]
    return resample(column, estimate.fs_hz, truth.fs_hz, n)[:, 0]


def mistaken_leads(page: Page, digitization: Digitization) -> set[str]:
    """Return the leads whose trace is another lead's, by place or, without truth, by shape."""
    if page.truth is not None:
        return _by_place(page.truth, digitization)
    return _by_shape(page.signal, digitization.signal)


def _centres_px(panels: tuple[Panel, ...], geometry: PageGeometry) -> FloatArray:
    centres = [((p.box_mm[0] + p.box_mm[2]) / 2, p.baseline_mm) for p in panels]
    return to_image(geometry, np.array(centres, dtype=float))


def _by_place(truth: PageTruth, digitization: Digitization) -> set[str]:
    """Compare each found lead with the true panel whose centre is nearest in the picture."""
    if not digitization.layout.panels:
        return set()
    true = _centres_px(truth.layout.panels, truth.geometry)
    found = _centres_px(digitization.layout.panels, digitization.geometry)
    nearest = np.linalg.norm(found[:, None] - true[None], axis=-1).argmin(axis=1)
    pairs = zip(digitization.layout.panels, nearest, strict=True)
    return {panel.lead for panel, k in pairs if panel.lead != truth.layout.panels[k].lead}


def _by_shape(truth: Signal, estimate: Signal) -> set[str]:
    """Return leads that follow another true lead clearly better than their own."""
    mistaken = set()
    for lead in estimate.leads:
        y = _lead(estimate, lead, truth)
        follows = {
            other: _correlation(truth.samples_mv[:, k].astype(float), y, truth.fs_hz)
            for k, other in enumerate(truth.leads)
        }
        own = follows.pop(lead, float("nan"))
        best = max((r for r in follows.values() if np.isfinite(r)), default=-1.0)
        if np.isfinite(own) and best > _FOLLOWS and best > own + _CLEARLY_BETTER:
            mistaken.add(lead)
    return mistaken


def _correlation(x: FloatArray, y: FloatArray, fs_hz: float) -> float:
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < fs_hz or x[both].std() == 0 or y[both].std() == 0:
        return float("nan")
    return float(np.corrcoef(x[both], y[both])[0, 1])


def reset_peak_memory() -> None:
    """Start counting this process's peak memory anew (Linux; elsewhere it stays cumulative)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        log.debug("peak memory cannot be reset: %s", error)


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process since the last reset, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000
