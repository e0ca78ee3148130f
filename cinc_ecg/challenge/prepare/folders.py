"""Walking from an input folder to an output folder, record by record, in place or not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cinc_ecg.errors import CincEcgError, InputError
from cinc_ecg.io.atomic import make_folder, output_error, write_text
from cinc_ecg.io.raw_records import read_header_text, signal_files
from cinc_ecg.io.records import IMAGE_TAG, find_records


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What a preparation did: records written, and one line per record that could not be."""

    done: int
    problems: tuple[str, ...]


def each_record(
    input_folder: Path,
    output_folder: Path,
    prepare: Callable[[str, Path, Path], None],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Call `prepare(record, source, target)` for every record; failing ones do not stop the rest.

    Args:
        input_folder: Searched at any depth.
        output_folder: Made with the same tree; may be the input folder.
        prepare: Gets the relative name and both paths without extension.
        progress: Called with (done, all) after each record.

    Raises:
        InputError: The input folder cannot be read or has no records.
        OutputError: The output folder cannot be written.
    """
    if not input_folder.is_dir() or not os.access(input_folder, os.R_OK | os.X_OK):
        raise InputError(f"{input_folder}: not a readable folder", code="folder_unreadable")
    records = find_records(input_folder)
    if not records:
        raise InputError(f"{input_folder}: holds no records (*.hea)", code="no_records")
    make_folder(output_folder)
    problems = []
    for k, record in enumerate(records):
        target = output_folder / record
        try:
            make_folder(target.parent)
            prepare(record, input_folder / record, target)
        except CincEcgError as error:
            problems.append(f"[{error.reason_code}] {error}")
        if progress:
            progress(k + 1, len(records))
    return PrepareReport(len(records) - len(problems), tuple(problems))


def same_folder(a: Path, b: Path) -> bool:
    """Tell whether two folders are one."""
    return b.exists() and a.resolve() == b.resolve()


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; onto itself it does nothing.

    Raises:
        InputError: The source is missing.
        OutputError: The target cannot be written.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file", code="file_missing")
    if target.exists() and source.samefile(target):
        return
    try:
        shutil.copy2(source, target)
    except OSError as error:
        raise output_error(error, target) from error


def copy_signals(header: str, source: Path, target: Path) -> None:
    """Copy the sample files a header names from beside `source` to beside `target`."""
    for name in signal_files(header):
        copy_file(source.parent / name, target.parent / name)


def header_parts(record: Path) -> tuple[str, list[str], list[str]]:
    """Return a header's record line, its signal lines and its comment lines.

    Raises:
        RecordError: There is no header.
        InputError: It has no record line, or fewer signal lines than it says.
    """
    lines = [line for line in read_header_text(record).splitlines() if line.strip()]
    comments = [line for line in lines if line.startswith("#")]
    body = [line for line in lines if not line.startswith("#")]
    try:
        n_signals = int(body[0].split()[1])
    except (IndexError, ValueError):
        raise InputError(f"{record}.hea: has no record line", code="record_unreadable") from None
    if len(body) < 1 + n_signals:
        raise InputError(
            f"{record}.hea: {n_signals} signals announced, {len(body) - 1} described",
            code="record_unreadable",
        )
    return body[0], body[1 : 1 + n_signals], comments


def save_header(target: Path, lines: list[str]) -> None:
    """Write a header atomically."""
    write_text(target.with_name(target.name + ".hea"), "\n".join(lines) + "\n")


def image_files(comments: list[str]) -> list[str]:
    """Return the pictures named by a header's comments."""
    values = [line[len(IMAGE_TAG) :] for line in comments if line.startswith(IMAGE_TAG)]
    return [name.strip() for value in values for name in value.split(",") if name.strip()]
