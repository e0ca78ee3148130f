"""Digitize many pictures: probe every file, read every page in a worker, commit each result by
itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cinc_ecg.batch.inputs import Source, find_sources
from cinc_ecg.batch.ledger import Ledger, Outcome, Report
from cinc_ecg.batch.pool import Ended, Pool, usable_cores
from cinc_ecg.batch.work import DigitizeOptions, Job, Probe, work
from cinc_ecg.io import atomic

#: A crash may be another process's fault (memory): one more try before the file is given up.
_TRIES = 2
#: What workers inherit unless the user has set it: one thread per library, for pages and rows share
#: the cores; and memory that is freed stays with the process, where the next array of a page's size
#: takes it (glibc hands it back and asks for it again, 5 % of a page's time).
WORKER_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
Watch = Callable[[Outcome, int, int], None]


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How a batch runs, none of which changes a result.

    Attributes:
        jobs: Processes. Cores that they leave idle go to the rows of their pages.
        resume: Skip pages that an earlier run committed with the same options.
        wall_s: Longest time for one page.
    """

    jobs: int = 1
    resume: bool = False
    wall_s: float = 120.0


def run_batch(
    inputs: Sequence[str],
    out: Path,
    options: DigitizeOptions | None = None,
    settings: BatchSettings | None = None,
    *,
    watch: Watch | None = None,
    worker: Callable[[Job | Probe], object] = work,
) -> list[Outcome]:
    """Digitize files, folders and patterns into a folder; one bad file never stops the rest.

    Args:
        inputs: Files, folders, patterns.
        out: Output folder, created if need be.
        options: What to read and write.
        settings: How to run.
        watch: Called after every page with (outcome, pages done, pages known so far).
        worker: The function run in the worker processes.

    Returns:
        One outcome per page, in input order; also written as report.jsonl and report.csv.

    Raises:
        InputError: nothing to do. OutputError: the output folder cannot be used.
    """
    options, settings = options or DigitizeOptions(), settings or BatchSettings()
    atomic.make_folder(out)
    sources = find_sources(inputs, exclude=out)
    for name, value in WORKER_SETTINGS.items():
        os.environ.setdefault(name, value)
    batch = _Batch(sources, out, options, settings, watch, worker)
    try:
        batch.run()
    finally:
        batch.close()
    return batch.ordered()


class _Batch:
    """The state of one run."""

    def __init__(
        self,
        sources: list[Source],
        out: Path,
        options: DigitizeOptions,
        settings: BatchSettings,
        watch: Watch | None,
        worker: Callable[[Job | Probe], object],
    ) -> None:
        self._sources, self._out, self._options = sources, out, options
        self._watch = watch
        self._resume, self._n_jobs = settings.resume, settings.jobs
        self._ledger, self._report = Ledger(out), Report(out)
        self._pool = Pool(worker, jobs=settings.jobs, wall_s=settings.wall_s)
        self._known = len(sources)
        self._done: dict[tuple[int, int], Outcome] = {}
        self._tries: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        """Work until every page has an outcome."""
        for folder in {self._out / source.folder for source in self._sources}:
            if folder.is_dir():
                atomic.sweep(folder)
        self._pool.add(Probe(k, source, self._options) for k, source in enumerate(self._sources))
        for ended in self._pool.run():
            if isinstance(ended.task, Probe):
                self._after_probe(ended, ended.task)
            else:
                self._after_page(ended, ended.task)

    def close(self) -> None:
        """Write the report of everything that ended, also after an interruption."""
        self._report.close(self.ordered())

    def ordered(self) -> list[Outcome]:
        """Return the outcomes in input order."""
        return [self._done[key] for key in sorted(self._done)]

    def _after_probe(self, ended: Ended, probe: Probe) -> None:
        if ended.state != "done":
            self._failed_worker(ended, probe, probe.index, 0)
        elif isinstance(ended.value, Outcome):
            self._finish(probe.index, ended.value)
        else:
            n_pages, sha256 = ended.value
            self._known += n_pages - 1
            jobs = list(self._jobs(probe, n_pages, sha256))
            self._pool.add(jobs, first=True)  # finish a file before the next is opened

    def _jobs(self, probe: Probe, n_pages: int, sha256: str) -> Iterator[Job]:
        """Yield the pages still to do; those committed earlier end here."""
        workers = min(self._n_jobs, max(len(self._sources), n_pages))
        threads = max(1, usable_cores() // max(1, workers))
        out, options = str(self._out), self._options
        for page in range(n_pages):
            job = Job(probe.index, probe.source, page, n_pages, sha256, out, options, threads)
            earlier = self._ledger.find(job.key) if self._resume else None
            if earlier is None:
                yield job
            else:
                self._finish(probe.index, replace(earlier, source=str(probe.source.path)))

    def _after_page(self, ended: Ended, job: Job) -> None:
        if ended.state == "done" and isinstance(ended.value, Outcome):
            self._finish(job.index, replace(ended.value, seconds=ended.seconds))
        else:
            self._failed_worker(ended, job, job.index, job.page)

    def _failed_worker(self, ended: Ended, task: Job | Probe, index: int, page: int) -> None:
        tries = self._tries[index, page] = self._tries.get((index, page), 0) + 1
        if ended.state == "crashed" and tries < _TRIES:
            self._pool.add([task], first=True)
            return
        code, message = {
            "crashed": ("worker_crashed", "the worker process died on it twice; file set aside"),
            "timeout": ("timeout", f"not finished after {ended.seconds:.0f} s; raise --wall-limit"),
        }.get(ended.state, ("internal", f"unexpected error: {ended.value}; please report it"))
        source = str(task.source.path)
        text = f"{source}: {message}"
        self._finish(index, Outcome(source, page, "failed", code, text, seconds=ended.seconds))

    def _finish(self, index: int, outcome: Outcome) -> None:
        self._done[index, outcome.page] = outcome
        self._report.add(outcome)
        if self._watch:
            self._watch(outcome, len(self._done), self._known)
