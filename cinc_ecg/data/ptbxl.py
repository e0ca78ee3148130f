"""Labels of PTB-XL from its own tables, and of recordings with SNOMED codes in their headers."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.labels import RHYTHM_CODES, encode_labels
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import InputError

Targets = tuple[NDArray[np.float32], NDArray[np.float32]]

#: Stage of an infarction -> its age, as PTB-XL writes it.
_STAGES = {
    "Stadium I": "Acute MI",
    "Stadium II": "Old MI",
    "Stadium II-III": "Old MI",
    "Stadium III": "Old MI",
}
#: Class -> SNOMED CT codes of the Challenges 2020 and 2021 that are of its kind.
_SNOMED = {
    "MI": ("164865005", "54329005", "413444003"),
    "Acute MI": ("57054005",),
    "Old MI": ("164867002",),
    "STTC": (
        *("429622005", "164930006", "164931005", "164934002", "59931005", "428750005"),
        *("55930002", "164861001", "426434006", "425419005", "425623009", "164917005"),
    ),
    "CD": (
        *("59118001", "713427006", "713426002", "164909002", "733534002", "445118002"),
        *("445211001", "270492004", "233917008", "195042002", "27885002", "698252002"),
    ),
    "HYP": ("164873001", "89792004", "446813000", "67741000119109", "446358003", "55827005"),
    "PAC": ("284470004", "63593006"),
    "PVC": ("427172004", "17338001", "164884008"),
    "AFIB/AFL": ("164889003", "164890007"),
    "TACHY": ("427084000", "426761007", "713422000"),
    "BRADY": ("426177001", "426627000"),
}
_SINUS_RHYTHM = "426783006"
_DIAGNOSES = ("MI", "Acute MI", "Old MI", "STTC", "CD", "HYP")


@dataclass(frozen=True, slots=True)
class PtbxlEntry:
    """What PTB-XL says of one recording.

    Attributes:
        labels: Classes; "MI" where acute or old is not known.
        fold: Of PTB-XL's ten; None when not given.
        patient: Number, "" when not given.
    """

    labels: tuple[str, ...]
    fold: int | None
    patient: str = ""


def read_ptbxl_table(table: Path, statements: Path) -> dict[int, PtbxlEntry]:
    """Read PTB-XL's labels: superclasses of all its codes, rhythm classes, age of infarctions.

    Every code counts whatever its likelihood, as in the Challenge. Rows without codes are left out.

    Args:
        table: `ptbxl_database.csv`, or any CSV with its columns ecg_id, scp_codes, strat_fold and
            infarction_stadium1.
        statements: `scp_statements.csv`.

    Raises:
        InputError: a file cannot be read, or lacks a column.
    """
    superclass_of = {
        next(iter(row.values())): row["diagnostic_class"]
        for row in _rows(statements, ("diagnostic", "diagnostic_class"))
        if row["diagnostic"].strip().startswith("1") and row["diagnostic_class"]
    }
    entries = {}
    for row in _rows(table, ("ecg_id", "scp_codes", "strat_fold", "infarction_stadium1")):
        codes = _codes(row["scp_codes"], table)
        if not codes:
            continue
        labels = {superclass_of[code] for code in codes if code in superclass_of}
        labels |= {name for name, made_by in RHYTHM_CODES.items() if codes & set(made_by)}
        stage = _STAGES.get(row["infarction_stadium1"].strip())
        if "MI" in labels and stage:
            labels = (labels - {"MI"}) | {stage}
        fold = row["strat_fold"].strip()
        entries[int(float(row["ecg_id"]))] = PtbxlEntry(
            tuple(sorted(labels)),
            int(float(fold)) if fold else None,
            row.get("patient_id", "").removesuffix(".0"),
        )
    return entries


def ptbxl_number(record: str) -> int | None:
    """Return the ecg_id in a record's name ("00001_hr", "HR00001"), or None."""
    match = re.fullmatch(r"(?:HR)?(\d{1,5})(?:_[hl]r)?", Path(record).name)
    return int(match.group(1)) if match else None


def label_recordings(
    recordings: Iterable[Recording],
    entries: Mapping[int, PtbxlEntry],
    folds: Sequence[int],
) -> list[Recording]:
    """Keep PTB-XL's recordings of some folds that have a superclass or a rhythm class, labelled."""
    kept = []
    for recording in recordings:
        number = ptbxl_number(recording.name)
        entry = entries.get(number) if number is not None else None
        if entry is None or entry.fold not in folds or not entry.labels:
            continue
        group = f"patient {entry.patient}" if entry.patient else recording.name
        kept.append(replace(recording, labels=entry.labels, group=group))
    return kept


def snomed_codes(recording: Recording) -> tuple[str, ...]:
    """Return the codes of the header's "# Dx:" lines."""
    comments = recording.header.comments if recording.header else ()
    found: list[str] = []
    for comment in comments:
        tag, _, value = comment.partition(":")
        if tag.strip().casefold() == "dx":
            found += [code.strip() for code in value.split(",") if code.strip()]
    return tuple(found)


def encode_snomed(codes: Sequence[str], classes: Sequence[str]) -> Targets:
    """Turn SNOMED codes into targets and say which are known.

    Those data sets name rhythms and what is striking, not everything: a diagnosis that is not named
    counts as unknown, except beside sinus rhythm alone, which is taken for a normal recording.

    Args:
        codes: Of one recording.
        classes: The model's classes.
    """
    labels = [name for name, made_by in _SNOMED.items() if set(codes) & set(made_by)]
    if set(codes) == {_SINUS_RHYTHM}:
        return encode_labels(["NORM"], classes)
    targets, known = encode_labels(labels or None, classes)
    diagnosed = any(name in _DIAGNOSES for name in labels)
    for k, name in enumerate(classes):
        unsaid = not targets[k] and (name in _DIAGNOSES or (name == "NORM" and not diagnosed))
        if unsaid:
            known[k] = 0
    return targets, known


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: has no column {missing[0]!r}; is it the right table?",
                    code="table_columns",
                )
            return [{k: v or "" for k, v in row.items() if k is not None} for row in reader]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", code="table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV table ({error})", code="table") from error


def _codes(text: str, path: Path) -> set[str]:
    """Return the codes of a mapping code -> likelihood, written as Python or as JSON."""
    if not text.strip():
        return set()
    try:
        return set(json.loads(text))
    except ValueError:
        pass
    try:
        return set(ast.literal_eval(text))
    except (ValueError, SyntaxError) as error:
        raise InputError(
            f"{path}: scp_codes {text[:40]!r} cannot be parsed", code="table_value"
        ) from error
