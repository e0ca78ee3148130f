"""Where a row's line is cut: separator ticks between leads, and jumps from one lead to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.path import Path
from cinc_ecg.digitization.runs import Runs
from cinc_ecg.digitization.stroke import Pen

Real = NDArray[np.floating]
Mask = NDArray[np.bool_]

#: Ticks are this high, drawn with a pen up to this wide, and stand out this far from the trace.
_HEIGHT_MM, _WIDEST_MM, _STAND_OUT_MM = (1.5, 15.0), 1.2, 0.4
#: Thick ticks may be told from QRS complexes by their size alone if they are this high.
_THICK_MM = 3.5
#: Ticks of different rows are one separator if they agree in place and height this well.
_SAME_MM = 0.3
#: A calibration pulse is at least this high and its plateau this long.
_PULSE_MM, _PLATEAU_MM = 3.0, 1.5
#: A climb over this much bare paper is a jump to another lead.
_LEAP_MM = 0.8


@dataclass(frozen=True, slots=True)
class Bar:
    """An upright bar with level ends: first and last column, top and bottom row (strip pixels).

    Attributes:
        alone: True where the bar is known by itself: it stands out above and below the trace, or
            is the edge of a calibration pulse.
    """

    first: int
    last: int
    top: float
    bottom: float
    alone: bool

    @property
    def middle(self) -> float:
        """Return the bar's column."""
        return (self.first + self.last) / 2.0


@dataclass(frozen=True, slots=True)
class Cuts:
    """Columns to leave out and where the line is cut.

    Attributes:
        hidden: (width,) True where the trace cannot be told from a tick or from the other lead's
            end.
        at: Columns (fractional) of the cuts.
    """

    hidden: Mask
    at: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RowView:
    """What the search for ticks needs of one row.

    Attributes:
        cover: (height, width) trace coverage.
        path, runs: The row's path and the runs on it.
        pen: Pen and blur.
        x0_px: Page column of the strip's first column.
    """

    cover: Real
    path: Path
    runs: Runs
    pen: Pen
    x0_px: float


def find_cuts(rows: Sequence[RowView], px_per_mm: float) -> list[Cuts]:
    """Find the ticks and jumps of all rows of a page.

    A tick is a narrow solid bar with level ends. Where it stands clear it is known by standing out
    above and below the trace; where a QRS complex touches it, by a like bar at the same place in
    another row.

    Args:
        rows: The page's rows.
        px_per_mm: Scale.

    Returns:
        The cuts of each row.
    """
    found = [_bars(row, px_per_mm) for row in rows]
    thick = _thick_template(rows, found, px_per_mm)
    cuts = []
    for k, row in enumerate(rows):
        others = [
            (rows[m].x0_px + bar.middle, bar)
            for m, bars in enumerate(found)
            for bar in bars
            if m != k
        ]
        clear = [(x, bar) for x, bar in others if bar.alone]
        ticks = [bar for bar in found[k] if bar.alone or _echoed(bar, row, clear, px_per_mm)]
        ticks += _hidden_ticks(row, ticks, clear, px_per_mm)
        ticks += _thick_ticks(row, ticks, thick)
        cuts.append(_cuts(row, ticks, px_per_mm))
    return cuts


def _thick_template(
    rows: Sequence[RowView], found: Sequence[Sequence[Bar]], px_per_mm: float
) -> tuple[int, int] | None:
    """Return width and height of the page's ticks if they are thicker than its traces."""
    sizes = [
        (bar.last - bar.first + 1, bar.bottom - bar.top)
        for row, bars in zip(rows, found, strict=True)
        for bar in bars
        if bar.alone and bar.last - bar.first + 1 > 2.0 * row.pen.half + 2.0
    ]
    sizes = [size for size in sizes if size[1] > _THICK_MM * px_per_mm]
    if not sizes:
        return None
    width, height = np.median(np.array(sizes), axis=0)
    alike = [s for s in sizes if abs(s[0] - width) <= 1.5 and abs(s[1] - height) <= 2.0]
    return (int(width), int(height)) if len(alike) >= 3 else None


