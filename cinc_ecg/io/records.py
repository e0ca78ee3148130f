"""WFDB records and the Challenge's headers.

Headers are parsed here, not by the wfdb package, because the Challenge's hidden headers are trimmed
(initial value, checksum and block size are blank) and wfdb rejects them. Samples are read with wfdb
and written here in format 16.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import RecordError
from cinc_ecg.io.atomic import staged
from cinc_ecg.leads import canonical_lead
from cinc_ecg.types import RecordHeader, Signal

#: Digital units per millivolt of everything written here: one microvolt per step.
GAIN = 1000
#: Format 16 keeps this value for "no sample".
MISSING = -32768
MAX_MV = 32767 / GAIN
IMAGE_TAG = "# Image:"
LABEL_TAG = "# Labels:"
_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "nv": 1e-6}
_MAX_HEADER_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What writing a record changed: leads with samples cut to the range of format 16."""

    clipped_leads: tuple[str, ...] = ()


def header_path(path: Path) -> Path:
    """Return the `.hea` file of a record given with or without extension."""
    return path if path.suffix == ".hea" else path.with_name(path.name + ".hea")


def find_records(folder: Path) -> list[str]:
    """Return every record under a folder as a relative path without extension, sorted.

    Symbolic links to folders are not followed, so a loop ends the walk nowhere.
    """
    found = set()
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".hea"):
                found.add(os.path.relpath(os.path.join(base, name), folder)[: -len(".hea")])
    return sorted(found)


def read_header(path: Path) -> RecordHeader:
    """Read a WFDB header, complete or trimmed, with either line ending.

    Args:
        path: Record, with or without `.hea`.

    Raises:
        RecordError: the file is missing (record_missing) or no header (record_unreadable).
    """
    file = header_path(Path(path))
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_HEADER_BYTES)
    except FileNotFoundError:
        raise RecordError(f"{file}: no such header file", code="record_missing") from None
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror})") from error
    return parse_header(data.decode("utf-8", errors="replace"), source=str(file))


def parse_header(text: str, *, source: str = "header") -> RecordHeader:
    """Parse the text of a WFDB header.

    Repeated `# Image:` and `# Labels:` lines add up; items are separated by commas; empty items are
    dropped.

    Raises:
        RecordError: no record line, or a number that is none.
    """
    lines = [line.rstrip() for line in text.replace("\ufeff", "").splitlines()]
    body = [line for line in lines if line and not line.startswith("#")]
    if not body:
        raise RecordError(f"{source}: has no record line; is this a WFDB header?")
    fields = body[0].split()
    try:
        n_leads = int(fields[1])
        fs_hz = float(fields[2].split("/")[0].split("(")[0]) if len(fields) > 2 else 250.0
        n_samples = int(fields[3]) if len(fields) > 3 else 0
    except (IndexError, ValueError):
        raise RecordError(f"{source}: cannot understand the record line {body[0]!r}") from None
    if not (n_leads >= 0 and n_samples >= 0 and 0 < fs_hz < float("inf")):
        raise RecordError(f"{source}: impossible numbers in the record line {body[0]!r}")
    signal_lines = body[1 : 1 + n_leads]
    if len(signal_lines) < n_leads:
        raise RecordError(f"{source}: {n_leads} signals announced, {len(signal_lines)} described")
    images, labels = _tagged(lines, IMAGE_TAG), _tagged(lines, LABEL_TAG)
    return RecordHeader(
        name=fields[0].split("/")[0],
        fs_hz=fs_hz,
        n_samples=n_samples,
        leads=tuple(_lead_name(line, k) for k, line in enumerate(signal_lines)),
        units=tuple(_unit(line) for line in signal_lines),
        images=images or (),
        labels=labels,
        comments=tuple(line[1:].strip() for line in lines if line.startswith("#")),
    )


def _tagged(lines: Iterable[str], tag: str) -> tuple[str, ...] | None:
    """Collect the comma-separated items of all lines with a tag; None when there is no such
    line."""
    found = [line[len(tag) :] for line in lines if line.startswith(tag)]
    if not found:
        return None
    items = (item.strip() for text in found for item in text.split(","))
    return tuple(item for item in items if item)


def _lead_name(line: str, index: int) -> str:
    """Return the lead name of a signal line.

    Full lines have eight fields before it; trimmed ones blank three of them and keep the single
    spaces between; some editors squeeze the blanks, then the last word is the name.
    """
    single = line.split(" ")
    if len(single) > 8 and single[5:8] == ["", "", ""]:
        return " ".join(single[8:]).strip()
    words = line.split(None, 8)
    if len(words) == 9:
        return words[8]
    if len(words) >= 6 and canonical_lead(words[-1]):
        return words[-1]
    return f"signal{index + 1}"


def _unit(line: str) -> str:
    words = line.split()
    gain = words[2] if len(words) > 2 else ""
    return gain.split("/", 1)[1] if "/" in gain else "mV"


