"""Seconds and memory of one page: `python -m benchmarks.page_speed --data RECORDS`.

Every measurement runs in a fresh process with the settings of a `cinc-ecg digitize` worker: the
packages are loaded, then the same page is read several times. The first reading draws the letters
that names are compared with; the later ones tell what a page of a batch costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

STAGES = ("evidence", "page", "traces", "layout")
_MARK = "page_speed: "


@dataclass(frozen=True)
class Timing:
    """One process: seconds by the clock, of its processor, per stage of a later page; peak memory.

    Attributes:
        load_s: Importing the packages and loading the network.
        first_s, next_s: The first page, and the median of the later ones.
        busy_s: Processor seconds of a later page, all threads together.
        stages_s: Seconds of `STAGES` in a later page.
        peak_mb: Largest resident memory of the process.
    """

    load_s: float
    first_s: float
    next_s: float
    busy_s: float
    stages_s: dict[str, float]
    peak_mb: float


def time_page(pixels: Path, readers: str, threads: int, pages: int) -> Timing:
    """Read the page in a file (.npy) several times in this process."""
    import resource

    begun = time.perf_counter()
    from cinc_ecg.batch import work
    from cinc_ecg.digitization.pipeline import digitize
    from cinc_ecg.digitization.threads import set_threads
    from cinc_ecg.types import EcgImage

    strips, page = work.strip_reader(readers), work.page_reader(readers)
    set_threads(threads)
    load_s = time.perf_counter() - begun
    image = EcgImage(pixels=np.load(pixels), source=pixels.name)
    clock, busy, stages = [], [], []
    for _ in range(pages):
        start, used = time.perf_counter(), time.process_time()
        seen: list[tuple[str, float]] = [("", start)]
        digitize(
            image,
            strip_reader=strips,
            page_reader=page,
            observe=lambda stage, _, seen=seen: seen.append((stage, time.perf_counter())),
        )
        clock.append(time.perf_counter() - start)
        busy.append(time.process_time() - used)
        stages.append({stage: end - before for (_, before), (stage, end) in pairwise(seen)})
    later = slice(1, None) if pages > 1 else slice(None)
    usual = {name: float(np.median([s[name] for s in stages[later]])) for name in STAGES}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if _in_bytes() else 1e3)
    middle = (float(np.median(values[later])) for values in (clock, busy))
    return Timing(load_s, clock[0], *middle, usual, peak)


def _in_bytes() -> bool:
    """Tell whether the system counts resident memory in bytes, not in KiB."""
    return sys.platform == "darwin"


def in_fresh_process(pixels: Path, readers: str, threads: int, pages: int) -> Timing:
    """Run `time_page` in a process of its own, set up as a worker of a batch is."""
    from cinc_ecg.batch.run import WORKER_SETTINGS

    task = json.dumps([str(pixels), readers, threads, pages])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.page_speed", "--task", task],
        env={**os.environ, **WORKER_SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not lines:
        raise SystemExit(f"page_speed: {readers}, {threads} threads: {done.stderr.strip()}")
    return Timing(**json.loads(lines[-1][len(_MARK) :]))


def median_of(timings: list[Timing]) -> Timing:
    """Return the medians of several processes; of the memory the largest."""
    middle = {
        name: float(np.median([getattr(t, name) for t in timings]))
        for name in ("load_s", "first_s", "next_s", "busy_s")
    }
    stages = {name: float(np.median([t.stages_s[name] for t in timings])) for name in STAGES}
    peak = max(t.peak_mb for t in timings)
    return replace(timings[0], **middle, stages_s=stages, peak_mb=peak)


def row(condition: str, size: str, reader: str, threads: int, timing: Timing) -> str:
    """Return a line of the table."""
    numbers = [timing.load_s, timing.first_s, timing.next_s, timing.busy_s]
    numbers += [timing.stages_s[name] for name in STAGES]
    cells = [condition, size, reader, str(threads), *(f"{v:.1f}" for v in numbers)]
    return f"| {' | '.join([*cells, f'{timing.peak_mb:.0f}'])} |"


def header() -> str:
    """Return the head of the table."""
    names = ["condition", "pixels", "reader", "threads", "load", "first page", "next pages"]
    names += ["processor", *STAGES, "peak MB"]
    marks = ["---"] * 3 + ["---:"] * (len(names) - 3)
    return f"| {' | '.join(names)} |\n| {' | '.join(marks)} |"


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="WFDB recordings; simulated ones without it")
    parser.add_argument("--seed", type=int, default=20240)
    parser.add_argument("--conditions", default="clean,bw,camera2")
    parser.add_argument("--readers", default="classical,learned")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=3, help="processes per line of the table")
    parser.add_argument("--pages", type=int, default=3, help="readings of the page per process")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.task:
        path, reader, threads, pages = json.loads(options.task)
        print(_MARK + json.dumps(asdict(time_page(Path(path), reader, threads, pages))))
        return
    print(header())
    for condition in options.conditions.split(","):
        with tempfile.TemporaryDirectory() as folder:
            pixels = Path(folder) / "page.npy"
            height, width = _draw(condition, options.data, options.seed, pixels)
            for reader in options.readers.split(","):
                for threads in (int(n) for n in options.threads.split(",")):
                    runs = [
                        in_fresh_process(pixels, reader, threads, options.pages)
                        for _ in range(options.repeats)
                    ]
                    size = f"{width} x {height}"
                    print(row(condition, size, reader, threads, median_of(runs)), flush=True)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"\nLoad of the machine at the end: {load:.1f} on {os.cpu_count()} cores.")


def _draw(condition: str, data: Path | None, seed: int, path: Path) -> tuple[int, int]:
    """Draw a condition's first page into a file; return its height and width."""
    from benchmarks.sources import choose_recordings, drawn_tasks, open_page

    recordings = choose_recordings(data, 1, seed)
    page = open_page(drawn_tasks(condition, 1, recordings, seed)[0], data)
    np.save(path, page.image.pixels)
    height, width = page.image.pixels.shape[:2]
    return height, width


if __name__ == "__main__":
    main()