def _thick_ticks(row: RowView, ticks: Sequence[Bar], template: tuple[int, int] | None) -> list[Bar]:
    """Find solid blocks of the size of the page's ticks that merge with a QRS complex."""
    if template is None:
        return []
    width, height = template
    block = np.ones((int(0.85 * height), max(2, width - 1)), np.uint8)
    inked = (row.cover > 0.5).astype(np.uint8)
    solid = cv2.erode(inked, block, anchor=(0, 0), borderValue=0)
    bars: list[Bar] = []
    for first, last in _groups(solid.any(axis=0)):
        middle = (first + last + block.shape[1] - 1) / 2.0
        columns = slice(first, last + block.shape[1])
        if last - first > width or not row.runs.seen[columns].any():
            continue
        if any(abs(t.middle - middle) < width for t in ticks):
            continue
        starts = _groups(solid[:, first : last + 1].any(axis=1))
        spans = [(a, b + block.shape[0] - 1) for a, b in starts]
        span = _on_runs(row.runs, columns, spans)
        if span is not None and any(
            min(abs(span[0] - t.top), abs(span[1] - t.bottom)) <= 3.0 for t in ticks
        ):
            bars.append(Bar(columns.start, columns.stop - 1, span[0], span[1], alone=False))
    return bars


def _cuts(row: RowView, ticks: Sequence[Bar], px_per_mm: float) -> Cuts:
    """Turn ticks and jumps into cuts."""
    hidden = np.zeros(len(row.path.rows), bool)
    at: list[float] = []
    pad = int(np.ceil(1.5 * row.pen.blur))
    for bar in ticks:
        hidden[max(0, bar.first - pad) : bar.last + pad + 1] = True
        at.append(bar.middle)
    reach = int(np.ceil(row.pen.half + row.pen.blur))
    for column in np.flatnonzero(row.path.leap > _LEAP_MM * px_per_mm):
        if not hidden[max(0, column - 3) : column + 4].any():
            hidden[max(0, column - reach) : column + reach] = True
            at.append(column - 0.5)
    return Cuts(hidden, tuple(sorted(at)))


def _bars(row: RowView, px_per_mm: float) -> list[Bar]:
    """Find the bars on a row's runs: adjacent tall runs with the same top and bottom."""
    runs = row.runs
    height = runs.bottom - runs.top
    low, high = (h * px_per_mm for h in _HEIGHT_MM)
    with np.errstate(invalid="ignore"):
        tall = runs.seen & (height > low) & (height < high)
    widest = _WIDEST_MM * px_per_mm + 2.0 * row.pen.blur
    narrowest = 2
    bars = []
    for first, last in _groups(tall):
        bars += _level_parts(row, first, last, narrowest, widest, px_per_mm)
    return bars


def _level_parts(
    row: RowView, first: int, last: int, narrowest: int, widest: float, px_per_mm: float
) -> list[Bar]:
    """Split a group of tall runs into stretches of one top and one bottom; return the bars."""
    top, bottom = row.runs.top, row.runs.bottom
    bars, start = [], first
    for column in range(first, last + 1):
        ends = column == last
        steady = not ends and (
            abs(top[column + 1] - top[column]) < 1.2
            and abs(bottom[column + 1] - bottom[column]) < 1.2
        )
        if steady:
            continue
        stretch = slice(start, column + 1)
        if narrowest <= column + 1 - start <= widest:
            bar = Bar(
                start,
                column,
                float(np.median(top[stretch])),
                float(np.median(bottom[stretch])),
                alone=False,
            )
            if _is_solid(row.cover, bar):
                alone = _stands_out(row.runs, start, column, px_per_mm)
                alone = alone or _is_pulse_edge(row, bar, px_per_mm)
                bars.append(Bar(bar.first, bar.last, bar.top, bar.bottom, alone))
        start = column + 1
    return bars


def _groups(mask: NDArray[np.generic] | np.generic) -> list[tuple[int, int]]:
    """Return first and last index of every run of True."""
    step = np.diff(np.concatenate([[0], np.asarray(mask, np.int8), [0]]))
    return list(zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1, strict=True))