def read_signal(path: Path) -> Signal:
    """Read a WFDB record's samples in millivolts, lead names in standard spelling.

    Args:
        path: Record, with or without extension.

    Returns:
        The signal; invalid samples are NaN.

    Raises:
        RecordError: header or sample file missing, damaged, or in a unit that is no voltage.
    """
    import wfdb  # 0.5 s: kept out of the import of this module

    base = Path(path)
    base = base.with_suffix("") if base.suffix in (".hea", ".dat", ".mat") else base
    header = read_header(base)
    try:
        record = wfdb.rdrecord(str(base.resolve()), return_res=64)
        samples = np.asarray(record.p_signal, dtype=np.float64)
    except FileNotFoundError as error:
        name = Path(str(error.filename or "")).name
        raise RecordError(
            f"{base}: its sample file {name} is missing", code="record_missing"
        ) from None
    except (
        OSError,
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise RecordError(f"{base}: samples cannot be read ({_first_line(error)})") from error
    if samples.ndim != 2:
        raise RecordError(f"{base}: the record has no samples")
    scale = np.array([_millivolts_per(unit, base) for unit in record.units])
    names = record.sig_name if all(record.sig_name) else header.leads
    return Signal(
        samples_mv=(samples * scale).astype(np.float32),
        fs_hz=float(record.fs),
        leads=tuple(canonical_lead(name) or name for name in names),
    )


def _millivolts_per(unit: str, base: Path) -> float:
    factor = _MV_PER_UNIT.get((unit or "mV").casefold())
    if factor is None:
        raise RecordError(f"{base}: unit {unit!r} is no voltage", code="record_unit")
    return factor


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def record_name(text: str) -> str:
    """Make a valid WFDB record name of any text: ASCII letters, digits, hyphen and underscore.

    Accents are dropped and other letters become their code point, because readers of WFDB take
    headers for ASCII; blanks and other signs become underscores.
    """
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    letters = (c if c.isascii() or not c.isalnum() else f"u{ord(c):x}" for c in plain)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", "".join(letters)).strip("_") or "record"


def encode_samples(samples_mv: NDArray[np.floating]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Turn millivolts into format-16 integers.

    Args:
        samples_mv: (n_samples, n_leads); NaN and infinities become "no sample".

    Returns:
        The integers, and per lead whether a sample had to be cut to the range.
    """
    scaled = np.asarray(samples_mv, dtype=np.float64) * GAIN
    known = np.isfinite(scaled)
    scaled = np.where(known, np.rint(scaled), 0.0)
    limit = float(-MISSING - 1)
    clipped = np.any(known & (np.abs(scaled) > limit), axis=0)
    integers = np.clip(scaled, -limit, limit).astype(np.int16)
    integers[~known] = MISSING
    return integers, clipped


def header_text(
    name: str, signal: Signal, integers: NDArray[np.int16], comments: Sequence[str] = ()
) -> str:
    """Compose the header of a record whose samples lie in `name`.dat as format 16."""
    lines = [f"{name} {len(signal.leads)} {signal.fs_hz:g} {len(integers)}"]
    for k, lead in enumerate(signal.leads):
        column = integers[:, k]
        first = int(column[0]) if len(column) else 0
        checksum = int(np.sum(column, dtype=np.int64)) & 0xFFFF
        lines.append(f"{name}.dat 16 {GAIN}.0(0)/mV 16 0 {first} {checksum} 0 {lead}")
    lines += [f"# {' '.join(comment.split())}" for comment in comments]
    return "\n".join(lines) + "\n"


def stage_record(
    folder: Path, name: str, signal: Signal, comments: Sequence[str] = ()
) -> WriteReport:
    """Write `name`.dat and `name`.hea into a scratch folder of `atomic.staged`."""
    integers, clipped = encode_samples(signal.samples_mv)
    (folder / f"{name}.dat").write_bytes(integers.astype("<i2").tobytes())
    (folder / f"{name}.hea").write_text(
        header_text(name, signal, integers, comments), encoding="utf-8"
    )
    return WriteReport(tuple(lead for lead, cut in zip(signal.leads, clipped, strict=True) if cut))


def write_record(path: Path, signal: Signal, *, comments: Sequence[str] = ()) -> WriteReport:
    """Write a WFDB record: format 16, gain 1000 per mV, baseline 0; the header appears last.

    Args:
        path: Record without extension, in an existing folder; its name must be a valid record name.
        signal: NaN is kept (-32768); values beyond +-32.767 mV are cut and reported.
        comments: Header comments without the '#'.

    Raises:
        RecordError: the name is not allowed by WFDB (record_name).
        OutputError: the folder cannot be written.
    """
    path = Path(path)
    if record_name(path.name) != path.name:
        raise RecordError(
            f"{path.name!r} is no WFDB record name; use letters, digits, - and _",
            code="record_name",
        )
    with staged(path.parent) as scratch:
        return stage_record(scratch, path.name, signal, comments)
