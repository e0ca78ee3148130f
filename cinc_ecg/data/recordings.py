"""Find what a Challenge folder offers for training: signals, pictures, labels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cinc_ecg.data.labels import unified_label
from cinc_ecg.errors import CincEcgError, RecordError
from cinc_ecg.io.plain_records import has_samples, read_plain
from cinc_ecg.io.records import find_records, header_path, read_header
from cinc_ecg.leads import LEADS, canonical_lead
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.types import Note, RecordHeader, Signal

_LOG = logging.getLogger(__name__)
_PATIENT_TAGS = ("patient", "patient id", "patient_id")
_MAX_MV = 30.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One record as training sees it.

    Attributes:
        name: Path relative to the data folder, or "simulated-N".
        path: Record without extension; None when it is simulated.
        header: Its header; None when it is simulated.
        images: Pictures that exist.
        labels: None when the header has no line for them.
        group: What must not be spread over folds: the patient where known, else the record.
        has_signal: Whether its samples can be had.
        simulation_seed: Seed of a simulated record.
        signal: Its samples where they were made otherwise (digitized from its pictures).
    """

    name: str
    path: Path | None
    header: RecordHeader | None
    images: tuple[Path, ...]
    labels: tuple[str, ...] | None
    group: str
    has_signal: bool = True
    simulation_seed: int = 0
    signal: Signal | None = None

    def read(self) -> Signal:
        """Return the twelve leads in standard order, (n, 12) mV; NaN where unknown or absurd.

        Raises:
            RecordError: the samples cannot be read, or none of the twelve leads is there.
        """
        if self.signal is not None:
            return standard_leads(self.signal, self.name)
        if self.path is None:
            return simulate(EcgSettings(), seed=self.simulation_seed)
        return standard_leads(read_plain(self.path, self.header), str(self.path))


def standard_leads(signal: Signal, source: str = "record") -> Signal:
    """Put the leads into standard order; leads that are missing become NaN columns.

    Raises:
        RecordError: none of the twelve leads is there.
    """
    samples = np.full((len(signal.samples_mv), len(LEADS)), np.nan, np.float32)
    found = 0
    for column, name in enumerate(signal.leads):
        lead = canonical_lead(name)
        if lead in LEADS:
            samples[:, LEADS.index(lead)] = signal.samples_mv[:, column]
            found += 1
    if not found:
        raise RecordError(f"{source}: has none of the twelve leads")
    samples[~(np.abs(samples) < _MAX_MV)] = np.nan
    return Signal(samples, signal.fs_hz, LEADS)


def read_folder(folder: Path) -> tuple[list[Recording], list[Note]]:
    """List every usable record under a folder; what cannot be used is named in a note.

    Missing pictures, missing labels and unknown demographics are no reason to leave a record out;
    a broken header, or neither samples nor pictures, is.

    Raises:
        RecordError: the folder does not exist or holds no record (no_records).
    """
    names = find_records(Path(folder))
    if not names:
        raise RecordError(f"{folder}: no records (*.hea) to train on", code="no_records")
    recordings, notes = [], []
    for name in names:
        path = Path(folder) / name
        try:
            header = read_header(path)
        except CincEcgError as error:
            notes.append(Note(error.reason_code, "warning", name, str(error)))
            continue
        present = tuple(path.parent / image for image in header.images)
        images = tuple(image for image in present if image.is_file())
        for image in set(present) - set(images):
            notes.append(Note("image_missing", "warning", name, f"{image}: no such picture"))
        has_signal = has_samples(path)
        if not has_signal and not images:
            text = f"{path}: neither samples nor pictures"
            notes.append(Note("record_missing", "warning", name, text))
            continue
        group = _patient(header) or name
        recordings.append(
            Recording(name, path, header, images, header.labels or None, group, has_signal)
        )
    return recordings, notes


def relabelled(
    recordings: Iterable[Recording], table: Mapping[str, str], dataset: str = ""
) -> list[Recording]:
    """Return the recordings with the labels of a table (`labels.read_label_table`)."""
    return [
        replace(entry, labels=(unified_label(table, entry.name, dataset),)) for entry in recordings
    ]


def simulated(n_records: int, seed: int) -> list[Recording]:
    """Return recordings that are simulated when read."""
    seeds = np.random.SeedSequence(seed).generate_state(max(n_records, 1))
    return [
        Recording(f"simulated-{k}", None, None, (), None, f"simulated-{k}", True, int(seeds[k]))
        for k in range(n_records)
    ]


def fingerprint(recordings: Iterable[Recording]) -> str:
    """Return a SHA-256 of the data: names, headers (with their checksums), sizes of pictures."""
    digest = hashlib.sha256()
    for recording in sorted(recordings, key=lambda entry: entry.name):
        digest.update(recording.name.encode())
        if recording.path is None:
            digest.update(str(recording.simulation_seed).encode())
            continue
        digest.update(header_path(recording.path).read_bytes())
        for image in recording.images:
            digest.update(f"{image.name}:{image.stat().st_size}".encode())
    return digest.hexdigest()


def report_notes(notes: Sequence[Note]) -> None:
    """Log each note once, then the count per code."""
    for note in notes:
        _LOG.info("[%s] %s", note.code, note.text)
    codes = [note.code for note in notes]
    for code in sorted(set(codes)):
        _LOG.warning("[%s] %d in the training data", code, codes.count(code))


def _patient(header: RecordHeader) -> str | None:
    for comment in header.comments:
        tag, colon, value = comment.partition(":")
        if colon and tag.strip().casefold() in _PATIENT_TAGS and value.strip():
            return f"patient {value.strip()}"
    return None
