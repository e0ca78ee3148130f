"""Strips of a Challenge folder: its pictures with its signals, split by patient."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cinc_ecg.data.page_strips import RowStrip, page_rows
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import CincEcgError, RecordError
from cinc_ecg.io.images import read_pages
from cinc_ecg.types import Signal, StripReader

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class PageRows:
    """What a folder's pictures gave.

    Attributes:
        training, held_out: Rows with their true lines.
        counts: Pages and rows, used and left out, by reason.
    """

    training: list[RowStrip] = field(default_factory=list)
    held_out: list[RowStrip] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def split_groups(
    recordings: Sequence[Recording], share: float, seed: int
) -> tuple[list[Recording], list[Recording]]:
    """Split by patient (where known, else by record) into a training and a held-out part.

    The order of both parts is random but fixed, by hashes. Of two groups or more at least one is
    held out; a lone one is trained on.

    Args:
        recordings: To split.
        share: Of the groups to hold out.
        seed: Another split.
    """
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.group, []).append(recording)
    order = sorted(groups, key=lambda g: hashlib.sha256(f"{seed} {g}".encode()).digest())
    n = min(max(1, round(share * len(order))), len(order) - 1) if order else 0
    training, held_out = ([r for g in part for r in groups[g]] for part in (order[n:], order[:n]))
    return training, held_out


def read_page_rows(
    training: Sequence[Recording],
    held_out: Sequence[Recording],
    reader: StripReader,
    *,
    max_pages: int,
    budget_s: float,
    width_px: int,
) -> PageRows:
    """Read pictures until the time is over: every record's first picture, then the second ones.

    Pictures that cannot be read, or do not show their record's signal, are counted, logged and left
    out, as are rows without `width_px` columns in a row whose line is known.

    Args:
        training, held_out: Records with signals; every fourth page or so comes from the latter.
        reader: Reads the rows to find the place in time.
        max_pages, budget_s: Limits; a page is not begun when it would end too late.
        width_px: Of the windows that will be cut.
    """
    found = PageRows()
    begin, slowest = time.monotonic(), 0.0
    for recording, path, is_held_out in _in_turn(training, held_out):
        now = time.monotonic()
        if found.counts["pages"] >= max_pages or now + slowest - begin >= budget_s:
            _LOG.info("[time] no more than %d pages were read", found.counts["pages"])
            break
        rows = _read_picture(recording, path, reader, found.counts)
        usable = [row for row in rows if len(row.starts(width_px))]
        (found.held_out if is_held_out else found.training).extend(usable)
        slowest = max(slowest, time.monotonic() - now)
    if found.counts["pages"]:
        _LOG.info("strips of pages: %s", dict(found.counts))
    return found


def _in_turn(
    training: Sequence[Recording], held_out: Sequence[Recording]
) -> Iterator[tuple[Recording, Path, bool]]:
    """Yield (record, picture, whether held out), the parts mixed in their proportion."""
    parts = [list(_pictures(training)), list(_pictures(held_out))]
    # One of the held-out part comes second, so that short runs can judge themselves too.
    every = max(2, round(sum(map(len, parts)) / max(len(parts[1]), 1)))
    number = 0
    while parts[0] or parts[1]:
        is_held_out = bool(parts[1]) and (number % every == 1 or not parts[0])
        recording, path = parts[is_held_out].pop(0)
        yield recording, path, is_held_out
        number += 1


def _pictures(recordings: Iterable[Recording]) -> Iterator[tuple[Recording, Path]]:
    given = [r for r in recordings if r.has_signal and r.signal is None]
    for turn in range(max((len(r.images) for r in given), default=0)):
        yield from ((r, r.images[turn]) for r in given if turn < len(r.images))


def _read_picture(
    recording: Recording, path: Path, reader: StripReader, counts: Counter[str]
) -> list[RowStrip]:
    rows: list[RowStrip] = []
    try:
        signal = recording.read()
        for image in read_pages(path):
            counts["pages"] += 1
            used, found = page_rows(image, signal, reader, _duration_s(signal))
            counts["rows"] += found
            counts["rows_used"] += len(used)
            if not used:
                text = f"{path}: does not show the samples of its record, as far as it can be read"
                raise RecordError(text, code="signal_differs")
            counts["pages_used"] += 1
            rows += used
    except CincEcgError as error:
        counts[f"left_out:{error.reason_code}"] += 1
        _LOG.warning("[%s] %s", error.reason_code, error)
    except Exception:  # noqa: BLE001 - one picture must not stop a training; it is logged
        counts["left_out:internal"] += 1
        _LOG.exception("[internal] %s: unexpected error; this picture is left out", path)
    return rows


def _duration_s(signal: Signal) -> float | None:
    return len(signal.samples_mv) / signal.fs_hz or None
