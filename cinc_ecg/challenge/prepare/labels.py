"""The Challenge's eleven classes from PTB-XL's codes and the 12SL statements of PTB-XL+."""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cinc_ecg.data.labels import CHALLENGE_CLASSES, RHYTHM_CODES
from cinc_ecg.errors import InputError

#: 12SL statement numbers that mean an acute infarction.
ACUTE_STATEMENTS = frozenset((821, 822, 823, 827, 829, 902, 903, 904, 963, 964, 965, 966, 967, 968))
UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Patient:
    """What a prepared header says about a recording.

    Attributes:
        age, sex, height, weight: As written; "Unknown" where not known.
        recorded: Date and time, or None.
        labels: Challenge classes.
        patient: Patient's number, "" when not known.
    """

    age: str
    sex: str
    height: str
    weight: str
    recorded: datetime | None
    labels: tuple[str, ...]
    patient: str = ""


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The four tables: PTB-XL's database and statements, PTB-XL+'s 12SL statements and mapping."""

    ptbxl_database: Path
    ptbxl_mapping: Path
    sl_database: Path
    sl_mapping: Path


def read_patients(files: LabelFiles) -> dict[int, Patient]:
    """Return what is known of every recording of PTB-XL, by ecg_id.

    Raises:
        InputError: A table is missing, or has other columns than expected.
    """
    superclass_of = _superclasses(files.ptbxl_mapping)
    acute = _acute_acronyms(files.sl_mapping)
    statements = {
        _ecg_id(row, files.sl_database): row["statements"]
        for row in _rows(files.sl_database, ("ecg_id", "statements"))
    }
    needed = ("ecg_id", "age", "sex", "height", "weight", "recording_date", "scp_codes")
    patients = {}
    for row in _rows(files.ptbxl_database, needed):
        number = _ecg_id(row, files.ptbxl_database)
        patients[number] = Patient(
            _number(row["age"]),
            {0.0: "Male", 1.0: "Female"}.get(_float(row["sex"]), UNKNOWN),
            _number(row["height"]),
            _number(row["weight"]),
            _date(row["recording_date"]),
            challenge_labels(
                _codes(row["scp_codes"], number), superclass_of, statements.get(number, ""), acute
            ),
            _number(row.get("patient_id", "")).replace(UNKNOWN, ""),
        )
    return patients


def challenge_labels(
    scp_codes: Iterable[str],
    superclass_of: Mapping[str, str],
    statements: str,
    acute_acronyms: Iterable[str],
) -> tuple[str, ...]:
    """Map one recording's codes to Challenge classes, in the official order.

    Every code counts whatever its likelihood. The 12SL statements are searched as one string, so an
    acronym also matches inside a longer one (quirk B11); an acute infarction needs no PTB-XL code.

    Args:
        scp_codes: PTB-XL's codes.
        superclass_of: Superclass of each diagnostic code.
        statements: The 12SL field as it stands in the table: "['NSR', 'NML']".
        acute_acronyms: Acronyms of acute infarction.
    """
    codes = set(scp_codes)
    superclasses = {superclass_of[code] for code in codes if code in superclass_of}
    acute = any(acronym in statements for acronym in acute_acronyms)
    found = {
        "NORM": "NORM" in superclasses,
        "Acute MI": acute,
        "Old MI": "MI" in superclasses and not acute,
        **{name: name in superclasses for name in ("STTC", "CD", "HYP")},
        **{name: any(code in codes for code in made_by) for name, made_by in RHYTHM_CODES.items()},
    }
    return tuple(name for name in CHALLENGE_CLASSES if found[name])


def _superclasses(path: Path) -> dict[str, str]:
    """Return the diagnostic superclass of each diagnostic SCP code; codes stand in column 1."""
    rows = _rows(path, ("diagnostic", "diagnostic_class"))
    return {
        next(iter(row.values())): row["diagnostic_class"]
        for row in rows
        if _float(row["diagnostic"]) == 1 and row["diagnostic_class"]
    }


def _acute_acronyms(path: Path) -> frozenset[str]:
    """Return the acronyms of the acute statements; a statement without one is left out."""
    return frozenset(
        row["Acronym"].strip()
        for row in _rows(path, ("StatementNumber", "Acronym"))
        if _float(row["StatementNumber"]) in ACUTE_STATEMENTS and row["Acronym"].strip()
    )


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a CSV file that must have some columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = reader.fieldnames or []
            missing = [name for name in columns if name not in names]
            if missing:
                raise InputError(
                    f"{path}: has no column {missing[0]!r}; is it the right table?",
                    code="table_columns",
                )
            return [
                {key: value or "" for key, value in row.items() if key is not None}
                for row in reader
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", code="table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV table ({error})", code="table") from error


def _ecg_id(row: Mapping[str, str], path: Path) -> int:
    value = _float(row["ecg_id"])
    if not value.is_integer():
        raise InputError(f"{path}: ecg_id {row['ecg_id']!r} is no number", code="table_value")
    return int(value)


def _codes(text: str, number: int) -> tuple[str, ...]:
    """Parse the dictionary of codes and likelihoods."""
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise InputError(
            f"ecg_id {number}: scp_codes {text!r} cannot be parsed", code="table_value"
        ) from error
    return tuple(str(code) for code in codes)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _number(text: str) -> str:
    """Write a number the official way: 56, 56.5, Unknown (age 300 means over 89 and stays)."""
    value = _float(text)
    if not math.isfinite(value):
        return UNKNOWN
    return str(int(value)) if value.is_integer() else str(value)


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
