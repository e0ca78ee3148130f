"""`prepare ptbxl`: headers of PTB-XL with demographics and Challenge labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cinc_ecg.challenge.prepare.folders import (
    PrepareReport,
    copy_signals,
    each_record,
    header_parts,
    save_header,
)
from cinc_ecg.challenge.prepare.labels import LabelFiles, Patient, read_patients
from cinc_ecg.errors import InputError
from cinc_ecg.io.raw_records import read_header_text

_MANAGED = ("# Age:", "# Sex:", "# Height:", "# Weight:", "# Labels:")


def prepare_ptbxl(
    input_folder: Path,
    output_folder: Path,
    files: LabelFiles,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Write every record with date, demographics and labels; in place when the folders are one.

    Args:
        input_folder: PTB-XL records; their names begin with the ecg_id, as in 00001_hr.
        output_folder: Gets headers and sample files.
        files: The tables of PTB-XL and PTB-XL+.
        progress: Called with (done, all).

    Raises:
        InputError: A table or the input folder cannot be used.
        OutputError: The output folder cannot be written.
    """
    patients = read_patients(files)

    def prepare(record: str, source: Path, target: Path) -> None:
        number = ecg_id(source)
        if number not in patients:
            raise InputError(
                f"{record}: ecg_id {number} is not in {files.ptbxl_database.name}",
                code="record_unlisted",
            )
        text = labelled_header(source, patients[number])
        copy_signals(read_header_text(source), source, target)
        save_header(target, text)

    return each_record(input_folder, output_folder, prepare, progress=progress)


def ecg_id(record: Path) -> int:
    """Return the number before the first underscore of a record's name.

    Raises:
        InputError: The name does not begin with a number.
    """
    first = record.name.split("_", maxsplit=1)[0]
    if not first.isdigit():
        raise InputError(
            f"{record.name}: PTB-XL record names begin with the ecg_id, as in 00001_hr",
            code="record_unlisted",
        )
    return int(first)


def labelled_header(record: Path, patient: Patient) -> list[str]:
    """Return the lines of a record's header with demographics and labels in place of older ones.

    The record line ends in date, time and a space, as the official script leaves it. Other comments
    stay, each on its own line, before the managed ones.
    """
    record_line, signals, comments = header_parts(record)
    first = " ".join(record_line.split()[:4])
    if patient.recorded is not None:
        first += patient.recorded.strftime(" %H:%M:%S %d/%m/%Y ")
    kept = [line for line in comments if not line.startswith(_MANAGED)]
    return [
        first,
        *signals,
        *kept,
        f"# Age: {patient.age}",
        f"# Sex: {patient.sex}",
        f"# Height: {patient.height}",
        f"# Weight: {patient.weight}",
        f"# Labels: {', '.join(patient.labels)}",
    ]
