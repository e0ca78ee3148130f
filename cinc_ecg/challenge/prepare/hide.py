"""`prepare hide`: what the organizers take out of the data that code is run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cinc_ecg.challenge.prepare.folders import (
    PrepareReport,
    copy_file,
    copy_signals,
    each_record,
    header_parts,
    image_files,
    same_folder,
    save_header,
)
from cinc_ecg.errors import InputError
from cinc_ecg.io.raw_records import read_header_text, signal_files
from cinc_ecg.io.records import IMAGE_TAG, LABEL_TAG


@dataclass(frozen=True, slots=True)
class Keep:
    """What survives hiding."""

    waveforms: bool = False
    labels: bool = False
    images: bool = False


def prepare_hide(
    input_folder: Path,
    output_folder: Path,
    keep: Keep,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Write trimmed headers, and sample files and pictures when asked.

    In place, sample files that are not kept are DELETED, as by the official script; pictures that
    are kept simply stay (the official script crashes there: quirk B19).

    Args:
        input_folder: Complete records.
        output_folder: Gets the hidden ones; may be the input folder.
        keep: What to keep.
        progress: Called with (done, all).

    Raises:
        InputError: The input folder cannot be used.
        OutputError: The output folder cannot be written.
    """
    in_place = same_folder(input_folder, output_folder)

    def prepare(record: str, source: Path, target: Path) -> None:
        text = read_header_text(source)
        record_line, signals, comments = header_parts(source)
        lines = trimmed(record_line, signals, source)
        if keep.labels:
            lines += [line for line in comments if line.startswith(LABEL_TAG)]
        if keep.images:
            lines += [line for line in comments if line.startswith(IMAGE_TAG)]
            for name in image_files(comments):
                copy_file(source.parent / name, target.parent / name)
        if keep.waveforms:
            copy_signals(text, source, target)
        save_header(target, lines)
        if in_place and not keep.waveforms:
            for name in signal_files(text):
                (source.parent / name).unlink(missing_ok=True)

    return each_record(input_folder, output_folder, prepare, progress=progress)


def trimmed(record_line: str, signals: list[str], source: Path) -> list[str]:
    """Cut a header's lines to what a hidden header has.

    The record line keeps four fields; a signal line keeps five, then four spaces and the lead's
    name, initial value, checksum and block size being blanked. A trimmed line stays as it is.

    Raises:
        InputError: A signal line has no lead name.
    """
    lines = [" ".join(record_line.split()[:4])]
    for line in signals:
        words = line.split(None, 8)
        fields = words if len(words) == 9 else line.rstrip().split(" ")
        if len(fields) < 9:
            raise InputError(
                f"{source}.hea: signal line {line!r} has no lead name", code="record_unreadable"
            )
        lines.append(" ".join(fields[:5]) + " " * 4 + " ".join(fields[8:]))
    return lines
