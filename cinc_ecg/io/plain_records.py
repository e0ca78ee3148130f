"""Read WFDB samples with NumPy alone: formats 16, 24, 32, 61, 80, 160 and 212.

Training must run where the wfdb package is not installed, and these formats cover the Challenge's
records and those of the public collections it draws on. Format numbers and header fields as in the
WFDB Applications Guide, signal(5) and header(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import RecordError
from cinc_ecg.io.raw_records import read_header_text
from cinc_ecg.io.records import read_header
from cinc_ecg.leads import canonical_lead
from cinc_ecg.types import RecordHeader, Signal

_FORMAT = re.compile(r"(?P<code>\d+)(?:x(?P<per_frame>\d+))?(?::\d+)?(?:\+(?P<offset>\d+))?$")
_GAIN = re.compile(r"(?P<gain>[-+.\deE]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?$")
#: Gain in steps per millivolt where a header gives none.
_DEFAULT_GAIN = 200.0
_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "nv": 1e-6}


@dataclass(frozen=True, slots=True)
class _Channel:
    """One signal line of a header."""

    file: str
    code: int
    offset: int
    gain: float
    baseline: int
    mv_per_unit: float


def read_plain(path: Path, header: RecordHeader | None = None) -> Signal:
    """Read a record's samples in millivolts without the wfdb package.

    Args:
        path: Record, with or without `.hea`.
        header: Its header, if it was read before.

    Returns:
        (n_samples, n_leads) float32 at the header's rate, standard lead names, NaN = no sample.

    Raises:
        RecordError: a file is missing (record_missing), a format is not supported (record_format),
            a unit is no voltage (record_unit), or the file is damaged (record_unreadable).
    """
    base = Path(path)
    base = base.with_suffix("") if base.suffix == ".hea" else base
    header = header or read_header(base)
    channels = _channels(base)
    by_file: dict[str, list[int]] = {}
    for index, channel in enumerate(channels):
        by_file.setdefault(channel.file, []).append(index)
    columns: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(channels)
    for name, members in by_file.items():
        first = channels[members[0]]
        digital = _samples(base.parent / name, first, len(members))
        for position, index in enumerate(members):
            columns[index] = _millivolts(digital[:, position], channels[index])
    if not columns:
        raise RecordError(f"{base}: the header describes no signals")
    n_samples = header.n_samples or min(len(column) for column in columns)
    if any(len(column) < n_samples for column in columns):
        raise RecordError(f"{base}: the sample file ends before {n_samples} samples")
    return Signal(
        np.stack([column[:n_samples] for column in columns], axis=1),
        header.fs_hz,
        tuple(canonical_lead(name) or name for name in header.leads),
    )


def has_samples(path: Path) -> bool:
    """Tell whether every sample file that a record's header names exists."""
    try:
        channels = _channels(Path(path))
    except RecordError:
        return False
    return bool(channels) and all((path.parent / channel.file).is_file() for channel in channels)


def _channels(base: Path) -> list[_Channel]:
    lines = [
        line
        for line in read_header_text(base).splitlines()
        if line.strip() and not line.startswith("#")
    ]
    try:
        n_signals = int(lines[0].split()[1])
    except (IndexError, ValueError):
        raise RecordError(f"{base}: cannot understand the record line") from None
    return [_channel(line, base) for line in lines[1 : 1 + n_signals]]


def _channel(line: str, base: Path) -> _Channel:
    words = line.split()
    layout = _FORMAT.match(words[1]) if len(words) > 1 else None
    gain = _GAIN.match(words[2]) if len(words) > 2 else None
    if layout is None or (len(words) > 2 and gain is None):
        raise RecordError(f"{base}: cannot understand the signal line {line.strip()!r}")
    code = int(layout["code"])
    if code not in _READERS or (layout["per_frame"] or "1") != "1":
        raise RecordError(
            f"{base}: signal format {words[1]} is not supported here; "
            f"rewrite the record in format 16 (rdsamp and wrsamp do that)",
            code="record_format",
        )
    zero = int(words[4]) if len(words) > 4 and re.fullmatch(r"-?\d+", words[4]) else 0
    unit = (gain["unit"] if gain else None) or "mV"
    factor = _MV_PER_UNIT.get(unit.casefold())
    if factor is None:
        raise RecordError(f"{base}: unit {unit!r} is no voltage", code="record_unit")
    baseline = gain["baseline"] if gain else None
    return _Channel(
        file=words[0],
        code=code,
        offset=int(layout["offset"] or 0),
        gain=(float(gain["gain"]) if gain else 0.0) or _DEFAULT_GAIN,
        baseline=zero if baseline is None else int(baseline),
        mv_per_unit=factor,
    )


def _samples(path: Path, channel: _Channel, n_channels: int) -> NDArray[np.float64]:
    """Return (n, n_channels) digital values, NaN where the format's mark for "no sample" stands."""
    try:
        data = path.read_bytes()[channel.offset :]
    except FileNotFoundError:
        raise RecordError(f"{path}: the sample file is missing", code="record_missing") from None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    read, missing = _READERS[channel.code]
    values = read(data)
    values = values[: len(values) // n_channels * n_channels]
    return np.where(values == missing, np.nan, values.astype(float)).reshape(-1, n_channels)


def _millivolts(digital: NDArray[np.float64], channel: _Channel) -> NDArray[np.float32]:
    scaled = (digital - channel.baseline) / channel.gain * channel.mv_per_unit
    return scaled.astype(np.float32)


def _words(dtype: str) -> Callable[[bytes], NDArray[np.int64]]:
    size = np.dtype(dtype).itemsize

    def read(data: bytes) -> NDArray[np.int64]:
        return np.frombuffer(data[: len(data) // size * size], dtype).astype(np.int64)

    return read


def _offset_words(dtype: str, zero: int) -> Callable[[bytes], NDArray[np.int64]]:
    plain = _words(dtype)
    return lambda data: plain(data) - zero


def _read_24(data: bytes) -> NDArray[np.int64]:
    parts = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64)
    return _signed(parts @ np.array([1, 1 << 8, 1 << 16]), 24)


def _read_212(data: bytes) -> NDArray[np.int64]:
    """Unpack pairs of 12-bit values held in three bytes; a lone last value takes two."""
    padded = data + b"\0" * (-len(data) % 3)
    parts = np.frombuffer(padded, np.uint8).reshape(-1, 3).astype(np.int64)
    first = parts[:, 0] | (parts[:, 1] & 0x0F) << 8
    second = parts[:, 2] | (parts[:, 1] & 0xF0) << 4
    values = np.stack([first, second], axis=1).ravel()
    return _signed(values[: len(data) * 2 // 3], 12)


def _signed(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values)


#: Format -> how to read it, and the value that stands for "no sample".
_READERS: dict[int, tuple[Callable[[bytes], NDArray[np.int64]], int]] = {
    16: (_words("<i2"), -(1 << 15)),
    24: (_read_24, -(1 << 23)),
    32: (_words("<i4"), -(1 << 31)),
    61: (_words(">i2"), -(1 << 15)),
    80: (_offset_words("u1", 128), -128),
    160: (_offset_words("<u2", 1 << 15), -(1 << 15)),
    212: (_read_212, -(1 << 11)),
}
