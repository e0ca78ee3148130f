"""Recordings to draw training strips from, split by recording: a training and a held-out part."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import InputError, RecordError
from cinc_ecg.io.records import find_records, read_signal
from cinc_ecg.leads import LEADS, canonical_lead
from cinc_ecg.signals import fill_gaps, resample
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.types import Signal

log = logging.getLogger(__name__)

#: Rate and length of every recording in a pool.
FS_HZ = 500.0
DURATION_S = 10.0
#: Of 256 hash values, this many mean "held out": a quarter of the recordings.
_HELD_OUT = 64
_LARGEST_MV = 15.0


@dataclass(frozen=True, slots=True)
class SignalPool:
    """Twelve-lead recordings of one rate and length.

    Attributes:
        samples_mv: (n, 12, 5000) float16, leads in standard order, no NaN.
        names: (n,) names of the recordings; simulated ones are "simulated/<seed>".
    """

    samples_mv: NDArray[np.float16]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> None:
        """Write the pool as one NumPy archive, so that training needs no record reader."""
        np.savez(path, samples_mv=self.samples_mv, names=np.array(self.names))


def is_held_out(record: str) -> bool:
    """Tell whether a recording belongs to the held-out part.

    The SHA-256 of the record's bare name decides, so the split does not depend on folders, order or
    which other recordings are there.
    """
    return hashlib.sha256(Path(record).name.encode()).digest()[0] < _HELD_OUT


def load_pool(path: Path) -> SignalPool:
    """Read a pool written by `SignalPool.save`.

    Raises:
        InputError: The file is missing or no pool.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return SignalPool(file["samples_mv"], tuple(str(n) for n in file["names"]))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is no signal pool ({error})") from None


def read_pool(folder: Path, *, held_out: bool = False, limit: int | None = None) -> SignalPool:
    """Read one part of the recordings under a folder.

    Recordings without the twelve leads, shorter than ten seconds or with gaps are passed over, with
    a line in the log.

    Args:
        folder: WFDB records, searched recursively.
        held_out: Which part of the split.
        limit: Greatest number of recordings.

    Raises:
        InputError: No usable recording.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give one with WFDB records")
    rows: list[NDArray[np.float16]] = []
    names: list[str] = []
    for record in find_records(folder):
        if is_held_out(record) != held_out:
            continue
        if limit is not None and len(names) >= limit:
            break
        try:
            samples = _twelve_leads(read_signal(folder / record))
        except RecordError as error:
            log.warning("%s: passed over (%s)", record, error)
            continue
        if samples is None:
            log.info("%s: passed over (leads, length or gaps)", record)
            continue
        rows.append(samples)
        names.append(record)
    if not rows:
        raise InputError(f"{folder}: holds no usable 12-lead recording of {DURATION_S:g} s")
    return SignalPool(np.stack(rows), tuple(names))


def pool_of(signals: Iterable[tuple[str, Signal]]) -> SignalPool | None:
    """Return the named signals that have twelve leads, ten seconds and no gap; None without any."""
    rows = [(name, _twelve_leads(signal)) for name, signal in signals]
    kept = [(name, samples) for name, samples in rows if samples is not None]
    if not kept:
        return None
    return SignalPool(np.stack([samples for _, samples in kept]), tuple(name for name, _ in kept))


def simulated_pool(n: int, seed: int) -> SignalPool:
    """Simulate `n` recordings."""
    rng = np.random.default_rng(seed)
    seeds = [int(s) for s in rng.integers(2**31, size=n)]
    samples = [_twelve_leads(simulate(seed=s)) for s in seeds]
    kept = [(s, x) for s, x in zip(seeds, samples, strict=True) if x is not None]
    return SignalPool(np.stack([x for _, x in kept]), tuple(f"simulated/{s}" for s, _ in kept))


def join(pools: Sequence[SignalPool]) -> SignalPool:
    """Put pools together."""
    samples = np.concatenate([pool.samples_mv for pool in pools])
    return SignalPool(samples, tuple(name for pool in pools for name in pool.names))


def _twelve_leads(signal: Signal) -> NDArray[np.float16] | None:
    """Return the first ten seconds (12, 5000), or None when something is missing."""
    columns = {canonical_lead(name): k for k, name in enumerate(signal.leads)}
    n = round(DURATION_S * signal.fs_hz)
    if set(LEADS) - set(columns) or len(signal.samples_mv) < n:
        return None
    samples = signal.samples_mv[:n, [columns[lead] for lead in LEADS]]
    if not np.isfinite(samples).all():
        return None
    samples = resample(samples, signal.fs_hz, FS_HZ, round(DURATION_S * FS_HZ))
    # Of a slower recording nothing is known after its last sample: it is held for a moment.
    samples = np.stack([fill_gaps(lead) for lead in samples.T], axis=1)
    level = np.median(samples, axis=0)
    return np.clip(samples - level, -_LARGEST_MV, _LARGEST_MV).T.astype(np.float16)
