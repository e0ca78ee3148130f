"""`prepare split`: parts of a data set that share no patient and have the same mix of labels."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.prepare.folders import (
    PrepareReport,
    copy_file,
    copy_signals,
    each_record,
    header_parts,
    image_files,
)
from cinc_ecg.errors import ConfigError, InputError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.io.raw_records import read_header_text, signal_files
from cinc_ecg.io.records import LABEL_TAG, find_records

#: Comments that name a patient.
_PATIENT_TAGS = ("# Patient:", "# Patient ID:")


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """A record with its patient ("" = nobody else's) and its labels."""

    record: str
    patient: str
    labels: tuple[str, ...]


def split_records(
    records: Sequence[SplitRecord], fractions: Mapping[str, float], *, seed: int = 0
) -> dict[str, list[str]]:
    """Distribute records over parts by patient, label after label, rarest first.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011) with all records of
    a patient as one unit: it goes to the part that lacks most of the label, then most records.

    Args:
        records: What to split.
        fractions: Part -> share; the shares must add up to 1.
        seed: Decides ties and the order of patients.

    Returns:
        Part -> its records, sorted.

    Raises:
        ConfigError: The fractions are not positive or do not add up to 1.
    """
    if any(share <= 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ConfigError("the parts' fractions must be positive and add up to 1, as in 0.8,0.2")
    rng = np.random.default_rng(seed)
    units = _by_patient(records)
    names = [str(name) for name in rng.permutation(sorted(units))]
    counts = {name: Counter(x for r in units[name] for x in r.labels) for name in names}
    total = sum(counts.values(), Counter())
    lacks = {part: {k: share * n for k, n in total.items()} for part, share in fractions.items()}
    room = {part: share * len(records) for part, share in fractions.items()}
    parts: dict[str, list[str]] = {part: [] for part in fractions}
    waiting = dict.fromkeys(names)
    while waiting:
        label = _rarest(counts, waiting)
        chosen = [name for name in waiting if label is None or counts[name][label]]
        for name in chosen:
            part = max(fractions, key=lambda p: (lacks[p].get(label or "", 0.0), room[p]))
            parts[part] += [r.record for r in units[name]]
            room[part] -= len(units[name])
            for key, n in counts[name].items():
                lacks[part][key] -= n
            del waiting[name]
    return {part: sorted(found) for part, found in parts.items()}


def _by_patient(records: Sequence[SplitRecord]) -> dict[str, list[SplitRecord]]:
    units: dict[str, list[SplitRecord]] = defaultdict(list)
    for record in records:
        units[f"patient {record.patient}" if record.patient else record.record].append(record)
    return dict(units)


def _rarest(counts: Mapping[str, Counter[str]], waiting: Mapping[str, None]) -> str | None:
    """Return the label with the fewest waiting records, or None when no labelled one waits."""
    left = sum((counts[name] for name in waiting), Counter())
    return min(sorted(left), key=lambda label: left[label]) if left else None


def read_split_records(folder: Path, patients: Path | None = None) -> list[SplitRecord]:
    """Read labels and patients of a folder's records.

    Args:
        folder: Records with `# Labels:` lines.
        patients: Table with columns ecg_id and patient_id (ptbxl_database.csv) for records named
            by their ecg_id; otherwise the header's `# Patient:` comment counts.

    Raises:
        InputError: No records, or the table cannot be used.
    """
    names = find_records(folder)
    if not names:
        raise InputError(f"{folder}: holds no records (*.hea)", code="no_records")
    known = _patient_table(patients) if patients else {}
    return [_split_record(folder, name, known) for name in names]


def _split_record(folder: Path, name: str, known: Mapping[str, str]) -> SplitRecord:
    comments = header_parts(folder / name)[2]
    labels = [line[len(LABEL_TAG) :] for line in comments if line.startswith(LABEL_TAG)]
    items = (item.strip() for line in labels for item in line.split(","))
    first = Path(name).name.split("_", maxsplit=1)[0]
    patient = known.get(str(int(first)), "") if first.isdigit() else ""
    if not patient:
        tagged = [x.partition(":")[2].strip() for x in comments if x.startswith(_PATIENT_TAGS)]
        patient = tagged[-1] if tagged else ""
    return SplitRecord(name, patient, tuple(item for item in items if item))


def _patient_table(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
        return {str(int(float(row["ecg_id"]))): _bare(row["patient_id"]) for row in rows}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", code="table") from error
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: needs columns ecg_id and patient_id with numbers", code="table_columns"
        ) from error


def _bare(text: str | None) -> str:
    """Write 123.0 as 123."""
    return (text or "").strip().removesuffix(".0")


def prepare_split(
    input_folder: Path,
    output_folder: Path,
    fractions: Mapping[str, float],
    *,
    patients: Path | None = None,
    seed: int = 0,
    copy: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, list[str]], PrepareReport]:
    """Write one list of records per part, and on request the records themselves.

    Args:
        input_folder: Records with labels.
        output_folder: Gets PART.txt and, with `copy`, the folder PART.
        fractions: Part -> share.
        patients: See `read_split_records`.
        seed: See `split_records`.
        copy: Copy headers, sample files and pictures too.
        progress: Called with (done, all) while copying.

    Raises:
        InputError: The input or the table cannot be used.
        OutputError: The output folder cannot be written.
    """
    parts = split_records(read_split_records(input_folder, patients), fractions, seed=seed)
    make_folder(output_folder)
    for part, records in parts.items():
        write_text(output_folder / f"{part}.txt", "".join(f"{record}\n" for record in records))
    if not copy:
        return parts, PrepareReport(sum(map(len, parts.values())), ())
    part_of = {record: part for part, records in parts.items() for record in records}

    def prepare(record: str, source: Path, _: Path) -> None:
        target = output_folder / part_of[record] / record
        make_folder(target.parent)
        copy_record(source, target)

    return parts, each_record(input_folder, output_folder, prepare, progress=progress)


def copy_record(source: Path, target: Path) -> None:
    """Copy a record: sample files that exist, pictures, and last the header.

    Raises:
        InputError: A picture named by the header is missing.
    """
    text = read_header_text(source)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for name in image_files(comments):
        copy_file(source.parent / name, target.parent / name)
    if all((source.parent / name).is_file() for name in signal_files(text)):
        copy_signals(text, source, target)
    write_text(target.with_name(target.name + ".hea"), text)
