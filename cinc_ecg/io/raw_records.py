"""WFDB records exactly as the official evaluator reads them: double precision, names untouched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import RecordError
from cinc_ecg.io.records import header_path


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record in its own units.

    Attributes:
        samples: (n_samples, n_leads) float64 in `units`; -32768 reads as NaN.
        fs_hz: Sampling rate.
        units, leads: As spelt in the header.
    """

    samples: NDArray[np.float64]
    fs_hz: float
    units: tuple[str, ...]
    leads: tuple[str, ...]


def read_header_text(record: Path) -> str:
    """Return the text of a record's header, line endings made uniform.

    Raises:
        RecordError: there is none (record_missing), or it cannot be read.
    """
    path = header_path(record)
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        raise RecordError(f"{path}: no such header file", code="record_missing") from None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error


def signal_files(header: str) -> tuple[str, ...]:
    """Return the sample files named in a header, each once."""
    lines = [line for line in header.splitlines() if line.strip() and not line.startswith("#")]
    try:
        n_signals = int(lines[0].split()[1])
    except (IndexError, ValueError):
        return ()
    names = [line.split()[0] for line in lines[1 : 1 + n_signals]]
    return tuple(dict.fromkeys(names))


def read_raw(record: Path) -> RawRecord | None:
    """Read a record with wfdb, or return None when its header or one of its sample files is
    missing.

    Args:
        record: Path without extension.

    Raises:
        RecordError: the files are there but wfdb cannot read them.
    """
    try:
        header = read_header_text(record)
    except RecordError as error:
        if error.reason_code == "record_missing":
            return None
        raise
    files = signal_files(header)
    if not files or not all((record.parent / name).is_file() for name in files):
        return None

    import wfdb  # 0.5 s: kept out of the import of this module

    try:
        samples, fields = wfdb.rdsamp(str(record.resolve()))
    except (
        OSError,
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecordError(f"{record}: samples cannot be read ({reason})") from error
    return RawRecord(
        np.asarray(samples, dtype=np.float64),
        float(fields["fs"]),
        tuple(fields["units"]),
        tuple(fields["sig_name"]),
    )
