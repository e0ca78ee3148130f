"""Pages without a readable grid: scale by the calibration pulses, or say that there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cinc_ecg.digitization.mark_ink import STROKE_REACH_MM, page_darkness
from cinc_ecg.digitization.pulses import find_pulses
from cinc_ecg.digitization.rows import find_rows
from cinc_ecg.geometry import flat_geometry
from cinc_ecg.types import Note, PageGeometry, Pulse

#: Usual widths of what a picture shows: a letter or A4 page, or just the traces of ten seconds.
_USUAL_WIDTHS_MM = (279.4, 260.0, 297.0, 210.0)
_PULSE_MM = 10.0
_MIN_ALIKE = 2
_MAX_TILT_DEG = 12.0


@dataclass(frozen=True, slots=True)
class GridlessPage:
    """A scale found without a grid.

    Attributes:
        geometry: Flat page, turned so that the rows are level.
        note: What the scale rests on.
    """

    geometry: PageGeometry
    note: Note


def scale_without_grid(pixels: np.ndarray, mask: np.ndarray | None = None) -> GridlessPage | None:
    """Look for trace rows and calibration pulses under the usual page widths.

    Like pulses standing in a column are 10 mm high (1 mV at the standard gain), which gives the
    scale of both axes, since pictures have square pixels. Without them the page stays uncalibrated:
    millimetres are nominal and the note says so.

    Args:
        pixels: (H, W, 3) picture with dark ink on light paper.
        mask: (H, W) True on paper.

    Returns:
        The page, or None when no trace rows are seen either.
    """
    height, width = pixels.shape[:2]
    tilt = _tilt_deg(pixels)
    fallback: GridlessPage | None = None
    for page_mm in _USUAL_WIDTHS_MM:
        scale = width / page_mm
        flat = _turned_flat(width, height, scale, tilt)
        level = _level(pixels, tilt)
        strokes = page_darkness(level, scale).ink(STROKE_REACH_MM)
        pulses = _alike(find_pulses(strokes))
        if len(pulses) >= _MIN_ALIKE:
            found = float(np.median([p.height_mm for p in pulses]))
            exact = scale * found / _PULSE_MM
            geometry = _turned_flat(width, height, exact, tilt)
            text = (
                f"no grid; the scale rests on {len(pulses)} calibration pulses taken as 10 mm high"
            )
            return GridlessPage(geometry, Note("scale_from_pulses", "warning", "page", text))
        if fallback is None and len(find_rows(strokes)) >= _MIN_ALIKE:
            text = (
                f"no grid, no pulses: uncalibrated; times and voltages assume a page {page_mm:g} mm"
                " wide. Give the true scale by cropping to a page with a grid"
            )
            fallback = GridlessPage(
                replace(flat, calibrated=False), Note("uncalibrated", "error", "page", text)
            )
    return fallback


def _alike(pulses: list[Pulse]) -> list[Pulse]:
    """Return the largest set of pulses of one height standing in one column."""
    best: list[Pulse] = []
    for one in pulses:
        alike = [
            p
            for p in pulses
            if abs(p.x0_mm - one.x0_mm) < 1.5 and abs(p.height_mm / one.height_mm - 1) < 0.08
        ]
        if len(alike) > len(best) and 4.0 < one.height_mm < 25.0:
            best = alike
    return best


def _tilt_deg(pixels: np.ndarray) -> float:
    """Find the turn that makes the rows level: where the darkness' row profile is sharpest."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = 700.0 / max(grey.shape)
    small = 255.0 - cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small -= np.median(small)
    best = (-np.inf, 0.0)
    centre = (small.shape[1] / 2, small.shape[0] / 2)
    for angle in np.arange(-_MAX_TILT_DEG, _MAX_TILT_DEG + 0.1, 0.5):
        turn = cv2.getRotationMatrix2D(centre, float(angle), 1.0)
        turned = cv2.warpAffine(small, turn, small.shape[1::-1])
        best = max(best, (float(np.var(turned.sum(1))), float(angle)))
    return best[1]


def _level(pixels: np.ndarray, tilt_deg: float) -> np.ndarray:
    if tilt_deg == 0.0:
        return pixels
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), tilt_deg, 1.0)
    return np.asarray(
        cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _turned_flat(width: int, height: int, scale: float, tilt_deg: float) -> PageGeometry:
    """Return a flat page of this scale whose rows run at `tilt_deg` through the picture."""
    geometry = flat_geometry(width, height, scale)
    if tilt_deg == 0.0:
        return geometry
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), tilt_deg, 1.0)
    back = cv2.invertAffineTransform(turn)
    nodes = geometry.nodes_px.reshape(-1, 2) @ back[:, :2].T + back[:, 2]
    return replace(geometry, nodes_px=nodes.reshape(geometry.nodes_px.shape))
