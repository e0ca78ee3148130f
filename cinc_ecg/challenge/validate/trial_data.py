"""The folders of a trial, and the announced changes to the training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.prepare.folders import header_parts, image_files
from cinc_ecg.challenge.prepare.hide import Keep, prepare_hide
from cinc_ecg.challenge.prepare.split import copy_record, read_split_records, split_records
from cinc_ecg.errors import InputError
from cinc_ecg.io.atomic import make_folder, write_bytes, write_text
from cinc_ecg.io.raw_records import read_header_text, signal_files
from cinc_ecg.io.records import LABEL_TAG, find_records, read_header

_MIN_RECORDS = 4
_HIDDEN_SHARE = 1 / 3
_DEMOGRAPHICS = ("# Age:", "# Sex:", "# Height:", "# Weight:")


@dataclass(frozen=True, slots=True)
class TrialData:
    """Folders of a trial: what is trained on, run on, and scored against."""

    training: Path
    hidden: Path
    reference: Path


def make_trial_data(data: Path, work: Path, *, limit: int, seed: int) -> TrialData:
    """Split some records of a data folder by patient and hide one part.

    Args:
        data: Records with labels, signals and pictures.
        work: Gets the folders.
        limit: Use at most so many records, drawn with the seed.
        seed: Of the draw and the split.

    Raises:
        InputError: Too few records, or records without labels, signals or pictures.
    """
    records = read_split_records(data)
    rng = np.random.default_rng(seed)
    chosen = [records[k] for k in sorted(rng.permutation(len(records))[:limit])]
    if len(chosen) < _MIN_RECORDS:
        raise InputError(f"{data}: a trial needs {_MIN_RECORDS} records or more", code="no_records")
    for one in chosen:
        _must_be_complete(data / one.record)
    shares = {"training": 1 - _HIDDEN_SHARE, "reference": _HIDDEN_SHARE}
    # By patient alone: so few records could not keep the shares and the mix of labels both.
    units = [replace(one, labels=()) for one in chosen]
    parts = split_records(units, shares, seed=seed)
    for part, names in parts.items():
        if not names:
            raise InputError(f"{data}: all records are of one patient", code="no_records")
        for name in names:
            copy_to(data / name, work / part / name)
    prepare_hide(work / "reference", work / "hidden", Keep(images=True))
    return TrialData(work / "training", work / "hidden", work / "reference")


def _must_be_complete(record: Path) -> None:
    comments = header_parts(record)[2]
    text = read_header_text(record)
    here = all((record.parent / name).is_file() for name in signal_files(text))
    if not here or not image_files(comments) or not any(c.startswith(LABEL_TAG) for c in comments):
        raise InputError(
            f"{record}: a trial needs records with sample files, '# Image:' and '# Labels:'; "
            "cinc-ecg prepare challenge makes them",
            code="data_incomplete",
        )


def copy_to(source: Path, target: Path) -> None:
    """Copy a record, making its folder."""
    make_folder(target.parent)
    copy_record(source, target)


def without_labels(training: Path, target: Path) -> str:
    """Copy the training data with every third record's labels gone and demographics unknown."""
    records = find_records(training)
    for k, record in enumerate(records):
        copy_to(training / record, target / record)
        if k % 3 == 0:
            _edit(target / record, lambda line: None if line.startswith(LABEL_TAG) else line)
        _edit(target / record, _unknown)
    return f"{len(records[::3])} of {len(records)} records without labels, demographics unknown"


def _unknown(line: str) -> str:
    tag = next((tag for tag in _DEMOGRAPHICS if line.startswith(tag)), None)
    return f"{tag} Unknown" if tag else line


def without_class(training: Path, target: Path) -> str:
    """Copy the training data without its most frequent class; records of it alone are left out."""
    labels = {r: read_header(training / r).labels or () for r in find_records(training)}
    counts = Counter(label for found in labels.values() for label in found)
    # The most frequent that leaves something to train on.
    gone = next(
        (c for c, _ in counts.most_common() if any(set(found) - {c} for found in labels.values())),
        "",
    )
    left = {r: [x for x in found if x != gone] for r, found in labels.items()}
    for record, kept in left.items():
        if kept or not labels[record]:
            copy_to(training / record, target / record)
            _edit(target / record, partial(_relabelled, labels=kept))
    return f"class {gone or 'none'} removed"


def _relabelled(line: str, labels: Sequence[str]) -> str:
    return f"{LABEL_TAG} {', '.join(labels)}" if line.startswith(LABEL_TAG) else line


def share_of(training: Path, target: Path, share: float) -> str:
    """Copy a share of the training data; beyond all of it, records come again under new names."""
    records = find_records(training)
    wanted = max(1, round(share * len(records)))
    for k in range(wanted):
        source = records[k % len(records)]
        copy_to(training / source, target / f"copy{k // len(records)}" / source)
    return f"{wanted} records instead of {len(records)}"


def with_a_broken_picture(hidden: Path, target: Path, n_records: int) -> str:
    """Copy some hidden records, cut off the first one's pictures, and return its name."""
    records = find_records(hidden)[:n_records]
    for record in records:
        copy_to(hidden / record, target / record)
    broken = records[0]
    for name in read_header(target / broken).images:
        path = (target / broken).parent / name
        write_bytes(path, path.read_bytes()[:100])
    return broken


def _edit(record: Path, change: Callable[[str], str | None]) -> None:
    lines = [change(line) for line in read_header_text(record).splitlines()]
    kept: Sequence[str] = [line for line in lines if line is not None]
    write_text(record.with_name(record.name + ".hea"), "\n".join(kept) + "\n")
