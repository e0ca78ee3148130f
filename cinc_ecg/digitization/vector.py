"""Vector PDFs: the signal is in the file as drawn lines, so it is read, not looked at.

Frame: page millimetres from the top left corner of the page as displayed; the millimetre is the
grid's own, because exports are often scaled to their paper.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cinc_ecg.digitization.rows import Row
from cinc_ecg.digitization.vector_grid import (
    PT_PER_MM,
    StraightLine,
    find_vector_grid,
    straight_line,
)
from cinc_ecg.digitization.vector_lines import (
    Piece,
    as_piece,
    cluster_rows,
    find_pulse,
    join_strokes,
    split_pulse,
)
from cinc_ecg.errors import ImageError
from cinc_ecg.io import pdf
from cinc_ecg.leads import canonical_lead
from cinc_ecg.types import (
    EcgImage,
    FloatArray,
    LeadName,
    PageGeometry,
    Pulse,
    RowTrace,
    Separator,
)

_LOG = logging.getLogger(__name__)
#: Error of coordinates written with a few decimals.
_SIGMA_MM = 0.005
_TICK_MM = (2.0, 25.0)
#: Vertices of two traces of one row at most this far out of step share one lattice.
_PHASE = 0.05
_SAME_PLACE_MM = 1.5
#: A page with more strokes of a trace's kind is a map or a plot.
_MAX_TRACES = 120


@dataclass(frozen=True, slots=True)
class VectorPage:
    """What a page of drawn paths says, in page millimetres.

    Attributes:
        size_pt: (width, height) of the page.
        pt_per_mm: Points per millimetre along x and y.
        calibrated: True when a grid gave the millimetre.
        rows: One exact trace per row, from the top; NaN between the pieces of a row.
        pieces: Per row its traces as drawn, each on its own lattice, left to right.
        names, pulses, separators, text: The marks; separators include the joints of the pieces.
    """

    size_pt: tuple[float, float]
    pt_per_mm: tuple[float, float]
    calibrated: bool
    rows: tuple[RowTrace, ...]
    pieces: tuple[tuple[Piece, ...], ...]
    names: tuple[LeadName, ...]
    pulses: tuple[Pulse, ...]
    separators: tuple[Separator, ...]
    text: tuple[str, ...]

    @property
    def found_rows(self) -> tuple[Row, ...]:
        """The rows as the layout stage takes them."""
        return tuple(
            Row(
                float(np.nanmedian(row.y_mm)),
                row.x0_mm,
                row.x0_mm + row.step_mm * (len(row.y_mm) - 1),
                float(np.mean(row.visible)),
            )
            for row in self.rows
        )

    def geometry(self, image: EcgImage) -> PageGeometry:
        """Return the map from page millimetres to a rendering of the whole page."""
        width_mm, height_mm = (
            side / scale for side, scale in zip(self.size_pt, self.pt_per_mm, strict=True)
        )
        nodes = np.empty((2, 2, 2))
        nodes[..., 0] = np.array([0.0, image.width])[None, :] - 0.5
        nodes[..., 1] = np.array([0.0, image.height])[:, None] - 0.5
        return PageGeometry(nodes, (0.0, 0.0), (width_mm, height_mm), self.calibrated)


def read_rows(path: str | Path, page: int = 0) -> VectorPage | None:
    """Read the traces of a PDF page from its path objects.

    Args:
        path: PDF file.
        page: From 0.

    Returns:
        The page, or None when it draws no traces (a scan, a text) and must be looked at instead.

    Raises:
        ImageError: the file cannot be read.
    """
    try:
        paths = pdf.path_objects(Path(path), page)
    except ImageError as error:
        if error.reason_code != "pdf_too_complex":
            raise
        return None
    lines = {k: line for k, item in enumerate(paths) if (line := straight_line(item))}
    grid = find_vector_grid(list(lines.values()))
    scale = grid.pt_per_mm if grid else (PT_PER_MM, PT_PER_MM)
    size_pt = pdf.page_size_pt(Path(path), page)
    strokes = [
        item
        for k, item in enumerate(paths)
        if not (grid and k in lines and lines[k].style in grid.styles) and _on_page(item, size_pt)
    ]
    traces, pulses = _sort_out(strokes, scale)
    if not 0 < len(traces) <= _MAX_TRACES:
        return None
    rows = cluster_rows(traces)
    _LOG.info("%s: %d drawn traces in %d rows", path, len(traces), len(rows))
    texts = pdf.text_objects(Path(path), page)
    marks = [line for line in lines.values() if not (grid and line.style in grid.styles)]
    return VectorPage(
        size_pt=size_pt,
        pt_per_mm=scale,
        calibrated=grid is not None,
        rows=tuple(_row_trace(k, row) for k, row in enumerate(rows)),
        pieces=tuple(tuple(row) for row in rows),
        names=tuple(_names(texts, scale)),
        pulses=tuple(_without_doubles(pulses)),
        separators=tuple(_with_joints(_ticks(marks, scale), rows)),
        text=tuple(item.text for item in texts),
    )


def _on_page(stroke: pdf.PathObject, size_pt: tuple[float, float]) -> bool:
    """Tell strokes of the page from what a damaged number sent far away."""
    margin = np.array(size_pt)
    points = stroke.points_pt
    return bool(np.all(points > -margin) and np.all(points < 2 * margin))


def _sort_out(
    strokes: Sequence[pdf.PathObject], scale: tuple[float, float]
) -> tuple[list[Piece], list[Pulse]]:
    """Tell traces and calibration pulses from everything else that is drawn."""
    traces: list[Piece] = []
    pulses: list[Pulse] = []
    for stroke in join_strokes(strokes):
        points_mm = stroke.points / np.array(scale)
        pulse = find_pulse(points_mm)
        if pulse is not None:
            pulses.append(pulse)
            continue
        pulse, rest = split_pulse(points_mm)
        piece = as_piece(rest)
        if piece is not None:
            traces.append(piece)
            pulses += [pulse] if pulse else []
    return _without_copies(traces), pulses


def _without_copies(traces: Sequence[Piece]) -> list[Piece]:
    """Drop traces drawn twice, for instance with a halo under them."""
    kept: list[Piece] = []
    for piece in traces:
        twin = any(
            len(piece.y_mm) == len(other.y_mm)
            and abs(piece.x0_mm - other.x0_mm) < 0.05
            and np.abs(piece.y_mm - other.y_mm).max() < 0.05
            for other in kept
        )
        if not twin:
            kept.append(piece)
    return kept


def _without_doubles(pulses: Sequence[Pulse]) -> list[Pulse]:
    kept: list[Pulse] = []
    for pulse in sorted(pulses, key=lambda item: (item.foot_mm, item.x0_mm)):
        near = (
            abs(pulse.x0_mm - other.x0_mm) < 1.0 and abs(pulse.foot_mm - other.foot_mm) < 1.0
            for other in kept
        )
        if not any(near):
            kept.append(pulse)
    return kept


def _row_trace(index: int, pieces: Sequence[Piece]) -> RowTrace:
    """Lay the pieces of a row on one lattice; where two overlap, each keeps its own half."""
    first = pieces[0]
    step = float(np.median([piece.step_mm for piece in pieces]))
    count = round((max(piece.x1_mm for piece in pieces) - first.x0_mm) / step) + 1
    x = first.x0_mm + step * np.arange(count)
    y = np.full(count, np.nan)
    for k, piece in enumerate(pieces):
        left = -np.inf if k == 0 else (pieces[k - 1].x1_mm + piece.x0_mm) / 2
        right = np.inf if k + 1 == len(pieces) else (piece.x1_mm + pieces[k + 1].x0_mm) / 2
        inside = np.flatnonzero(
            (x > max(left, piece.x0_mm - step / 2)) & (x < min(right, piece.x1_mm + step / 2))
        )
        y[inside] = _on_lattice(piece, x[inside], step)
    visible = np.isfinite(y)
    sigma = np.where(visible, _SIGMA_MM, np.nan)
    return RowTrace(index, first.x0_mm, step, y, sigma, visible)


def _on_lattice(piece: Piece, x: FloatArray, step: float) -> FloatArray:
    """Return a piece's own samples where the lattices agree, interpolated ones otherwise."""
    position = (x - piece.x0_mm) / piece.step_mm
    nearest = np.rint(position).astype(int)
    agree = abs(piece.step_mm - step) < 1e-4 * step and np.all(np.abs(position - nearest) < _PHASE)
    if agree:
        return piece.y_mm[np.clip(nearest, 0, len(piece.y_mm) - 1)]
    return piece.at(x)


