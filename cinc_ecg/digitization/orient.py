"""Turn a rectified page upright: rows run from left to right and the lead names can be read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import cv2
import numpy as np

from cinc_ecg.digitization.mark_ink import (
    LETTER_REACH_MM,
    STROKE_REACH_MM,
    MarkInk,
    page_darkness,
)
from cinc_ecg.digitization.marks import PageMarks, marks_on
from cinc_ecg.digitization.rows import Row, find_rows
from cinc_ecg.digitization.seen import rows_with_seen
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.geometry import PixelMap, inside, pixel_map, warp_through
from cinc_ecg.types import Orientation, PageEvidence, PageGeometry

#: Resolution of the rectified page on which rows and marks are read.
_MIN_PX_PER_MM, _MAX_PX_PER_MM = 4.0, 8.0
#: Marks are read up to this far outside the grid.
_TEXT_REACH_MM = 15.0
#: Merit from which no mirror image is tried, and summed scores of names with a V (II and III read
#: the same upside down) from which no other orientation is.
_SURE_MERIT = 1.5
_SURE_NAMES = 2.0


#: Lead names from which the page reader's rows are believed.
_VOUCHING_NAMES = 2


@dataclass(frozen=True, slots=True)
class UprightPage:
    """A page the right way up with what is printed on it.

    Attributes:
        geometry: Page-to-image map in the upright frame.
        pixels: (h, w, 3) rectified page; pixel (c, r) lies at `origin_mm + (c, r) / px_per_mm`.
        orientation: How the picture was turned.
        rows: Trace rows, top to bottom.
        doubted_rows: The same with those that only a page reader sees, if there are any.
        marks: Names, pulses, separators and calibration text.
    """

    geometry: PageGeometry
    pixels: np.ndarray
    px_per_mm: float
    origin_mm: tuple[float, float]
    orientation: Orientation
    rows: tuple[Row, ...]
    marks: PageMarks
    doubted_rows: tuple[Row, ...] = ()


def turned(geometry: PageGeometry, quarter_turns: int, mirrored: bool = False) -> PageGeometry:
    """Return the geometry of the page mirrored left to right, then turned counter-clockwise."""
    nodes = geometry.nodes_px[:, ::-1] if mirrored else geometry.nodes_px
    nodes = np.rot90(nodes, quarter_turns)
    pitch = geometry.pitch_mm if quarter_turns % 2 == 0 else geometry.pitch_mm[::-1]
    return PageGeometry(nodes, (0.0, 0.0), (pitch[0], pitch[1]), geometry.calibrated)


def stand_upright(
    pixels: np.ndarray,
    evidence: PageEvidence,
    geometry: PageGeometry,
    *,
    settled: bool = False,
) -> UprightPage:
    """Choose among four quarter turns and, when nothing else can be read, their mirror images.

    Args:
        pixels: (H, W, 3) picture with dark ink on light paper.
        evidence: Masks from the page reader. Its orientation, if it has one, is tried first; the
            names that can be read there decide whether others are tried.
        geometry: The page's geometry in whatever orientation the picture has.
        settled: The evidence's orientation is taken as it is.
    """
    pixels = _smooth(pixels, geometry)
    read = cache(partial(_read, pixels, evidence, geometry))
    guess = evidence.orientation or Orientation()
    first = read(guess)
    if settled or _is_sure(first):
        return first
    plain, sideways = read(Orientation()), read(Orientation(1))
    # Rows tell lying from standing pages; names tell up from down.
    tried = [first, plain, sideways]
    tried += [read(Orientation(k)) for k in _half_turns(plain, sideways)]
    best = max(tried, key=_merit)
    if _merit(best) < _SURE_MERIT:
        candidate = read(Orientation(best.orientation.quarter_turns, True))
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


def _is_sure(page: UprightPage) -> bool:
    names = [n.score for n in page.marks.names if n.score > 0.5 and "V" in n.lead]
    return bool(page.rows) and sum(names) >= _SURE_NAMES


def _merit(page: UprightPage) -> float:
    """Weigh an orientation by the lead names read; pulses and rows decide where there are none."""
    if not page.rows:
        return 0.0
    names = sum(n.score for n in page.marks.names if n.score > 0.5 and n.lead != "I")
    pulses = sum(1 for p in page.marks.pulses if 4.0 < p.height_mm < 21.0)
    return names + 0.3 * min(pulses, 4) + 0.001 * _length(page)


def _scale(geometry: PageGeometry) -> float:
    """Return the pixels per mm of the page that marks are read on."""
    return float(np.clip(max(geometry.px_per_mm), _MIN_PX_PER_MM, _MAX_PX_PER_MM))


def _smooth(pixels: np.ndarray, geometry: PageGeometry) -> np.ndarray:
    """Return the picture ready to be shrunk: else edges move by where the samples fall."""
    factor = max(geometry.px_per_mm) / _scale(geometry)
    if factor <= 1.0:
        return pixels
    return cv2.GaussianBlur(pixels, (0, 0), 0.5 * np.sqrt(factor**2 - 1.0) + 1e-3)


def _read(
    pixels: np.ndarray, evidence: PageEvidence, geometry: PageGeometry, orientation: Orientation
) -> UprightPage:
    upright = turned(geometry, orientation.quarter_turns, orientation.mirrored)
    scale = _scale(upright)
    extent = upright.extent_mm
    place = pixel_map(upright, extent, scale)
    page, valid = warp_through(pixels, place, interpolation=cv2.INTER_CUBIC), inside(pixels, place)
    grid = valid
    if evidence.page_mask is not None:
        valid = valid & _warped(evidence.page_mask, place)
    if evidence.grid_mask is not None:
        grid = _warped(evidence.grid_mask, place)
        # Text may stand beside the grid, but what lies far from it is not the page.
        valid = valid & _grown(grid, _TEXT_REACH_MM, scale)
    page = _blank_outside(page, valid, scale)
    origin = (extent[0], extent[1])
    darkness = page_darkness(page, scale, origin_mm=origin)
    letters, strokes = side_by_side(darkness.ink, (LETTER_REACH_MM, STROKE_REACH_MM))
    marks = marks_on(letters, strokes)
    printed = _at_resolution(_shrunk(valid & grid, 1.0, scale), strokes)
    rows = tuple(find_rows(strokes, printed, marks.pulses))
    # Curves that are no leads look like traces too: names vouch for what only the reader sees.
    named = {n.lead for n in marks.names if n.score > 0.6 and n.lead != "I"}
    more = rows
    if evidence.trace is not None and len(named) >= _VOUCHING_NAMES:
        more = rows_with_seen(rows, evidence.trace, upright, valid, marks.pulses)
    doubted = more if len(more) > len(rows) else ()
    return UprightPage(upright, page, scale, origin, orientation, rows, marks, doubted)


def _warped(mask: np.ndarray, place: PixelMap) -> np.ndarray:
    flat = mask.astype(np.uint8)
    return warp_through(flat, place, interpolation=cv2.INTER_NEAREST, border=(0, 0, 0)) > 0


def _square(reach_mm: float, px_per_mm: float) -> np.ndarray:
    size = 2 * round(reach_mm * px_per_mm) + 1
    return np.ones((size, size), np.uint8)


def _grown(mask: np.ndarray, reach_mm: float, px_per_mm: float) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), _square(reach_mm, px_per_mm)) > 0


def _shrunk(mask: np.ndarray, reach_mm: float, px_per_mm: float) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), _square(reach_mm, px_per_mm), borderValue=0) > 0


def _at_resolution(mask: np.ndarray, marks: MarkInk) -> np.ndarray:
    """Resample a mask of the rectified page to the pixels of its ink map."""
    height, width = marks.ink.shape
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _blank_outside(page: np.ndarray, valid: np.ndarray, px_per_mm: float) -> np.ndarray:
    """Fill everything off the paper, and a rim of it, with the colour of the paper."""
    kept = _shrunk(valid, 1.0, px_per_mm)
    if kept.all():
        return page
    page = page.copy()
    sample = page.reshape(-1, 3)[np.flatnonzero(kept)[::7]]
    colour = np.percentile(sample, 70, axis=0) if len(sample) else np.full(3, 255)
    cv2.copyTo(np.full_like(page, colour.astype(np.uint8)), (~kept).astype(np.uint8), page)
    return page
