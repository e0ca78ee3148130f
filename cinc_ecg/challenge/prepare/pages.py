"""`prepare challenge`: PTB-XL (and PTB-XL+) into training and hidden folders with drawn pages.

The tree that results:

    OUT/training     complete records with labels and pictures
    OUT/hidden       trimmed headers and pictures: what code is run on
    OUT/hidden_ref   the hidden records' labels and signals, masked to what their pages print

A record whose header stands in its folder is complete (headers are written last), so a second run
goes on where the first one stopped.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.prepare.folders import (
    PrepareReport,
    copy_signals,
    header_parts,
    save_header,
)
from cinc_ecg.challenge.prepare.hide import trimmed
from cinc_ecg.challenge.prepare.labels import LabelFiles, Patient, read_patients
from cinc_ecg.challenge.prepare.ptbxl import ecg_id, labelled_header
from cinc_ecg.challenge.prepare.split import SplitRecord, split_records
from cinc_ecg.errors import CincEcgError, InputError
from cinc_ecg.io.atomic import make_folder, staged, write_bytes
from cinc_ecg.io.raw_records import read_header_text
from cinc_ecg.io.records import IMAGE_TAG, LABEL_TAG, find_records, read_signal, stage_record
from cinc_ecg.synth.generate import GenerateOptions, make_page, png_bytes
from cinc_ecg.types import Signal

TRAINING, HIDDEN, REFERENCE = "training", "hidden", "hidden_ref"


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How the folders are made.

    Attributes:
        hidden: Share of records to hide; no patient is on both sides.
        pages: Pictures per record, each drawn anew.
        preset: See `synth.generate.GenerateOptions`.
        values: Page settings by dotted name.
        seed: Of the split and the pages.
        limit: At most so many records, drawn with the seed; None takes all.
        jobs: Processes; None takes one per available core.
    """

    hidden: float = 0.1
    pages: int = 1
    preset: str = "clean"
    values: dict[str, object] = field(default_factory=dict)
    seed: int = 0
    limit: int | None = None
    jobs: int | None = None


def prepare_challenge(
    input_folder: Path,
    output_folder: Path,
    files: LabelFiles,
    options: PageOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Make training and hidden folders; finished records are left as they are.

    Args:
        input_folder: PTB-XL records.
        output_folder: See the module's text.
        files: The tables of PTB-XL and PTB-XL+.
        options: How.
        progress: Called with (done, all).

    Raises:
        InputError: Tables or records cannot be used.
        OutputError: The output folder cannot be written.
    """
    options = options or PageOptions()
    patients = read_patients(files)
    records, problems = _listed(input_folder, patients, options)
    hidden = set(_hidden(records, patients, options))
    for part in (TRAINING, HIDDEN, REFERENCE):
        make_folder(output_folder / part)
    work = partial(
        _make_record,
        input_folder=input_folder,
        output_folder=output_folder,
        options=options,
    )
    tasks = [
        (record, record in hidden, patients[ecg_id(input_folder / record)]) for record in records
    ]
    failed = 0
    for done, problem in enumerate(_run(work, tasks, options.jobs), 1):
        if problem:
            problems.append(problem)
            failed += 1
        if progress:
            progress(done, len(tasks))
    return PrepareReport(len(tasks) - failed, tuple(problems))


_Task = tuple[str, bool, Patient]


def _listed(
    folder: Path, patients: dict[int, Patient], options: PageOptions
) -> tuple[list[str], list[str]]:
    """Return the records that the tables know, and a line for each of the others."""
    if not folder.is_dir():
        raise InputError(f"{folder}: not a readable folder", code="folder_unreadable")
    records: list[str] = []
    problems: list[str] = []
    for record in find_records(folder):
        try:
            known = ecg_id(folder / record) in patients
            problem = f"[record_unlisted] {record}: its ecg_id is not in the database"
        except CincEcgError as error:
            known, problem = False, f"[{error.reason_code}] {error}"
        if known:
            records.append(record)
        else:
            problems.append(problem)
    if not records:
        raise InputError(f"{folder}: holds no records of the database", code="no_records")
    if options.limit is not None and options.limit < len(records):
        chosen = np.random.default_rng(options.seed).permutation(len(records))[: options.limit]
        records = [records[k] for k in sorted(chosen)]
    return records, problems


def _hidden(records: list[str], patients: dict[int, Patient], options: PageOptions) -> list[str]:
    """Choose the hidden records: by patient, stratified by label."""
    if options.hidden <= 0:
        return []
    known = [(record, patients[ecg_id(Path(record))]) for record in records]
    units = [SplitRecord(record, p.patient, p.labels) for record, p in known]
    shares = {TRAINING: 1 - options.hidden, HIDDEN: options.hidden}
    return split_records(units, shares, seed=options.seed)[HIDDEN]


def _run(
    work: Callable[[_Task], str | None], tasks: list[_Task], jobs: int | None
) -> Iterator[str | None]:
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(tasks))
    if jobs <= 1:
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(work, tasks)


def _make_record(
    task: _Task, *, input_folder: Path, output_folder: Path, options: PageOptions
) -> str | None:
    """Make one record; return a line about what went wrong, or None."""
    record, is_hidden, patient = task
    target = output_folder / (HIDDEN if is_hidden else TRAINING) / record
    if target.with_name(target.name + ".hea").exists():
        return None
    source = input_folder / record
    try:
        make_folder(target.parent)
        header = labelled_header(source, patient)
        names, printed = _draw(source, target, options)
        listing = f"{IMAGE_TAG} {', '.join(names)}"
        if is_hidden:
            reference = output_folder / REFERENCE / record
            make_folder(reference.parent)
            labels = next(line for line in header if line.startswith(LABEL_TAG))
            with staged(reference.parent) as scratch:
                stage_record(scratch, reference.name, printed, [labels.removeprefix("# ")])
            record_line, signals, _ = header_parts(source)
            save_header(target, [*trimmed(record_line, signals, source), listing])
        else:
            copy_signals(read_header_text(source), source, target)
            save_header(target, [*header, listing])
    except CincEcgError as error:
        return f"[{error.reason_code}] {error}"
    return None


def _draw(source: Path, target: Path, options: PageOptions) -> tuple[list[str], Signal]:
    """Write a record's pictures; return their names and what of the signal any of them prints."""
    signal = read_signal(source)
    page_options = GenerateOptions(
        target.parent, options.preset, values=options.values, seed=options.seed
    )
    names = []
    printed = np.zeros(signal.samples_mv.shape, dtype=bool)
    for number in range(options.pages):
        image, truth = make_page(signal, page_options, ecg_id(source), number)
        names.append(f"{target.name}-{number}.png")
        write_bytes(target.parent / names[-1], png_bytes(image))
        seen = np.isfinite(truth.signal.samples_mv)
        printed |= seen[:, [truth.signal.leads.index(lead) for lead in signal.leads]]
    samples = np.where(printed, signal.samples_mv, np.nan).astype(np.float32)
    return names, Signal(samples, signal.fs_hz, signal.leads)
