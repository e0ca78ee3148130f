"""What a worker process does with one file or page; every error becomes an outcome."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cinc_ecg.batch.inputs import Source
from cinc_ecg.batch.ledger import Ledger, Outcome, hash_file, task_key
from cinc_ecg.digitization.threads import set_threads
from cinc_ecg.errors import CincEcgError, DigitizationError
from cinc_ecg.io import atomic
from cinc_ecg.io.formats import FORMATS as DATA_FORMATS
from cinc_ecg.io.formats import write_outputs
from cinc_ecg.io.images import ReadLimits, count_pages, read_image
from cinc_ecg.report.encode import encode_png
from cinc_ecg.report.overlay import draw_overlay
from cinc_ecg.report.replot import draw_signal
from cinc_ecg.types import Digitization, EcgImage, PageReader, StripReader

FORMATS = (*DATA_FORMATS, "png")
#: Weights of the strip reader that comes with the package.
_PACKAGED = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True, slots=True)
class DigitizeOptions:
    """What a result depends on besides the picture.

    Attributes:
        formats: Any of `FORMATS`; "png" is the overlay and the replot.
        fs_hz: Sampling rate of the outputs, or None for the digitizer's own.
        layout: Name of a layout to use instead of finding one.
        leads: Names of the rows or panels in reading order, for unknown layouts.
        mm_per_s, mm_per_mv: Paper speed and gain to use instead of finding them.
        strip_reader, page_reader: "classical", "learned" (the packaged weights) or a folder with
            weights.
        max_pixels: Pixel budget of a picture.
        max_pages: Page limit of a file.
    """

    formats: tuple[str, ...] = ("wfdb", "csv", "json", "png")
    fs_hz: float | None = None
    layout: str | None = None
    leads: tuple[str, ...] | None = None
    mm_per_s: float | None = None
    mm_per_mv: float | None = None
    strip_reader: str = "classical"
    page_reader: str = "classical"
    max_pixels: int = 100_000_000
    max_pages: int = 500


@dataclass(frozen=True, slots=True)
class Probe:
    """Look into a file: how many pages, what content."""

    index: int
    source: Source
    options: DigitizeOptions


@dataclass(frozen=True, slots=True)
class Job:
    """Digitize one page, in so many threads."""

    index: int
    source: Source
    page: int
    n_pages: int
    sha256: str
    out: str
    options: DigitizeOptions
    threads: int = 1

    @property
    def stem(self) -> str:
        """Base name of the outputs."""
        return self.source.stem if self.n_pages == 1 else f"{self.source.stem}-p{self.page + 1}"

    @property
    def key(self) -> str:
        """Name of the receipt."""
        target = f"{self.source.folder}/{self.stem}"
        return task_key(self.sha256, self.page, self.options, target)


ReadPage = Callable[[EcgImage, DigitizeOptions], Digitization]


def digitize_page(image: EcgImage, options: DigitizeOptions) -> Digitization:
    """Run the pipeline with a user's options."""
    from cinc_ecg.digitization.pipeline import DigitizeConfig
    from cinc_ecg.digitization.vector_digitize import digitize_source

    chosen = {
        name: getattr(options, name)
        for name in ("fs_hz", "layout", "leads", "mm_per_s", "mm_per_mv")
    }
    config = DigitizeConfig(**{name: value for name, value in chosen.items() if value is not None})
    return digitize_source(
        image,
        page_reader=page_reader(options.page_reader),
        strip_reader=strip_reader(options.strip_reader),
        config=config,
    )


@lru_cache(maxsize=2)
def strip_reader(name: str) -> StripReader | None:
    """Return the reader of that name, its network on one thread; None is the classical one.

    Raises:
        CardError: Its card or weights are missing, damaged or do not fit; names the file.
    """
    if name == "classical":
        return None
    from cinc_ecg.models import readers

    readers.set_threads(1)  # pages and their rows are what runs in parallel
    return readers.named_strip_reader(name)


