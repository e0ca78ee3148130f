"""Join what a page reader sees itself with what the marks and rows on the rectified page tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from cinc_ecg.digitization.mark_ink import MarkInk
from cinc_ecg.digitization.rows import Row, find_rows
from cinc_ecg.geometry import warp_box
from cinc_ecg.types import FloatArray, LeadName, PageGeometry, Pulse

#: Resolution at which rows are looked for among seen traces.
_PX_PER_MM = 3.0
#: A seen row is a new one from this share of the rows' usual distance from all others; lines of
#: text stand closer.
_APART = 0.6
#: It counts when it is at least this long, compared with the longest row, and has few breaks.
_LEAST_LENGTH = 0.6
_LEAST_COVERAGE = 0.9
_BARS = ("I", "II", "III")
#: Two names are one when their centres are this near.
_SAME_MM = 3.5
#: A seen name fills an empty place from this score, and is believed no more than this.
_FILLS, _MOST = 0.7, 0.9
#: A glyph reading below this gives way to a sure seen name.
_DOUBTFUL = 0.6


def rows_with_seen(
    rows: Sequence[Row],
    trace: np.ndarray,
    geometry: PageGeometry,
    inside: np.ndarray | None,
    pulses: Sequence[Pulse],
) -> tuple[Row, ...]:
    """Add the rows that only a page reader sees: too faint or too blurred for the ink.

    Args:
        rows: Found in the ink.
        trace: (H, W) picture, how likely a pixel is ink of a trace.
        geometry: Of the upright page.
        inside: (h, w) mask over the page's extent, False off the paper, at any scale.
        pulses: Of the page.
    """
    extent = geometry.extent_mm
    seen, valid = warp_box(
        trace, geometry, extent, _PX_PER_MM, interpolation=cv2.INTER_LINEAR, border=(0, 0, 0)
    )
    if inside is not None:
        size = (seen.shape[1], seen.shape[0])
        valid &= cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    ink = MarkInk(np.asarray(seen, np.float32), _PX_PER_MM, (extent[0], extent[1]), 1.0)
    return added_rows(rows, find_rows(ink, valid, pulses))


def added_rows(rows: Sequence[Row], seen: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows and, of the seen ones, those that lie where no row was found.

    Where the ink shows no row at all nothing is added: diagrams have no pen that runs for long.
    """
    if not seen or not rows:
        return tuple(rows)
    levels = np.array([row.baseline_mm for row in rows])
    # Where rows are too faint for the ink, the seen ones tell better how far apart they are.
    telling = seen if len(seen) > 2 else rows
    gaps = np.diff(np.sort([row.baseline_mm for row in telling]))
    spacing = float(np.median(gaps)) if len(gaps) else 25.0
    longest = max(row.x1_mm - row.x0_mm for row in (*rows, *seen))
    new = [
        row
        for row in seen
        if np.abs(levels - row.baseline_mm).min() > _APART * spacing
        and row.coverage > _LEAST_COVERAGE
        and row.x1_mm - row.x0_mm > _LEAST_LENGTH * longest
    ]
    return tuple(sorted((*rows, *new), key=lambda row: row.baseline_mm))


def joined_names(read: Sequence[LeadName], seen: Sequence[LeadName]) -> tuple[LeadName, ...]:
    """Join names read glyph by glyph with names seen by a page reader, in page mm both.

    A name that both know is surer; a doubtful reading gives way to a sure sight; a sight fills a
    place where nothing was read. A sure reading stands. I, II and III are left as read: a trace or
    grid line beside the bars makes one more of them for both readers alike.
    """
    seen = [name for name in seen if name.lead not in _BARS]
    if not seen:
        return tuple(read)
    centres = np.array([_centre(name) for name in seen])
    free = np.ones(len(seen), bool)
    joined = []
    for name in read:
        near = np.linalg.norm(centres - _centre(name), axis=1)
        k = int(near.argmin())
        if near[k] > _SAME_MM:
            joined.append(name)
            continue
        free[k] = False
        joined.append(_one_of(name, seen[k]))
    for k in map(int, np.flatnonzero(free)):
        if seen[k].score >= _FILLS:
            joined.append(replace(seen[k], score=min(seen[k].score, _MOST)))
    return tuple(sorted(joined, key=lambda name: -name.score))


def _one_of(read: LeadName, seen: LeadName) -> LeadName:
    """Decide between a reading and a sight of the same place."""
    if read.lead == seen.lead:
        both = 1.0 - (1.0 - read.score) * (1.0 - 0.8 * seen.score)
        return replace(read, score=max(read.score, min(both, 0.99)))
    if read.score < _DOUBTFUL and seen.score >= _FILLS and seen.score > read.score:
        return replace(seen, score=min(seen.score, _MOST))
    return read


def _centre(name: LeadName) -> FloatArray:
    x0, y0, x1, y1 = name.box_mm
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])
