"""Class names, what a record's labels say about each class, and foreign label tables."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import InputError

_LOG = logging.getLogger(__name__)

#: The Challenge's labels to the letter, in the order in which they are written.
CHALLENGE_CLASSES = (
    "NORM",
    "Acute MI",
    "Old MI",
    "STTC",
    "CD",
    "HYP",
    "PAC",
    "PVC",
    "AFIB/AFL",
    "TACHY",
    "BRADY",
)
#: Class -> PTB-XL's SCP codes that make it, beside the diagnostic superclasses.
RHYTHM_CODES = {
    "PAC": ("PAC",),
    "PVC": ("PVC",),
    "AFIB/AFL": ("AFIB", "AFLT"),
    "TACHY": ("STACH", "SVTAC", "PSVT"),
    "BRADY": ("SBRAD",),
}
#: PTB-XL's diagnostic superclasses.
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
#: Labels of the unified table: everything not listed is OTHER.
UNIFIED_CLASSES = ("MI", "AF", "BBB", "NORM", "OTHER")
#: Label -> classes it is a kind of.
_KIND_OF = {"Acute MI": ("MI",), "Old MI": ("MI",)}
#: Label -> classes of which it says "one of these, unknown which".
_ONE_OF = {"MI": ("Acute MI", "Old MI")}


def encode_labels(
    labels: Sequence[str] | None, classes: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn a record's labels into targets and say which of them are known.

    Args:
        labels: Labels in any case, or None when the record has no line for them. A label that is
            a kind of another class counts for both; "MI" leaves acute and old unknown.
        classes: The model's classes.

    Returns:
        Targets and their mask, each (n_classes,) of 0 and 1; the mask is 0 where nothing is known.
    """
    targets = np.zeros(len(classes), np.float32)
    known = np.zeros(len(classes), np.float32)
    if not labels:
        return targets, known
    known[:] = 1
    index = {name.casefold(): k for k, name in enumerate(classes)}
    present = {_spelt(label) for label in labels}
    implied = {kind for label in present for kind in _KIND_OF.get(label, ())}
    for name in present | implied:
        if name.casefold() in index:
            targets[index[name.casefold()]] = 1
    for label in present:
        for name in _ONE_OF.get(label, ()):
            if name.casefold() in index and not targets[index[name.casefold()]]:
                known[index[name.casefold()]] = 0
    return targets, known


def count_classes(labels: Iterable[Sequence[str] | None]) -> dict[str, int]:
    """Count labels as spelt in the Challenge: its eleven first, then others by name."""
    counts = Counter(_spelt(label) for entry in labels for label in set(entry or ()))
    order = [name for name in CHALLENGE_CLASSES if name in counts]
    order += sorted(name for name in counts if name not in CHALLENGE_CLASSES)
    return {name: counts[name] for name in order}


def trainable_classes(
    labels: Sequence[Sequence[str] | None], *, least: int = 2
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the classes seen into those with enough examples on both sides and the others.

    Args:
        labels: One entry per record; None = unlabelled.
        least: Fewest records that must have, and that must lack, a class.
    """
    n_labelled = sum(bool(entry) for entry in labels)
    counts = count_classes(labels)
    good = [name for name, n in counts.items() if n >= least and n_labelled - n >= least]
    return tuple(good), tuple(name for name in counts if name not in good)


def _spelt(label: str) -> str:
    """Return the Challenge's spelling of a label, or the label itself without stray blanks."""
    text = " ".join(label.split())
    for name in (*CHALLENGE_CLASSES, "MI"):
        if text.casefold() == name.casefold():
            return name
    return text


def read_label_table(path: Path) -> dict[str, str]:
    """Read a table with the columns dataset, record_id and mapped_label.

    Returns:
        "dataset/record" and plain "record" in lower case -> label; a plain name that two data sets
        share is left out. A missing file gives an empty table and a warning: all records are OTHER.

    Raises:
        InputError: the file is there but lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        _LOG.warning("[file_missing] %s: no label table; every record counts as OTHER", path)
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    needed = {"dataset", "record_id", "mapped_label"}
    if rows and not needed <= set(rows[0]):
        raise InputError(f"{path}: needs the columns {', '.join(sorted(needed))}")
    table: dict[str, str] = {}
    shared: set[str] = set()
    for row in rows:
        label = (row["mapped_label"] or "").strip().upper()
        label = label if label in UNIFIED_CLASSES else "OTHER"
        name = _plain_name(row["record_id"] or "")
        table[f"{(row['dataset'] or '').strip().casefold()}/{name}"] = label
        if name in table and table[name] != label:
            shared.add(name)
        table[name] = label
    return {key: label for key, label in table.items() if key not in shared}


def unified_label(table: Mapping[str, str], record: str, dataset: str = "") -> str:
    """Look a record up whatever its path looks like; OTHER when it is not listed."""
    name = _plain_name(record)
    return table.get(f"{dataset.strip().casefold()}/{name}") or table.get(name, "OTHER")


def _plain_name(record: str) -> str:
    """Return the last part of a path with either separator, without extension, in lower case."""
    name = record.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].casefold()
    for suffix in (".hea", ".dat", ".mat"):
        name = name.removesuffix(suffix)
    return name
