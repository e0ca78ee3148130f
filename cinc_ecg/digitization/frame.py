"""The rectangle of the traces: its rows, and where they start and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cinc_ecg.digitization.rows import Row
from cinc_ecg.errors import LayoutNotFound
from cinc_ecg.types import Pulse, Separator

#: Pulses and traces farther apart than this are not joined: the pen was lifted in between.
_JOINED_MM = 1.5
#: Places within this of each other are one place.
_SAME_MM = 0.6
#: The frame is moved onto ticks that are at most so far from where it has its columns' edges, if at
#: least so many ticks agree on the way, and this share of all.
_FARTHEST_MM = 8.0
_LEAST_TICKS, _LEAST_SHARE = 3, 0.7
#: Columns a row may have.
_COLUMNS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle of the traces: rows from top to bottom, and where they start and end.

    Attributes:
        rows: Trace rows.
        x0_mm, x1_mm: Page x of the traces' common start (after any pulse) and end.
        start_is_sharp: The start is the far side of several calibration pulses, or where several
            traces set in beyond a gap behind them.
    """

    rows: tuple[Row, ...]
    x0_mm: float
    x1_mm: float
    start_is_sharp: bool = False


def frame_of(rows: Sequence[Row], pulses: Sequence[Pulse]) -> Frame:
    """Drop rows of another extent, cut the pulses off, and agree on one start and end.

    Raises:
        LayoutNotFound: No rows.
    """
    if not rows:
        raise LayoutNotFound(
            "no trace rows were found on the page; is the trace darker than the grid?"
        )
    middle = np.median([(row.x0_mm + row.x1_mm) / 2 for row in rows])
    length = np.median([row.x1_mm - row.x0_mm for row in rows])
    kept = [
        row
        for row in rows
        if abs((row.x0_mm + row.x1_mm) / 2 - middle) < 0.25 * length
        and row.x1_mm - row.x0_mm > 0.5 * length
    ]
    kept = kept or list(rows)
    x0 = float(np.median([row.x0_mm for row in kept]))
    x1 = float(np.median([row.x1_mm for row in kept]))
    near_rows = [p for p in pulses if min(abs(p.foot_mm - row.baseline_mm) for row in kept) < 6.0]
    left = [p.x1_mm for p in near_rows if p.x0_mm < x0 + 12.0]
    right = [p.x0_mm for p in near_rows if p.x1_mm > x1 - 12.0 and p.x0_mm > middle]
    sharp = False
    if len(left) >= max(1, len(kept) // 3):
        set_in = _set_in(kept, float(np.median(left)))
        x0 = float(np.median(set_in or left))
        sharp = bool(set_in) or (len(left) >= 2 and float(np.ptp(left)) < 0.5)
    if len(right) >= max(1, len(kept) // 3):
        x1 = float(np.median(right))
    return Frame(tuple(kept), x0, x1, sharp)


def _set_in(rows: Sequence[Row], pulses_end_mm: float) -> list[float]:
    """Return where traces set in beyond a gap behind the pulses, if most of the rows agree on it.

    Some devices lift the pen between pulse and trace: a row's ink, as found, begins at its trace.
    """
    starts = np.array([row.x0_mm for row in rows])
    first = float(np.median(starts))
    agreeing = starts[np.abs(starts - first) < _JOINED_MM / 2]
    apart = first > pulses_end_mm + _JOINED_MM
    return [float(x) for x in agreeing] if apart and 2 * len(agreeing) > len(rows) else []


def snap_width(
    frame: Frame, expected_mm: Sequence[float], separators: Sequence[Separator] = ()
) -> Frame:
    """Make the frame exactly as wide as one of the usual widths when it is within 2.5 % of it.

    Ticks between the columns place it best. Without them the far sides of calibration pulses do,
    where the traces start there; otherwise the traces' end is kept: nothing is printed after it,
    whereas name and first beat crowd at the start.
    """
    width = frame.x1_mm - frame.x0_mm
    best = min(expected_mm, key=lambda w: abs(np.log(width / w)))
    if abs(np.log(width / best)) > 0.025:
        return frame
    if frame.start_is_sharp:
        snapped = replace(frame, x1_mm=frame.x0_mm + best)
    else:
        snapped = replace(frame, x0_mm=frame.x1_mm - best)
    shift = _shift_to_ticks(snapped, separators)
    return replace(snapped, x0_mm=snapped.x0_mm + shift, x1_mm=snapped.x1_mm + shift)


def _shift_to_ticks(frame: Frame, separators: Sequence[Separator]) -> float:
    """Return how far the frame has to move for its columns' edges to meet the ticks; 0 if they do.

    Ends of traces are told from their ink, which a margin, a pulse at the end or the edge of the
    paper may hide or feign; a tick is where the device changed the lead.
    """
    ticks = np.array([tick.x_mm for tick in separators])
    best, most = 0.0, max(_LEAST_TICKS, _LEAST_SHARE * len(ticks))
    for n in _COLUMNS:
        inner = np.linspace(frame.x0_mm, frame.x1_mm, n + 1)[1:-1]
        shifts = (ticks[:, None] - inner).ravel()
        shifts = shifts[np.abs(shifts) < _FARTHEST_MM]
        for shift in shifts:
            agreeing = shifts[np.abs(shifts - shift) < _SAME_MM]
            if len(agreeing) > most or (len(agreeing) == most and not best):
                best, most = float(np.median(agreeing)), len(agreeing)
    return best if abs(best) > _SAME_MM else 0.0
