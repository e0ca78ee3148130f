"""Rows of real pages with their true lines: strips to fine-tune the strip network on.

The pictures go through the pipeline as they do when they are read; the record's own signal says
where each line runs (`line_truth`). Rows whose place is not sure are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.data.line_truth import TrueLine, true_lines
from cinc_ecg.data.render_torch import StripBatch
from cinc_ecg.data.strip_scene import NODES_PER_COLUMN
from cinc_ecg.digitization.appearance import measure_pen
from cinc_ecg.digitization.ink import Ink, ink_map, page_colours
from cinc_ecg.digitization.pipeline import DigitizeConfig, digitize
from cinc_ecg.digitization.runs import runs_on_path
from cinc_ecg.models.readers import levels_px
from cinc_ecg.raster import draw_polyline
from cinc_ecg.types import Digitization, EcgImage, RowTrace, Signal, Strip, StripReader

Mask = NDArray[np.bool_]

#: Pens in mm that are believed.
_PENS_MM = (0.1, 0.8)
#: Evidence on the line that counts as ink; a longer stretch without it is not visible.
_INK, _GAP_MM = 0.25, 1.0


@dataclass(frozen=True, slots=True)
class RowStrip:
    """A rectified row of a page with the true line of its trace.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        px_per_mm: Scale.
        baseline_px, above_px, below_px: Levels of the row and its neighbours.
        line_px: (n,) row of the pen's centre per node, n = NODES_PER_COLUMN * (W - 1) + 1; NaN
            where it is not known.
        visible: (n,) where its ink can be seen.
        pen_px: The pen's width.
    """

    pixels: NDArray[np.uint8]
    px_per_mm: float
    baseline_px: float
    above_px: float
    below_px: float
    line_px: NDArray[np.float32]
    visible: Mask
    pen_px: float

    def starts(self, width: int) -> NDArray[np.intp]:
        """Return the columns at which `width` columns begin whose line is known throughout."""
        known = np.isfinite(self.line_px[::NODES_PER_COLUMN])
        if len(known) < width:
            return np.zeros(0, np.intp)
        total = np.concatenate([[0], np.cumsum(known)])
        return np.flatnonzero(total[width:] - total[:-width] == width)


class _Recorder:
    """A strip reader that keeps what it was given."""

    def __init__(self, reader: StripReader) -> None:
        self.reader = reader
        self.strips: list[Strip] = []

    def read(self, strips: Sequence[Strip]) -> list[RowTrace]:
        self.strips = list(strips)
        return self.reader.read(strips)


def page_rows(
    image: EcgImage, signal: Signal, reader: StripReader, duration_s: float | None = None
) -> tuple[list[RowStrip], int]:
    """Return the rows of a page whose true line is known, and how many rows it has.

    Args:
        image: The picture.
        signal: The record's twelve leads in standard order, mV.
        reader: Reads the rows, to find the layout and the place in time.
        duration_s: Length of the record.

    Returns:
        (rows used, rows found). No row is used where the page does not show the signal.

    Raises:
        DigitizationError: The page cannot be read; its reason code says why.
    """
    recorder = _Recorder(reader)
    config = DigitizeConfig(fs_hz=signal.fs_hz, duration_s=duration_s)
    result = digitize(image, strip_reader=recorder, config=config)
    return rows_of(result, recorder.strips, signal), len(recorder.strips)


def rows_of(result: Digitization, strips: Sequence[Strip], signal: Signal) -> list[RowStrip]:
    """Return the rows of a page that was read whose true line is known; see `page_rows`."""
    panels = result.layout.panels
    lines = true_lines(panels, result.traces, signal)
    if not lines:
        return []
    colours = page_colours(strips)
    levels = [strip.baseline_mm for strip in strips]
    rows = []
    for number, strip in enumerate(strips):
        own = [line for line in lines if panels[line.panel].row == number]
        row = _row(strip, levels, own, ink_map(strip, colours)) if own else None
        if row is not None:
            rows.append(row)
    return rows


def _row(
    strip: Strip, levels_mm: Sequence[float], lines: Sequence[TrueLine], ink: Ink
) -> RowStrip | None:
    """Make one row; None where hardly any ink lies on its line."""
    cover, scale = ink.evidence(), strip.px_per_mm
    line = _line_px(strip, lines)
    known = np.isfinite(line)
    path = np.interp(np.arange(len(line)), np.flatnonzero(known), line[known])
    middle = np.clip(np.rint(path[::NODES_PER_COLUMN]), 0, len(cover) - 1).astype(np.intp)
    runs = runs_on_path(cover, middle)
    if runs.seen.sum() < scale:
        return None
    _, pen = measure_pen(ink, runs)
    pen_px = float(np.clip(2.0 * pen.half, _PENS_MM[0] * scale, _PENS_MM[1] * scale))
    visible = known & _inked(cover, line, pen_px, scale)
    pixels = np.ascontiguousarray(strip.pixels)
    return RowStrip(pixels, scale, *levels_px(strip, levels_mm), line, visible, pen_px)


def _line_px(strip: Strip, lines: Sequence[TrueLine]) -> NDArray[np.float32]:
    """Put the lines of a row's panels on the strip's nodes."""
    n = NODES_PER_COLUMN * (strip.pixels.shape[1] - 1) + 1
    x = strip.x0_mm + np.arange(n) / (NODES_PER_COLUMN * strip.px_per_mm)
    out = np.full(n, np.nan)
    for line in lines:
        place = (x - line.x0_mm) / line.step_mm
        inside = np.flatnonzero((place > -0.5) & (place < len(line.y_mm) - 0.5))
        out[inside] = np.interp(place[inside], np.arange(len(line.y_mm)), line.y_mm)
    return np.asarray((out - strip.y0_mm) * strip.px_per_mm, np.float32)


def stroke_cover(
    line_px: NDArray[np.floating], shape: tuple[int, int], pen_px: float
) -> NDArray[np.float32]:
    """Draw a line with a pen: (H, W) coverage, 0..1; NaN lifts the pen."""
    cover = np.zeros(shape, np.float32)
    x = np.arange(len(line_px)) / NODES_PER_COLUMN
    draw_polyline(cover, np.stack([x, np.asarray(line_px, np.float64)], axis=1), pen_px)
    return cover


def _inked(
    cover: NDArray[np.floating], line: NDArray[np.float32], pen_px: float, scale: float
) -> Mask:
    """Return per node whether ink lies on the line there or within a short gap."""
    height, width = cover.shape
    stroke = stroke_cover(line, (height, width), pen_px + 2.0) > 0.5
    seen = np.where(stroke, cover, 0.0).max(axis=0) > _INK
    at = np.flatnonzero(seen)
    if len(at) == 0:
        return np.zeros(len(line), bool)
    columns = np.arange(width)
    after = np.searchsorted(at, columns).clip(0, len(at) - 1)
    before = (np.searchsorted(at, columns, side="right") - 1).clip(0, len(at) - 1)
    gap = np.where(seen, 0, at[after] - at[before])
    outside = (columns < at[0]) | (columns > at[-1])
    near = (gap <= _GAP_MM * scale) & ~outside
    return np.repeat(near, NODES_PER_COLUMN)[: len(line)]


def cut_windows(
    rows: Sequence[RowStrip], size: tuple[int, int], rng: np.random.Generator, n: int
) -> StripBatch:
    """Cut n windows of one size out of rows chosen at random.

    Args:
        rows: Each must have a `starts(width)`.
        size: (height, width) in pixels.
        rng: Source of all chance.
        n: Number of windows.
    """
    return stack([_window(rows[int(rng.integers(len(rows)))], size, rng) for _ in range(n)])


def _window(row: RowStrip, size: tuple[int, int], rng: np.random.Generator) -> StripBatch:
    height, width = size
    left = int(rng.choice(row.starts(width)))
    nodes = slice(NODES_PER_COLUMN * left, NODES_PER_COLUMN * (left + width - 1) + 1)
    # The row's level somewhere in the middle half, as on drawn strips, but no more paper than the
    # strip has.
    top = round(row.baseline_px - rng.uniform(0.25, 0.75) * height)
    top = int(np.clip(top, 0, max(len(row.pixels) - height, 0)))
    pixels = row.pixels[top : top + height, left : left + width]
    pixels = np.pad(pixels, ((0, height - len(pixels)), (0, 0), (0, 0)), mode="edge")
    line = row.line_px[nodes] - np.float32(top)
    visible = row.visible[nodes] & (line > -0.5) & (line < height - 0.5)
    ink = stroke_cover(line, (height, width), row.pen_px)
    numbers = [v - top for v in (row.baseline_px, row.above_px, row.below_px)] + [row.px_per_mm]
    levels = [torch.tensor([v], dtype=torch.float32) for v in numbers]
    light = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255.0
    targets = (torch.from_numpy(a)[None] for a in (line, visible, ink))
    return StripBatch(light, *levels, *targets)


def stack(batches: Sequence[StripBatch]) -> StripBatch:
    """Put batches of one size together."""
    names = StripBatch.__dataclass_fields__
    return StripBatch(*(torch.cat([getattr(b, name) for b in batches]) for name in names))
