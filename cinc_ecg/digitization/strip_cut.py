"""Cut the trace rows out of a picture: one raster in page millimetres that all rows share.

Rows reach past their neighbours' baselines, so most of the page belongs to two or three of them.
Warping is the dear part: each place is warped once, and the strips are windows on the result. Over
four times four pixels (bicubic), for over eight times eight (Lanczos) it takes three times as long
and the signals are no better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.errors import LayoutNotFound
from cinc_ecg.geometry import warp_box
from cinc_ecg.types import PageGeometry, Strip

Box = tuple[float, float, float, float]

#: Least and greatest resolution of strips.
_PX_PER_MM = (10.0, 12.0)
#: Paper beyond the ends of a row.
_BESIDE_MM = 2.0
#: How far from its baseline a row's strokes are followed: this share of the way to the neighbour's,
#: within limits; the way itself where there is no neighbour.
_REACH, _REACH_MM, _NO_NEIGHBOUR_MM = 1.25, (16.0, 42.0), 30.0
#: Rows of the raster that are warped at once.
_BAND_PX = 200


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows and columns of the raster, ends exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def cut_strips(pixels: np.ndarray, geometry: PageGeometry, frame: Frame) -> list[Strip]:
    """Rectify every trace row with one warp from the original pixels.

    Args:
        pixels: (H, W, 3) picture in even light.
        geometry: Of the upright page.
        frame: The page's rows.

    Returns:
        Strips in the order of the rows; their pixels are views of one array.

    Raises:
        LayoutNotFound: A row lies outside the picture.
    """
    scale = float(np.clip(max(geometry.px_per_mm), *_PX_PER_MM))
    boxes = _boxes(geometry, frame)
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    windows = [_window(box, (x0, y0), scale) for box in boxes]
    colours, inside = _raster(pixels, geometry, (x0, y0), scale, windows)
    strips = []
    for index, (row, window) in enumerate(zip(frame.rows, windows, strict=True)):
        columns = slice(window.left, window.right)
        shown = np.flatnonzero(inside[window.top : window.bottom, columns].mean(1) > 0.5)
        if len(shown) == 0:
            raise LayoutNotFound(f"row {index + 1} lies outside the picture")
        top, bottom = window.top + int(shown[0]), window.top + int(shown[-1]) + 1
        strips.append(
            Strip(
                row=index,
                pixels=colours[top:bottom, columns],
                x0_mm=x0 + window.left / scale,
                y0_mm=y0 + top / scale,
                px_per_mm=scale,
                baseline_mm=row.baseline_mm,
                valid=inside[top:bottom, columns],
            )
        )
    return strips


def _boxes(geometry: PageGeometry, frame: Frame) -> list[Box]:
    """Return each row's box on the page in mm."""
    baselines = [row.baseline_mm for row in frame.rows]
    _, page_top, _, page_bottom = geometry.extent_mm
    boxes = []
    for index, row in enumerate(frame.rows):
        above, below = _reach(baselines, index)
        top = max(row.baseline_mm - above, page_top)
        bottom = min(row.baseline_mm + below, page_bottom)
        x0, x1 = min(row.x0_mm, frame.x0_mm), max(row.x1_mm, frame.x1_mm)
        boxes.append((x0 - _BESIDE_MM, top, x1 + _BESIDE_MM, bottom))
    return boxes


def _reach(baselines: Sequence[float], index: int) -> tuple[float, float]:
    """How far from its baseline a row's strokes are followed: past the neighbours' baselines."""
    last = len(baselines) - 1
    above = baselines[index] - baselines[index - 1] if index else _NO_NEIGHBOUR_MM
    below = baselines[index + 1] - baselines[index] if index < last else _NO_NEIGHBOUR_MM
    return float(np.clip(_REACH * above, *_REACH_MM)), float(np.clip(_REACH * below, *_REACH_MM))


def _window(box: Box, origin: tuple[float, float], scale: float) -> _Window:
    """Return the window of the raster nearest to a box of the page."""
    (x0, y0, x1, y1), (left, top) = box, origin
    ends = ((x0 - left), (y0 - top), (x1 - left), (y1 - top))
    return _Window(*(round(end * scale) for end in ends))


def _raster(
    pixels: np.ndarray,
    geometry: PageGeometry,
    origin: tuple[float, float],
    scale: float,
    windows: Sequence[_Window],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Warp all that the windows show: colours, and where they lie in the picture.

    Pixel (column c, row r) lies at `origin + (c, r) / scale` on the page.
    """
    width, height = max(w.right for w in windows), max(w.bottom for w in windows)
    x0, y0 = origin

    def band(top: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        bottom = min(top + _BAND_PX, height)
        if not any(w.top < bottom and w.bottom > top for w in windows):
            shape = (bottom - top, width)
            return np.full((*shape, 3), 255, np.uint8), np.zeros(shape, bool)
        box = (x0, y0 + top / scale, x0 + width / scale, y0 + bottom / scale)
        return warp_box(pixels, geometry, box, scale, interpolation=cv2.INTER_CUBIC)

    colours, inside = zip(*side_by_side(band, range(0, height, _BAND_PX)), strict=True)
    return np.concatenate(colours), np.concatenate(inside)
