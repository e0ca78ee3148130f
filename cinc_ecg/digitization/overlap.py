"""Rows whose strokes touch: which part of a shared run of ink belongs to which row.

Rows are compared in pairs, upper and lower. Where the runs on their two paths are one piece of ink,
the columns before and after the contact tell what happened: a row that runs level through the
contact is crossed by a wave of the other, which then owns the ink; if neither runs level, two
waves meet tip to tip and the ink is cut between them; if both do, each keeps a pen's width at its
own edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.runs import Runs

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A row is level beside a contact if its runs are at most this many pens thick.
_LEVEL_PENS = 2.2


@dataclass(frozen=True, slots=True)
class Claim:
    """One row's runs and what it may use of them.

    Attributes:
        runs: The runs, cut where another row owns the rest.
        first, last: (width,) rows beyond which the ink is another row's.
        hidden: (width,) True where the row's own stroke is under another row's.
        x0_px, y0_px: Page position of the strip's first pixel.
        baseline_px: Page row about which the trace runs.
        half: Half the stroke's thickness.
    """

    runs: Runs
    first: F64
    last: F64
    hidden: Mask
    x0_px: float
    y0_px: float
    baseline_px: float
    half: float


def claim(runs: Runs, half: float, *, x0_px: float, y0_px: float, baseline_px: float) -> Claim:
    """Make a claim to everything on a row's path."""
    n = len(runs.top)
    everything = np.full(n, np.inf)
    hidden = np.zeros(n, bool)
    return Claim(runs, -everything, everything, hidden, x0_px, y0_px, baseline_px, half)


def settle(claims: Sequence[Claim]) -> list[Claim]:
    """Settle the claims of all rows of a page, neighbour by neighbour.

    Args:
        claims: One per row, in any order.

    Returns:
        The settled claims in the same order.
    """
    settled = list(claims)
    order = sorted(range(len(claims)), key=lambda k: claims[k].baseline_px)
    for distance in (1, 2):
        for upper, lower in zip(order[:-distance], order[distance:], strict=True):
            settled[upper], settled[lower] = _settle_pair(settled[upper], settled[lower])
    return settled


def _settle_pair(upper: Claim, lower: Claim) -> tuple[Claim, Claim]:
    """Settle the contacts of two rows."""
    shift = round(upper.x0_px - lower.x0_px)  # lower's column of upper's column 0
    start = max(0, -shift)
    stop = min(len(upper.runs.top), len(lower.runs.top) - shift)
    if stop - start < 10:
        return upper, lower
    u, w = slice(start, stop), slice(start + shift, stop + shift)
    down = lower.y0_px - upper.y0_px
    edge = _Pair(
        upper.runs.top[u],
        upper.runs.bottom[u],
        lower.runs.top[w] + down,
        lower.runs.bottom[w] + down,
    )
    with np.errstate(invalid="ignore"):
        shared = np.minimum(edge.bottom, edge.low_bottom) - np.maximum(edge.top, edge.low_top)
        contact = shared > min(upper.half, lower.half)
    if not contact.any():
        return upper, lower
    first, last = upper.first.copy(), upper.last.copy()
    low_first, low_last = lower.first.copy(), lower.last.copy()
    hidden, low_hidden = upper.hidden.copy(), lower.hidden.copy()
    for a, b in _groups(contact):
        columns = np.arange(a, b + 1)
        cut, upper_hidden, lower_hidden = _judge(edge, a, b, upper.half, lower.half)
        hidden[u][columns] |= upper_hidden
        low_hidden[w][columns] |= lower_hidden
        if cut is not None:
            last[u][columns] = np.minimum(last[u][columns], cut)
            low_first[w][columns] = np.maximum(low_first[w][columns], cut - down)
    return (
        _cut(replace(upper, first=first, last=last, hidden=hidden)),
        _cut(replace(lower, first=low_first, last=low_last, hidden=low_hidden)),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    top: F64
    bottom: F64
    low_top: F64
    low_bottom: F64


def _judge(
    pair: _Pair, a: int, b: int, half: float, low_half: float
) -> tuple[F64 | None, bool, bool]:
    """Decide one contact a..b: (rows of the cut or None, upper hidden, lower hidden)."""
    upper_level = _is_level(pair.top, pair.bottom, a, b, half)
    lower_level = _is_level(pair.low_top, pair.low_bottom, a, b, low_half)
    columns = np.arange(a, b + 1)
    if upper_level and not lower_level:
        return None, True, False
    if lower_level and not upper_level:
        return None, False, True
    if upper_level:
        middle = (pair.top[columns] + 2.0 * half + pair.low_bottom[columns] - 2.0 * low_half) / 2.0
        return middle, False, False
    ends = []
    for column in (a - 1, b + 1):
        if 0 <= column < len(pair.top):
            ends.append((pair.bottom[column] + pair.low_top[column]) / 2.0)
    ends = [e for e in ends if np.isfinite(e)]
    if not ends:
        return (pair.top[columns] + pair.low_bottom[columns]) / 2.0, False, False
    return np.linspace(ends[0], ends[-1], len(columns)), False, False


def _is_level(top: F64, bottom: F64, a: int, b: int, half: float) -> bool:
    """Return whether a row runs level just before and after columns a..b."""
    beside = [c for c in (*range(a - 3, a), *range(b + 1, b + 4)) if 0 <= c < len(top)]
    thick = bottom[beside] - top[beside]
    known = np.isfinite(thick)
    if known.sum() < 2:
        return False
    middle = ((top[beside] + bottom[beside]) / 2.0)[known]
    pen = 2.0 * half
    return bool(thick[known].max() < _LEVEL_PENS * pen and np.ptp(middle) < 2.0 * pen)


def _groups(mask: Mask) -> list[tuple[int, int]]:
    """Return first and last index of every run of True."""
    step = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1, strict=True))


def _cut(owned: Claim) -> Claim:
    """Cut the runs to what the row owns."""
    top = np.maximum(owned.runs.top, owned.first)
    bottom = np.minimum(owned.runs.bottom, owned.last)
    lost = bottom - top < owned.half
    seen = owned.runs.seen & ~lost
    runs = Runs(np.where(seen, top, np.nan), np.where(seen, bottom, np.nan), owned.runs.peak, seen)
    return replace(owned, runs=runs, hidden=owned.hidden | (owned.runs.seen & lost))
