"""Where the benchmark's pages come from: recordings to draw, or folders of pictures with truth."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.pages import (
    SEVERITIES,
    condition_page,
    folder_pages,
    ladder_rungs,
    read_condition,
)
from cinc_ecg.data.signal_pool import is_held_out
from cinc_ecg.errors import InputError
from cinc_ecg.io.images import read_image
from cinc_ecg.io.records import find_records, read_header, read_signal
from cinc_ecg.leads import LEADS
from cinc_ecg.types import EcgImage, PageTruth, Signal

#: Seconds of a recording that are drawn.
DURATION_S = 10.0


@dataclass(frozen=True)
class Task:
    """Page `index` of a condition: drawn from a recording, or the folder's picture of that number.

    `variants` are the names under which it is listed besides its condition.
    """

    condition: str
    index: int
    seed: int
    record: str | None
    variants: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Page:
    """A picture and what it shows: the signal is NaN outside the printed windows."""

    image: EcgImage
    signal: Signal
    truth: PageTruth | None


def choose_recordings(
    data: Path | None, n: int, seed: int, *, held_out: bool = False
) -> list[str | None]:
    """Choose n recordings, turn by turn from each sub-folder; None stands for a simulated one.

    A recording must have the twelve leads, ten seconds, no gap and no flat lead in them.

    Args:
        data: Folder of WFDB records.
        n: How many.
        seed: Decides which.
        held_out: Take only those that the packaged readers were not trained on.
    """
    if data is None:
        return [None] * n
    rng = np.random.default_rng(seed)
    groups: dict[str, list[str]] = {}
    for record in find_records(data):
        if held_out and not is_held_out(record):
            continue
        groups.setdefault(str(Path(record).parent), []).append(record)
    queues = {name: iter(rng.permutation(records)) for name, records in sorted(groups.items())}
    chosen: list[str | None] = []
    while queues and len(chosen) < n:
        for name in list(queues):
            record = next((r for r in queues[name] if _usable(data / r)), None)
            if record is None:
                del queues[name]
            else:
                chosen.append(str(record))
    if not chosen:
        raise InputError(f"{data}: no usable 12-lead recording of {DURATION_S:g} s found")
    return chosen[:n]


def _usable(path: Path) -> bool:
    header = read_header(path)
    if set(LEADS) - set(read_names(header.leads)) or header.n_samples < DURATION_S * header.fs_hz:
        return False
    samples = first_seconds(read_signal(path)).samples_mv
    return bool(np.isfinite(samples).all() and (samples.std(axis=0) > 0.01).all())


def read_names(leads: tuple[str, ...]) -> list[str]:
    """Spell lead names in the standard way."""
    folded = {lead.casefold(): lead for lead in LEADS}
    return [folded.get(lead.casefold(), lead) for lead in leads]


def first_seconds(signal: Signal) -> Signal:
    """Return the twelve leads' first ten seconds in standard order."""
    columns = [signal.leads.index(lead) for lead in LEADS]
    samples = signal.samples_mv[: round(DURATION_S * signal.fs_hz), columns]
    return Signal(samples, signal.fs_hz, LEADS)


@lru_cache(maxsize=4)
def recording(data: Path | None, record: str | None, seed: int) -> Signal:
    """Read or simulate a recording."""
    if data is None or record is None:
        from cinc_ecg.synth.ecg import simulate

        return first_seconds(simulate(seed=seed))
    return first_seconds(read_signal(data / record))


def folder_tasks(condition: str, folder: Path, data: Path | None) -> list[Task]:
    """List the pages of a condition that reads pictures from a folder."""
    pages = folder_pages(condition, folder, data)
    return [
        Task(condition, k, 0, page.name, (page.subset,), folder) for k, page in enumerate(pages)
    ]


def drawn_tasks(
    condition: str, n_pages: int, recordings: list[str | None], seed: int
) -> list[Task]:
    """List the pages of a drawn condition; fewer ladder pages than rungs are spread over them.

    All rungs of a ladder show the same recording, so that they can be compared.
    """
    variants = _variants(condition)
    spread = condition == "ladders" and n_pages < len(variants)
    tasks = []
    for k in range(n_pages):
        index = _spread_rung(k, n_pages, len(variants)) if spread else k
        number = _number(condition, index)
        record = recordings[number % len(recordings)]
        tasks.append(Task(condition, index, seed, record, variants[index % len(variants)]))
    return tasks


def _spread_rung(k: int, n_pages: int, n_rungs: int) -> int:
    """Return rung k of a few: as many of each ladder, severities in turn."""
    per_ladder = SEVERITIES + 1
    ladder = k * (n_rungs // per_ladder) // n_pages
    return ladder * per_ladder + -k % per_ladder


def _number(condition: str, index: int) -> int:
    """Return which recording a page shows; the rungs of a ladder share one."""
    return index // (SEVERITIES + 1) if condition == "ladders" else index


def _variants(condition: str) -> list[tuple[str, ...]]:
    """Return the names under which page k (mod their number) is listed besides its condition."""
    if condition == "ladders":
        rungs = (rung.split("/")[1:] for rung in ladder_rungs())
        return [(artefact, f"severity {severity}") for artefact, severity in rungs]
    cycle = read_condition(condition).get("cycle", [])
    return [(" ".join(_words(entry)),) for entry in cycle] or [()]


def _words(entry: dict[str, object]) -> list[str]:
    """Name an entry of a condition's cycle: "6x2 simultaneous", "3x4+1 50 mm/s"."""
    units = {"scale.mm_per_s": " mm/s", "scale.mm_per_mv": " mm/mV"}
    return [
        f"{value:g}{units[key]}" if isinstance(value, float) and key in units else str(value)
        for key, value in entry.items()
    ]


def open_page(task: Task, data: Path | None) -> Page:
    """Draw or read the page of a task."""
    if task.folder is not None:
        pages = folder_pages(task.condition, task.folder, data)
        page = next(islice(pages, task.index, None))
        return Page(read_image(page.picture), page.reference, None)
    number = _number(task.condition, task.index)
    signal = recording(data, task.record, task.seed + number)
    image, truth = condition_page(task.condition, task.index, signal, task.seed)
    return Page(image, truth.signal, truth)
