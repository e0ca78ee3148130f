"""From the edges of a stroke to the pen's centre line.

A pen of half-width h whose centre moves along y(x) inks every column from min(y) - h to max(y) + h, minimum and
maximum over the column. Where y is monotone in the column its middle value is the middle of the run; where y turns,
the extremum lies h inside the outer edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.runs import Runs

F64 = NDArray[np.float64]


def half_pen(runs: Runs) -> float:
    """Estimate half the pen's width (pixels) from the columns where the stroke runs level."""
    middle, thick = runs.middle, runs.bottom - runs.top
    tilt = np.abs(np.gradient(middle))
    level = runs.seen & np.isfinite(tilt) & (tilt < 0.25)
    chosen = thick[level] if level.sum() >= 20 else thick[runs.seen]
    return float(np.median(chosen)) / 2.0 if len(chosen) else 1.0


def centre_line(runs: Runs, half: float) -> F64:
    """Return the centre line per column; NaN where no ink was seen.

    Args:
        runs: Edges of the stroke.
        half: Half the pen's width in pixels.
    """
    middle = runs.middle
    high, low = runs.top + half, runs.bottom - half
    tight = high > low
    high, low = np.where(tight, middle, high), np.where(tight, middle, low)
    before = np.concatenate([[np.nan], middle[:-1]])
    after = np.concatenate([middle[1:], [np.nan]])
    with np.errstate(invalid="ignore"):
        peak = (before > middle) & (after > middle)
        trough = (before < middle) & (after < middle)
    line: F64 = np.where(peak, high, np.where(trough, low, middle))
    return line
