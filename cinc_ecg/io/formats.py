"""Result files of one digitized page: WFDB, CSV, NPZ and the JSON sidecar, all or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cinc_ecg.errors import ConfigError
from cinc_ecg.io.atomic import staged
from cinc_ecg.io.records import record_name, stage_record
from cinc_ecg.io.sidecar import dump_json, sidecar
from cinc_ecg.types import Digitization, Note, Signal

FORMATS = ("wfdb", "csv", "npz", "json")
_SUFFIXES = {"wfdb": (".dat", ".hea"), "csv": (".csv",), "npz": (".npz",), "json": (".json",)}
#: A spreadsheet runs a cell that starts with one of these.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def write_outputs(
    digitization: Digitization,
    folder: Path,
    stem: str,
    formats: Sequence[str] = FORMATS,
    *,
    source: dict[str, Any] | None = None,
    comments: Sequence[str] = (),
    extra_files: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Write one result in several formats; either all files appear or none.

    Args:
        digitization: The result.
        folder: Existing output folder.
        stem: Base name; made a valid WFDB record name for all files alike.
        formats: Any of `FORMATS`.
        source: Where the picture came from, for the sidecar.
        comments: Comments of the WFDB header, without the '#'.
        extra_files: Further files to publish together, as suffix (".overlay.png") -> content.

    Returns:
        The files written; the WFDB header is the last to appear.

    Raises:
        ConfigError: unknown format.
        OutputError: the folder cannot be written or the disk is full.
    """
    check_formats(formats)
    name = record_name(stem)
    notes: tuple[Note, ...] = ()
    with staged(folder) as scratch:
        if "wfdb" in formats:
            report = stage_record(scratch, name, digitization.signal, comments)
            notes = tuple(_clip_note(lead) for lead in report.clipped_leads)
        if "csv" in formats:
            (scratch / f"{name}.csv").write_text(csv_text(digitization.signal), encoding="utf-8")
        if "npz" in formats:
            _stage_npz(scratch / f"{name}.npz", digitization.signal)
        if "json" in formats:
            text = dump_json(sidecar(digitization, source=source, extra_notes=notes))
            (scratch / f"{name}.json").write_text(text, encoding="utf-8")
        for suffix, content in (extra_files or {}).items():
            (scratch / f"{name}{suffix}").write_bytes(content)
        written = [folder / path.name for path in sorted(scratch.iterdir())]
    return written


def check_formats(formats: Sequence[str], known: Sequence[str] = FORMATS) -> None:
    """Refuse format names that are not known.

    Raises:
        ConfigError: names the unknown ones and the choices.
    """
    unknown = [name for name in formats if name not in known]
    if unknown:
        raise ConfigError(
            f"unknown format {', '.join(unknown)}; choose from {', '.join(known)}",
            code="format_unknown",
        )


def output_suffixes(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the file suffixes that the formats produce."""
    return tuple(suffix for name in formats for suffix in _SUFFIXES.get(name, ()))


def _clip_note(lead: str) -> Note:
    return Note(
        "clipped", "warning", lead, f"Samples of {lead} beyond 32.767 mV were cut in the WFDB file."
    )


def csv_text(signal: Signal) -> str:
    """Return a table with the column time_s and one column per lead in mV; a gap is an empty cell.

    Four decimals of a millivolt are a tenth of a microvolt.
    """
    header = ["time_s", *(safe_cell(f"{lead}_mV") for lead in signal.leads)]
    times = np.arange(len(signal.samples_mv)) / signal.fs_hz
    lines = [",".join(header)]
    for time, row in zip(times.tolist(), signal.samples_mv.tolist(), strict=True):
        cells = (f"{value:.4f}" if math.isfinite(value) else "" for value in row)
        lines.append(f"{time:.6f}," + ",".join(cells))
    return "\n".join(lines) + "\n"


def safe_cell(text: str) -> str:
    """Quote a text cell for CSV so that no spreadsheet runs it as a formula."""
    if text.startswith(_FORMULA_SIGNS):
        text = "'" + text
    if any(sign in text for sign in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text


def _stage_npz(path: Path, signal: Signal) -> None:
    arrays: dict[str, Any] = {
        "samples_mv": signal.samples_mv,
        "fs_hz": np.float64(signal.fs_hz),
        "leads": np.array(signal.leads),
    }
    if signal.sigma_mv is not None:
        arrays["sigma_mv"] = signal.sigma_mv
    np.savez_compressed(path, **arrays)