def _is_solid(cover: Real, bar: Bar) -> bool:
    """Return whether the bar is as dark at its ends as in between, and upright."""
    start, stop = round(bar.top + 2), round(bar.bottom - 1)
    core = cover[start:stop, bar.first : bar.last + 1].max(axis=1)
    if len(core) < 5 or np.quantile(core, 0.05) < 0.6 * np.median(core):
        return False
    columns = np.arange(max(0, bar.first - 2), min(cover.shape[1], bar.last + 3))
    ink = np.clip(cover[start:stop, columns[0] : columns[-1] + 1], 0.0, 1.0)
    part = max(2, int(0.3 * len(ink)))
    upper, lower = ink[:part].mean(axis=0), ink[-part:].mean(axis=0)
    lean = _centroid(upper, columns) - _centroid(lower, columns)
    taper = float(upper.sum() - lower.sum())
    return abs(lean) < 0.6 and abs(taper) < max(0.6, 0.15 * float(lower.sum()))


def _centroid(weights: Real, columns: NDArray[np.intp]) -> float:
    return float((weights * columns).sum() / max(float(weights.sum()), 1e-6))


def _stands_out(runs: Runs, first: int, last: int, px_per_mm: float) -> bool:
    """Return whether a group of runs reaches above and below the trace on both of its sides."""
    top, bottom = np.min(runs.top[first : last + 1]), np.max(runs.bottom[first : last + 1])
    margin = _STAND_OUT_MM * px_per_mm
    sides = 0
    for columns in (range(first - 4, first - 2), range(last + 3, last + 5)):
        seen = [c for c in columns if 0 <= c < len(runs.top) and runs.seen[c]]
        sides += bool(seen)
        if any(runs.top[c] < top + margin or runs.bottom[c] > bottom - margin for c in seen):
            return False
    return sides > 0


def _is_pulse_edge(row: RowView, bar: Bar, px_per_mm: float) -> bool:
    """Return whether the bar is the edge of a calibration pulse: a level plateau joins its top."""
    runs, length = row.runs, round(_PLATEAU_MM * px_per_mm)
    if bar.bottom - bar.top < _PULSE_MM * px_per_mm:
        return False
    for columns in (
        slice(max(0, bar.first - 3 - length), bar.first - 3),
        slice(bar.last + 4, bar.last + 4 + length),
    ):
        top, seen = runs.top[columns], runs.seen[columns]
        if len(top) == length and seen.all() and np.abs(top - bar.top).max() < 1.0:
            return True
    return False


def _echoed(bar: Bar, row: RowView, others: Sequence[tuple[float, Bar]], px_per_mm: float) -> bool:
    """Return whether another row has a bar of the same height at the same place."""
    same = _SAME_MM * px_per_mm
    height = bar.bottom - bar.top
    return any(
        abs(x - row.x0_px - bar.middle) < same and abs(other.bottom - other.top - height) < same
        for x, other in others
    )


def _hidden_ticks(
    row: RowView, ticks: Sequence[Bar], others: Sequence[tuple[float, Bar]], px_per_mm: float
) -> list[Bar]:
    """Find ticks known from another row that are merged with the trace here."""
    hidden: list[Bar] = []
    width = row.cover.shape[1]
    for x, other in others:
        shift = round(x - row.x0_px - other.middle)
        first, last = other.first + shift, other.last + shift
        near = [*ticks, *hidden]
        if (
            first < 1
            or last >= width - 1
            or any(abs(t.middle - (first + last) / 2) < 5 for t in near)
        ):
            continue
        if not row.runs.seen[first : last + 1].any():
            continue
        block = row.cover[:, first : last + 1].min(axis=1) > 0.5
        enough = 0.85 * (other.bottom - other.top)
        spans = [(a, b) for a, b in _groups(block) if b - a + 1 >= enough]
        span = _on_runs(row.runs, slice(first, last + 1), spans)
        if span is not None:
            hidden.append(Bar(first, last, span[0], span[1], alone=False))
    return hidden


def _on_runs(
    runs: Runs, columns: slice, spans: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """Return the longest of the row spans that lies on the row's own runs."""
    top, bottom = np.nanmin(runs.top[columns]), np.nanmax(runs.bottom[columns])
    own = [span for span in spans if span[0] < bottom and span[1] > top]
    return max(own, key=lambda span: span[1] - span[0], default=None)
