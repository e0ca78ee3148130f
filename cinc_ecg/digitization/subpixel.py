"""From the edges of a stroke to the pen's centre line.

A round pen of half-width h dilates the curve by a disc. Eroding the upper edge by the same disc
gives the curve back except in valleys narrower than the pen; eroding the lower edge gives it back
except on peaks narrower than the pen. Where both agree the curve is known; where they differ, as
inside a QRS complex whose flanks have run together, the one that stands out from the surrounding
level is right: ink above the level means a peak, ink below it a trough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.runs import Runs
from cinc_ecg.digitization.stroke import NODES_PER_COLUMN

F64 = NDArray[np.float64]

#: The two erosions agree when they differ by less than this many pixels.
_AGREE_PX = 1.5


def centre_line(runs: Runs, half: float) -> F64:
    """Return the centre line at the nodes (`NODES_PER_COLUMN` per column); NaN where no ink is.

    Args:
        runs: Edges of the stroke.
        half: Half the pen's width in pixels.

    Returns:
        (n,) rows, n = NODES_PER_COLUMN * (width - 1) + 1.
    """
    top, bottom = _at_nodes(runs.top), _at_nodes(runs.bottom)
    upper, lower = _erode(top, half), -_erode(-bottom, half)
    middle = (top + bottom) / 2.0
    known = np.isfinite(middle)
    agree = known & (np.abs(lower - upper) < _AGREE_PX)
    if agree.sum() < 2:
        return middle
    anchor = np.where(agree, 0.5 * (upper + lower), middle)
    level = np.interp(np.arange(len(middle)), np.flatnonzero(agree), anchor[agree])
    above, below = np.maximum(level - upper, 0.0), np.maximum(lower - level, 0.0)
    # 0 = upper edge decides, 1 = lower edge decides, between them in the undecided range
    lean = np.clip(1.5 * below / np.maximum(above + below, 1e-9) - 0.25, 0.0, 1.0)
    line: F64 = np.where(agree, anchor, upper + lean * (lower - upper))
    return line


def _at_nodes(values: F64) -> F64:
    """Interpolate values per column at the nodes; a node beside a missing column is missing."""
    n = NODES_PER_COLUMN * (len(values) - 1) + 1
    position = np.arange(n) / NODES_PER_COLUMN
    left = np.minimum(position.astype(int), len(values) - 2)
    share = position - left
    out: F64 = np.where(
        share == 0.0, values[left], values[left] * (1.0 - share) + values[left + 1] * share
    )
    out[-1] = values[-1]
    return out


def _erode(top: F64, half: float) -> F64:
    """Return max over |u| <= half of top(x + u) + sqrt(half^2 - u^2), y down, NaN ignored."""
    known = np.isfinite(top)
    padded = np.where(known, top, -np.inf)
    reach = int(np.floor(half * NODES_PER_COLUMN))
    out = np.full(len(top), -np.inf)
    for step in range(-reach, reach + 1):
        lift = np.sqrt(half**2 - (step / NODES_PER_COLUMN) ** 2)
        moved = np.full(len(top), -np.inf)
        if step >= 0:
            moved[: len(top) - step] = padded[step:]
        else:
            moved[-step:] = padded[:step]
        np.maximum(out, moved + lift, out=out)
    return np.where(known, out, np.nan)