def _names(texts: Sequence[pdf.TextObject], scale: tuple[float, float]) -> list[LeadName]:
    found = []
    for item in texts:
        lead = canonical_lead(item.text)
        if lead is not None:
            x0, y0, x1, y1 = item.box_pt
            box = (x0 / scale[0], y0 / scale[1], x1 / scale[0], y1 / scale[1])
            found.append(LeadName(lead, box, 1.0, item.text.strip().startswith(("-", "\u2212"))))
    return found


def _ticks(lines: Sequence[StraightLine], scale: tuple[float, float]) -> list[Separator]:
    """Return the short upright strokes, which stand between the columns of a row."""
    return [
        Separator(line.across / scale[0], line.low / scale[1], line.high / scale[1])
        for line in lines
        if line.vertical and _TICK_MM[0] <= line.length / scale[1] <= _TICK_MM[1]
    ]


def _with_joints(ticks: list[Separator], rows: Sequence[Sequence[Piece]]) -> list[Separator]:
    """Add the places where one piece of a row ends and the next begins, unless a tick marks
    them."""
    found = list(ticks)
    for row in rows:
        for before, after in pairwise(row):
            x = (before.x1_mm + after.x0_mm) / 2
            y = (before.level_mm + after.level_mm) / 2
            marked = any(
                abs(tick.x_mm - x) < _SAME_PLACE_MM and tick.y0_mm - 5 < y < tick.y1_mm + 5
                for tick in ticks
            )
            if not marked:
                found.append(Separator(x, y - 3.5, y + 3.5))
    return found
