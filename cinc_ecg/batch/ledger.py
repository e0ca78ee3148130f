"""What was done: one receipt per finished page (the commit that resuming trusts) and the report
files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from cinc_ecg._version import __version__
from cinc_ecg.io import atomic

Status = Literal["ok", "refused", "failed"]
_STATE = ".cinc-ecg"
#: A spreadsheet runs a cell that starts with one of these.
_FORMULA_SIGNS = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one page (or of a file that has none).

    Attributes:
        source: Input path as given.
        page: From 0.
        status: "ok"; "refused" (read, but no signal can be given); "failed" (unreadable,
            unwritable,
            crashed, too slow).
        reason_code: "ok" or the stable code of the error.
        message: One line for a person.
        outputs: Files written, relative to the output folder.
        seconds: Wall time.
        layout, px_per_mm, coverage, limb_residual_mv, n_leads, notes: Key figures of a result.
        sha256: Of the input file.
        resumed: True when an earlier run had committed it.
    """

    source: str
    page: int
    status: Status
    reason_code: str
    message: str
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    layout: str = ""
    px_per_mm: float | None = None
    coverage: float | None = None
    limb_residual_mv: float | None = None
    n_leads: int = 0
    notes: tuple[str, ...] = ()
    sha256: str = ""
    resumed: bool = False


def task_key(sha256: str, page: int, options: Any, target: str) -> str:
    """Return the name under which a page's receipt is kept.

    It covers the file's content, the page, every option, the program's version and the output's
    name, so that any change of one of them means the page is done again.
    """
    parts = [sha256, page, asdict(options), __version__, target]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Ledger:
    """The receipts in one output folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._receipts = out / _STATE / "receipts"

    def commit(self, key: str, outcome: Outcome) -> None:
        """Record a page as finished; its outputs must be in place.

        Raises:
            OutputError: the disk is full or not writable.
        """
        path = self._path(key)
        atomic.make_folder(path.parent)
        atomic.write_text(path, json.dumps(asdict(outcome), ensure_ascii=False) + "\n")

    def find(self, key: str) -> Outcome | None:
        """Return the outcome committed under a key, if its output files are still there."""
        try:
            record = json.loads(self._path(key).read_text(encoding="utf-8"))
            record["outputs"], record["notes"] = tuple(record["outputs"]), tuple(record["notes"])
            outcome = Outcome(**record)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if all((self._out / name).is_file() for name in outcome.outputs):
            return replace(outcome, resumed=True)
        return None

    def _path(self, key: str) -> Path:
        return self._receipts / key[:2] / f"{key}.json"


class Report:
    """report.jsonl, a line as soon as a page ends, and report.csv at the close."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines = out / "report.jsonl"
        atomic.write_text(self._lines, "")

    def add(self, outcome: Outcome) -> None:
        """Append one outcome.

        Raises:
            OutputError: the disk is full or not writable.
        """
        line = json.dumps(asdict(outcome), ensure_ascii=False) + "\n"
        try:
            with self._lines.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(line)
        except OSError as error:
            raise atomic.output_error(error, self._lines) from error

    def close(self, outcomes: Iterable[Outcome]) -> None:
        """Write the whole table once more, in input order, as JSON lines and CSV."""
        rows = list(outcomes)
        lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
        data = lines.encode("utf-8", "surrogateescape")
        atomic.write_bytes(self._lines, data)
        table = report_csv(rows).encode("utf-8", "surrogateescape")
        atomic.write_bytes(self._out / "report.csv", table)


def report_csv(outcomes: Iterable[Outcome]) -> str:
    """Return the outcomes as CSV; lists are joined by blanks, formulas are defused."""
    names = [field.name for field in fields(Outcome)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for outcome in outcomes:
        writer.writerow([_cell(getattr(outcome, name)) for name in names])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = " ".join(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str) and value.startswith(_FORMULA_SIGNS):
        return "'" + value
    return value