def check_readers(strips: str, pages: str) -> None:
    """Make sure that the weights of both readers are there, in the process that starts workers.

    The package's own are compared with the checksum on their card, which needs no torch: loading
    that would take longer than the check and half a gigabyte. All others are loaded.

    Raises:
        CardError: As `strip_reader`.
    """
    if strips != "learned" or not _is_intact(_PACKAGED / "strips" / "strip_reader.json"):
        strip_reader(strips)
    if pages != "learned" or not _is_intact(_PACKAGED / "pages" / "page_reader.json"):
        page_reader(pages)


def _is_intact(card: Path) -> bool:
    """Tell whether the files beside a card are those that it names."""
    try:
        files = json.loads(card.read_text(encoding="utf-8"))["files"]
        return all(hash_file(card.parent / file) == files[file]["sha256"] for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@lru_cache(maxsize=2)
def page_reader(name: str) -> PageReader | None:
    """Return the page reader of that name, as `strip_reader` does.

    Raises:
        CardError: Its card or weights are missing, damaged or do not fit; names the file.
    """
    if name == "classical":
        return None
    from cinc_ecg.models.readers import named_page_reader, set_threads

    set_threads(1)
    return named_page_reader(name)


def work(task: Job | Probe, *, read_page: ReadPage = digitize_page) -> Outcome | tuple[int, str]:
    """Do one task: a probe gives (pages, SHA-256), a job gives its outcome; errors are outcomes."""
    try:
        return _probe(task) if isinstance(task, Probe) else _digitize(task, read_page)
    except CincEcgError as error:
        outcome = _failure(task, error)
        if outcome.status == "refused" and isinstance(task, Job):
            Ledger(Path(task.out)).commit(task.key, outcome)
        return outcome


def _failure(task: Job | Probe, error: CincEcgError) -> Outcome:
    path, message = str(task.source.path), " ".join(str(error).split())
    return Outcome(
        source=path,
        page=task.page if isinstance(task, Job) else 0,
        status="refused" if isinstance(error, DigitizationError) else "failed",
        reason_code=error.reason_code,
        message=message if path in message else f"{path}: {message}",
        sha256=task.sha256 if isinstance(task, Job) else "",
    )


def _limits(options: DigitizeOptions) -> ReadLimits:
    return ReadLimits(max_pixels=options.max_pixels, max_pages=options.max_pages)


def _probe(probe: Probe) -> tuple[int, str]:
    n_pages = count_pages(probe.source.path, limits=_limits(probe.options))
    return n_pages, hash_file(probe.source.path)


def _digitize(job: Job, read_page: ReadPage) -> Outcome:
    set_threads(job.threads)
    logging.getLogger("cinc_ecg").addHandler(logging.NullHandler())  # the outcome says it all
    image = read_image(job.source.path, job.page, limits=_limits(job.options))
    result = read_page(image, job.options)
    outcome = Outcome(
        source=str(job.source.path),
        page=job.page,
        status="ok",
        reason_code="ok",
        message=f"{job.source.path}: {result.layout.name}",
        outputs=_write(image, result, job),
        layout=result.layout.name,
        px_per_mm=result.quality.px_per_mm,
        coverage=result.quality.coverage,
        limb_residual_mv=result.quality.limb_residual_mv,
        n_leads=sum(status.status != "missing" for status in result.leads),
        notes=tuple(note.code for note in result.notes),
        sha256=job.sha256,
    )
    Ledger(Path(job.out)).commit(job.key, outcome)
    return outcome


def _write(image: EcgImage, result: Digitization, job: Job) -> tuple[str, ...]:
    """Write all formats of a page together; return the files relative to the output folder."""
    out = Path(job.out)
    folder = atomic.make_folder(out / job.source.folder)
    pictures = {}
    if "png" in job.options.formats:
        pictures[".overlay.png"] = encode_png(draw_overlay(image, result))
        pictures[".replot.png"] = encode_png(draw_signal(result.signal))
    files = write_outputs(
        result,
        folder,
        job.stem,
        tuple(name for name in job.options.formats if name != "png"),
        source={"file": job.source.path.name, "page": job.page, "sha256": job.sha256},
        extra_files=pictures,
    )
    return tuple(str(path.relative_to(out)) for path in files)
