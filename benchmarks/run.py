"""Measure digitization under every condition: `python -m benchmarks.run`.

The table is official (alignment included); `--fast` uses a quick alignment for day-to-day work and
never writes the documentation.
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from cinc_ecg.errors import CincEcgError, ConfigError, InputError

SEED = 20240
#: Recordings drawn from; also pages per condition (the ladders have a page per rung).
N_RECORDINGS = 40


def parse(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", help="comma-separated; all otherwise")
    parser.add_argument("--pages", type=int, default=N_RECORDINGS, help="per condition")
    parser.add_argument("--rungs", type=int, help="pages of the ladders; one per rung otherwise")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="only recordings that the packaged networks were not trained on",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--strip-reader", default="default", help="classical, learned, or a folder with its card"
    )
    parser.add_argument(
        "--page-reader", default="default", help="classical, learned, or a folder with its card"
    )
    parser.add_argument("--fast", action="store_true", help="quick alignment, not official")
    parser.add_argument("--public", type=Path, help="pages of another generator with truth")
    parser.add_argument("--scans", type=Path, help="scans whose names end in the record's number")
    parser.add_argument("--out", type=Path, help="write the table as Markdown")
    parser.add_argument("--details", type=Path, help="write one JSON line per page")
    arguments = parser.parse_args(argv)
    if arguments.fast and arguments.out:
        parser.error("--out publishes official values; leave out --fast")
    return arguments


def make_tasks(arguments):
    """List the pages to measure, condition by condition."""
    from benchmarks.pages import ladder_rungs, list_conditions, needs_folder
    from benchmarks.sources import choose_recordings, drawn_tasks, folder_tasks

    names = list_conditions()
    if arguments.conditions:
        wanted = arguments.conditions.split(",")
    else:
        wanted = [n for n in names if not needs_folder(n) or getattr(arguments, n)]
    for name in wanted:
        if name.split("/")[0] not in names:
            raise ConfigError(f"unknown condition {name!r}; there are {', '.join(names)}")
    recordings = choose_recordings(
        arguments.data, N_RECORDINGS, arguments.seed, held_out=arguments.held_out
    )
    tasks = []
    for name in wanted:
        if needs_folder(name):
            tasks += folder_tasks(name, _folder(arguments, name), arguments.data)
            continue
        n_pages = arguments.pages
        if name == "ladders":
            n_pages = arguments.rungs or len(ladder_rungs())
        tasks += drawn_tasks(name, n_pages, recordings, arguments.seed)
    return tasks


def _folder(arguments, name):
    folder = getattr(arguments, name)
    if folder is None or not folder.is_dir():
        raise InputError(f"--{name} must be a folder for this condition")
    return folder


def run_tasks(tasks, arguments, report):
    """Measure all pages in parallel, in the tasks' order; `report` is called as pages finish."""
    from benchmarks.measure import measure

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    results = {}
    with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
        futures = {
            pool.submit(
                measure,
                task,
                arguments.data,
                arguments.fast,
                arguments.strip_reader,
                arguments.page_reader,
            ): k
            for k, task in enumerate(tasks)
        }
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            report(len(results), results[futures[future]])
    return [results[k] for k in range(len(tasks))]


def facts_about(arguments, tasks):
    """Return the lines that let somebody else repeat the run."""
    from benchmarks.table import machine

    source = "simulated recordings"
    if arguments.data:
        drawn = {t.record for t in tasks if t.record and t.folder is None}
        sources = sorted({Path(record).parent.name for record in drawn})
        source = f"{len(drawn)} real recordings, in turn from {', '.join(sources)}"
    return [*machine(), f"seed {arguments.seed}; {source}; {arguments.jobs} processes"]


def command_of(arguments):
    """Return the command with folders named by what they hold."""
    parts = ["python -m benchmarks.run"]
    for name, folder in (("data", "RECORDS"), ("public", "PAGES"), ("scans", "SCANS")):
        if getattr(arguments, name):
            parts.append(f"--{name} {folder}")
    if arguments.conditions:
        parts.append(f"--conditions {arguments.conditions}")
    if arguments.pages:
        parts.append(f"--pages {arguments.pages}")
    if arguments.held_out:
        parts.append("--held-out")
    if arguments.rungs:
        parts.append(f"--rungs {arguments.rungs}")
    if arguments.seed != SEED:
        parts.append(f"--seed {arguments.seed}")
    if arguments.strip_reader != "default":
        parts.append(f"--strip-reader {arguments.strip_reader}")
    if arguments.page_reader != "default":
        parts.append(f"--page-reader {arguments.page_reader}")
    if arguments.out:
        parts.append(f"--out {arguments.out.name}")
    return " ".join(parts)


def main(argv=None):
    """Run the benchmark."""
    arguments = parse(argv)
    try:
        tasks = make_tasks(arguments)
    except CincEcgError as error:
        print(f"error: [{error.reason_code}] {error}", file=sys.stderr)
        return 2

    details = arguments.details.open("w") if arguments.details else None

    def report(done, result):
        print(
            f"{done}/{len(tasks)} {result.condition} {result.index} {' '.join(result.variants)} "
            f"{result.outcome} {result.mean_db:.1f} dB {result.seconds:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        if details:
            line = {**asdict(result), "mean_db": result.mean_db, "fast": arguments.fast}
            details.write(json.dumps(line) + "\n")
            details.flush()

    results = run_tasks(tasks, arguments, report)
    if details:
        details.close()

    from benchmarks.table import document, markdown, rows

    main_rows, variant_rows = rows(results)
    print(markdown(main_rows) + ("\n" + markdown(variant_rows) if variant_rows else ""))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        text = document(
            results,
            command=command_of(arguments),
            facts=facts_about(arguments, tasks),
            jobs=arguments.jobs,
        )
        arguments.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
