"""Draw a result over the picture it was read from: the check that a person can do at a glance."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.geometry import to_image
from cinc_ecg.leads import LEADS
from cinc_ecg.types import Digitization, EcgImage, LeadTrace, Note, Panel

Colour = tuple[int, int, int]
_SHIFT = 4
#: No trace runs this far from its baseline; the page's map is not meant for such points.
_FAR_MM = 150.0
_INK = {"info": (40, 90, 160), "warning": (190, 110, 0), "error": (190, 20, 20)}
_GREY = (90, 90, 90)


def lead_colour(lead: str) -> Colour:
    """Return the fixed colour of a lead; neighbours on the page differ clearly."""
    index = LEADS.index(lead) if lead in LEADS else len(LEADS)
    hue = (index * 5 % 13) / 13.0
    r, g, b = colorsys.hsv_to_rgb(hue, 0.95, 0.72)
    return round(r * 255), round(g * 255), round(b * 255)


def draw_overlay(image: EcgImage, digitization: Digitization) -> NDArray[np.uint8]:
    """Draw traces, panel boxes, lead names, calibration marks and notes over the faded picture.

    Args:
        image: The source picture.
        digitization: What was read from it.

    Returns:
        (height, width, 3) uint8 RGB, with a strip of text below the picture.
    """
    canvas = (255 - (255 - image.pixels.astype(np.uint16)) * 2 // 5).astype(np.uint8)
    canvas = np.ascontiguousarray(canvas)
    unit = max(image.width, image.height) / 1600.0
    thin, pen = max(1, round(unit)), max(1, round(1.5 * unit))
    panels = digitization.layout.panels
    for panel in panels:
        _draw_box(canvas, digitization, panel, thin)
    for trace in digitization.traces:
        _draw_trace(canvas, digitization, trace, panels[trace.panel], pen)
    for panel in panels:
        _draw_name(canvas, digitization, panel, 0.6 * unit)
    _draw_calibration(canvas, digitization, thin)
    return np.vstack([canvas, _caption(digitization, image.width, unit)])


def _polyline(
    canvas: NDArray[np.uint8], points_px: NDArray[np.floating], colour: Colour, thickness: int
) -> None:
    """Draw the finite stretches of a polyline with sub-pixel vertices."""
    limit = 4 * max(canvas.shape[:2])
    good = np.isfinite(points_px).all(axis=1) & (np.abs(points_px) < limit).all(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        fixed = np.rint(points_px[start:stop] * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, colour, thickness, cv2.LINE_AA, _SHIFT)


def _draw_trace(
    canvas: NDArray[np.uint8],
    digitization: Digitization,
    trace: LeadTrace,
    panel: Panel,
    thickness: int,
) -> None:
    x_mm = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    finite = np.isfinite(trace.y_mm) & (np.abs(trace.y_mm - panel.baseline_mm) < _FAR_MM)
    points = np.full((len(x_mm), 2), np.nan)
    if finite.any():
        points[finite] = to_image(digitization.geometry, np.c_[x_mm[finite], trace.y_mm[finite]])
    _polyline(canvas, points, lead_colour(panel.lead), thickness)
    guessed = np.where(trace.visible[:, None], np.nan, points)
    _polyline(canvas, guessed, (230, 0, 0), thickness)


def _draw_box(
    canvas: NDArray[np.uint8], digitization: Digitization, panel: Panel, thickness: int
) -> None:
    x0, y0, x1, y1 = panel.box_mm
    steps = np.linspace(0.0, 1.0, 21)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    sides = [a + steps[:, None] * (b - a) for a, b in pairwise(corners)]
    outline = to_image(digitization.geometry, np.vstack(sides))
    _polyline(canvas, outline, lead_colour(panel.lead), thickness)
    zero = np.c_[x0 + steps * (x1 - x0), np.full(len(steps), panel.baseline_mm)]
    _polyline(canvas, to_image(digitization.geometry, zero), (150, 150, 150), thickness)


def _draw_name(
    canvas: NDArray[np.uint8], digitization: Digitization, panel: Panel, scale: float
) -> None:
    x0, y0, _, y1 = panel.box_mm
    where = to_image(digitization.geometry, np.array([[x0 + 1.0, y0 + 0.12 * (y1 - y0)]]))[0]
    name = ("-" if panel.inverted else "") + panel.lead
    _text(canvas, name, where, scale, lead_colour(panel.lead))


def _draw_calibration(
    canvas: NDArray[np.uint8], digitization: Digitization, thickness: int
) -> None:
    """Draw 1 s and 1 mV as an angle at the end of each row, where any wrong scale is seen."""
    rows: dict[int, Panel] = {}
    for panel in digitization.layout.panels:
        if panel.row not in rows or panel.box_mm[2] > rows[panel.row].box_mm[2]:
            rows[panel.row] = panel
    for panel in rows.values():
        x1, y0 = panel.box_mm[2], panel.baseline_mm
        angle = np.array(
            [[x1 - panel.mm_per_s, y0], [x1, y0], [x1, y0 - panel.mm_per_mv]], dtype=float
        )
        _polyline(canvas, to_image(digitization.geometry, angle), (0, 0, 0), 2 * thickness)


def _text(
    canvas: NDArray[np.uint8],
    text: str,
    where: Sequence[float] | NDArray[np.floating],
    scale: float,
    colour: Colour,
) -> None:
    x, y = (int(v) if np.isfinite(v) else 0 for v in where)
    shown = text.encode("ascii", "replace").decode()
    weight = max(1, round(2 * scale))
    for ink, extra in (((255, 255, 255), 3), (colour, 0)):
        cv2.putText(
            canvas, shown, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, weight + extra, cv2.LINE_AA
        )


def _caption(digitization: Digitization, width: int, unit: float) -> NDArray[np.uint8]:
    """Return the strip below the picture: layout, calibration and what is to be known."""
    calibration, layout = digitization.calibration, digitization.layout
    head = (
        f"{layout.name} ({layout.confidence:.0%})   "
        f"{calibration.mm_per_s:.4g} mm/s ({calibration.time_source})   "
        f"{calibration.mm_per_mv:.4g} mm/mV ({calibration.gain_source})   "
        f"{digitization.quality.px_per_mm:.1f} px/mm   coverage {digitization.quality.coverage:.0%}"
    )
    lines: list[tuple[str, Colour]] = [(head, _GREY)]
    lines += [(_note_line(note), _INK[note.severity]) for note in digitization.notes[:8]]
    pitch = max(12, round(24 * unit))
    strip = np.full((pitch * (len(lines) + 1), width, 3), 255, np.uint8)
    for k, (text, colour) in enumerate(lines):
        _text(strip, text, (8 * unit, pitch * (k + 1)), 0.55 * max(unit, 0.5), colour)
    return strip


def _note_line(note: Note) -> str:
    return f"{note.severity}: {note.where}: {note.text} [{note.code}]"
