"""Turn a rectified page upright: rows run from left to right and the lead names can be read."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cinc_ecg.digitization.mark_ink import STROKE_REACH_MM, page_darkness
from cinc_ecg.digitization.marks import PageMarks, read_marks
from cinc_ecg.digitization.rows import Row, find_rows
from cinc_ecg.geometry import warp_box
from cinc_ecg.types import Orientation, PageGeometry

#: Resolution of the rectified page on which rows and marks are read.
_MIN_PX_PER_MM, _MAX_PX_PER_MM = 4.0, 8.0
#: Summed scores of lead names from which a page counts as upright without trying it upside down.
_SURE_NAMES = 3.0


@dataclass(frozen=True, slots=True)
class UprightPage:
    """A page the right way up with what is printed on it.

    Attributes:
        geometry: Page-to-image map in the upright frame.
        pixels: (h, w, 3) rectified page; pixel (c, r) lies at `origin_mm + (c, r) / px_per_mm`.
        orientation: How the picture was turned.
        rows: Trace rows, top to bottom.
        marks: Names, pulses, separators and calibration text.
    """

    geometry: PageGeometry
    pixels: np.ndarray
    px_per_mm: float
    origin_mm: tuple[float, float]
    orientation: Orientation
    rows: tuple[Row, ...]
    marks: PageMarks


def turned(geometry: PageGeometry, quarter_turns: int, mirrored: bool = False) -> PageGeometry:
    """Return the geometry of the page mirrored left to right, then turned counter-clockwise."""
    nodes = geometry.nodes_px[:, ::-1] if mirrored else geometry.nodes_px
    nodes = np.rot90(nodes, quarter_turns)
    pitch = geometry.pitch_mm if quarter_turns % 2 == 0 else geometry.pitch_mm[::-1]
    return PageGeometry(nodes, (0.0, 0.0), (pitch[0], pitch[1]), geometry.calibrated)


def stand_upright(
    pixels: np.ndarray,
    geometry: PageGeometry,
    mask: np.ndarray | None,
    known: Orientation | None = None,
) -> UprightPage:
    """Choose among four quarter turns and, when nothing else can be read, their mirror images.

    Args:
        pixels: (H, W, 3) picture with dark ink on light paper.
        geometry: From the page reader, in whatever orientation the picture has.
        mask: (H, W) True on paper, or None.
        known: Orientation from a reader that knows it; nothing else is tried then.
    """
    if known is not None:
        return _read(pixels, geometry, mask, known)
    first = _read(pixels, geometry, mask, Orientation())
    if _merit(first) >= _SURE_NAMES and first.rows:
        return first
    tried = [first]
    sideways = _read(pixels, geometry, mask, Orientation(1))
    tried.append(sideways)
    # Rows tell lying from standing pages; names tell up from down.
    tried += [_read(pixels, geometry, mask, Orientation(k)) for k in _half_turns(first, sideways)]
    best = max(tried, key=_merit)
    if _merit(best) < 0.5 * _SURE_NAMES:
        mirrored = [
            _read(pixels, geometry, mask, Orientation(k, True))
            for k in (best.orientation.quarter_turns,)
        ]
        candidate = max(mirrored, key=_merit)
        if _merit(candidate) > 2.0 * _merit(best) + 1.0:
            best = candidate
    return best


def _half_turns(first: UprightPage, sideways: UprightPage) -> tuple[int, ...]:
    standing, lying = _length(first), _length(sideways)
    if standing > 2 * lying:
        return (2,)
    if lying > 2 * standing:
        return (3,)
    return (2, 3)


def _length(page: UprightPage) -> float:
    return sum((row.x1_mm - row.x0_mm) * row.coverage for row in page.rows)


def _merit(page: UprightPage) -> float:
    """Weigh an orientation by the lead names read; pulses and rows decide where there are none."""
    if not page.rows:
        return 0.0
    names = sum(n.score for n in page.marks.names if n.score > 0.5 and n.lead != "I")
    pulses = sum(1 for p in page.marks.pulses if 4.0 < p.height_mm < 21.0)
    return names + 0.3 * min(pulses, 4) + 0.001 * _length(page)


def _read(
    pixels: np.ndarray, geometry: PageGeometry, mask: np.ndarray | None, orientation: Orientation
) -> UprightPage:
    upright = turned(geometry, orientation.quarter_turns, orientation.mirrored)
    scale = float(np.clip(max(upright.px_per_mm), _MIN_PX_PER_MM, _MAX_PX_PER_MM))
    extent = upright.extent_mm
    page, valid = warp_box(pixels, upright, extent, scale, interpolation=cv2.INTER_CUBIC)
    if mask is not None:
        paper, _ = warp_box(
            mask.astype(np.uint8),
            upright,
            extent,
            scale,
            interpolation=cv2.INTER_NEAREST,
            border=(0, 0, 0),
        )
        valid &= paper > 0
    page = _blank_outside(page, valid, scale)
    origin = (extent[0], extent[1])
    strokes = page_darkness(page, scale, origin_mm=origin).ink(STROKE_REACH_MM)
    rows = tuple(find_rows(strokes))
    marks = read_marks(page, scale, origin_mm=origin)
    return UprightPage(upright, page, scale, origin, orientation, rows, marks)


def _blank_outside(page: np.ndarray, valid: np.ndarray, px_per_mm: float) -> np.ndarray:
    """Fill everything off the paper, and a rim of it, with the colour of the paper."""
    size = 2 * round(1.0 * px_per_mm) + 1
    inside = cv2.erode(valid.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1) > 0
    if inside.all():
        return page
    page = page.copy()
    page[~inside] = np.percentile(page[inside][::7], 70, axis=0) if inside.any() else 255
    return page
