"""Records through the wfdb package itself, for the Challenge's own interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.io.atomic import staged


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the samples of each channel are stored, as a header states it."""

    fs_hz: float
    leads: tuple[str, ...]
    units: tuple[str, ...]
    formats: tuple[str, ...]
    gains: tuple[float, ...]
    baselines: tuple[int, ...]


def read_with_fields(record: Path) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return samples and header fields exactly as `wfdb.rdsamp` does."""
    import wfdb

    samples, fields = wfdb.rdsamp(str(record))
    return samples, fields


def rewrite_record(
    record: Path, samples: NDArray[np.floating], encoding: Encoding, comments: Sequence[str] = ()
) -> None:
    """Write a record with a stated encoding; samples first, header last, nothing half-written.

    Args:
        record: Path without extension.
        samples: (n_samples, n_leads) in the encoding's units; NaN becomes "no sample".
        encoding: As read from the header it replaces.
        comments: Without the '#'.

    Raises:
        ValueError, IndexError: wrong number of columns, or a value the format cannot hold.
        OutputError: the folder cannot be written.
    """
    import wfdb

    with staged(record.parent) as scratch:
        wfdb.wrsamp(
            record.name,
            fs=encoding.fs_hz,
            units=list(encoding.units),
            sig_name=list(encoding.leads),
            p_signal=np.asarray(samples, dtype=np.float64),
            fmt=list(encoding.formats),
            adc_gain=list(encoding.gains),
            baseline=list(encoding.baselines),
            comments=list(comments),
            write_dir=str(scratch),
        )
