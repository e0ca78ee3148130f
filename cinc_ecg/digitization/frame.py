"""The rectangle of the traces: its rows, and where they start and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cinc_ecg.digitization.rows import Row
from cinc_ecg.errors import LayoutNotFound
from cinc_ecg.types import Pulse


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle of the traces: rows from top to bottom, and where they start and end.

    Attributes:
        rows: Trace rows.
        x0_mm, x1_mm: Page x of the traces' common start (after any pulse) and end.
        start_is_sharp: The start is the far side of several calibration pulses.
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
    ends = np.array([row.x1_mm for row in rows])
    starts = np.array([row.x0_mm for row in rows])
    middle = np.median([(row.x0_mm + row.x1_mm) / 2 for row in rows])
    length = np.median(ends - starts)
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
        x0 = float(np.median(left))
        sharp = len(left) >= 2 and float(np.ptp(left)) < 0.5
    if len(right) >= max(1, len(kept) // 3):
        x1 = float(np.median(right))
    return Frame(tuple(kept), x0, x1, sharp)


def snap_width(frame: Frame, expected_mm: Sequence[float]) -> Frame:
    """Make the frame exactly as wide as one of the usual widths when it is within 2.5 % of it.

    Where calibration pulses end right at the traces' start they fix it best; otherwise the traces'
    end is kept: nothing is printed after it, whereas name and first beat crowd at the start.
    """
    width = frame.x1_mm - frame.x0_mm
    best = min(expected_mm, key=lambda w: abs(np.log(width / w)))
    if abs(np.log(width / best)) > 0.025:
        return frame
    if frame.start_is_sharp:
        return replace(frame, x1_mm=frame.x0_mm + best)
    return replace(frame, x0_mm=frame.x1_mm - best)
