"""Ink of a rectified page with its grid taken away: what names, text, pulses and ticks are looked
for in.

Text and trace are neutral and dark, the grid is coloured or lighter, and where it is neither, its
lines are the only thing on the page that runs straight along an axis for centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatMap = NDArray[np.float32]
Box = tuple[float, float, float, float]

#: Resolution at which marks are read: 2 mm letters are 12 px high; other pages are brought to it.
WORK_PX_PER_MM = 6.0
#: The darkest pixels that set the ink level: trace and text together cover about one per cent of a
#: page.
_INK_SHARE = 0.003
#: No printed stroke is wider than this; wider darkness is shadow, dirt or the table.
_STROKE_MM = 2.0
#: A grid line shows on both sides of a pixel for at least this long; no stroke of a letter does.
LETTER_REACH_MM = 6.0
#: No calibration pulse or tick is higher than twice this.
STROKE_REACH_MM = 16.0


@dataclass(frozen=True, slots=True)
class MarkInk:
    """Ink evidence on the page.

    Pixel (column c, row r) of `ink` lies at page position `origin_mm + (c, r) / px_per_mm`.

    Attributes:
        ink: (height, width) float32, 0 paper or grid, 1 full ink.
        contrast: Darkness of full ink above the grid's, 0..1 of the paper's brightness.
    """

    ink: FloatMap
    px_per_mm: float
    origin_mm: tuple[float, float]
    contrast: float

    def box_mm(self, box_px: Box) -> Box:
        """Return a pixel box (x1, y1 exclusive) in page millimetres."""
        ox, oy = self.origin_mm
        x0, y0, x1, y1 = ((edge - 0.5) / self.px_per_mm for edge in box_px)
        return ox + x0, oy + y0, ox + x1, oy + y1

    def box_px(self, box_mm: Box) -> Box:
        """Return a box in page millimetres in pixels, the inverse of `box_mm`."""
        ox, oy = self.origin_mm
        x0, y0, x1, y1 = box_mm
        k = self.px_per_mm
        return (x0 - ox) * k + 0.5, (y0 - oy) * k + 0.5, (x1 - ox) * k + 0.5, (y1 - oy) * k + 0.5


@dataclass(frozen=True, slots=True)
class PageDarkness:
    """Darkness relative to the paper, grid included; pixels lie as in `MarkInk`."""

    dark: FloatMap
    px_per_mm: float
    origin_mm: tuple[float, float]

    def ink(self, reach_mm: float = LETTER_REACH_MM) -> MarkInk:
        """Take the grid away: the level of lines running along an axis for long.

        Args:
            reach_mm: What runs straight for longer than this to both sides is grid.
        """
        dark = self.dark
        reach = max(round(reach_mm * self.px_per_mm), 2)
        lines = np.maximum(_line_level(dark, reach, 1), _line_level(dark, reach, 0))
        above = dark - lines
        flat = above[above > 0.02]
        full = 0.5
        if flat.size:
            kth = max(flat.size - max(int(_INK_SHARE * dark.size), 1), 0)
            full = float(np.mean(np.partition(flat, kth)[kth:]))
        # An ink pixel on a grid line is as dark as one beside it, so the scale there is shorter.
        room = np.maximum(full - lines, 0.35 * full)
        ink = np.clip(above / room, 0.0, 1.0).astype(np.float32)
        return MarkInk(ink, self.px_per_mm, self.origin_mm, full)


def page_darkness(
    page: NDArray[np.uint8], px_per_mm: float, *, origin_mm: tuple[float, float] = (0.0, 0.0)
) -> PageDarkness:
    """Return the darkness of a rectified, upright page relative to its paper.

    Args:
        page: (height, width, 3) RGB or (height, width) grey, uint8; grid lines run along the axes.
        px_per_mm: Resolution of `page`.
        origin_mm: Page position of pixel (0, 0).
    """
    if page.ndim == 2:
        page = np.repeat(page[:, :, None], 3, axis=2)
    if not 0.9 * WORK_PX_PER_MM < px_per_mm < 1.1 * WORK_PX_PER_MM:
        page, px_per_mm, origin_mm = _resampled(page, px_per_mm, origin_mm)
    return PageDarkness(_darkness(page, px_per_mm), px_per_mm, origin_mm)


def mark_ink(
    page: NDArray[np.uint8],
    px_per_mm: float,
    *,
    origin_mm: tuple[float, float] = (0.0, 0.0),
    reach_mm: float = LETTER_REACH_MM,
) -> MarkInk:
    """Return the ink of a rectified, upright page.

    Method: darkness relative to the local paper, the least over the colour channels (a coloured
    grid is bright in one of them), minus the level of axis-parallel lines, scaled so that the
    page's darkest strokes are 1. Arguments as in `page_darkness` and `PageDarkness.ink`; the
    default reach serves letters, `STROKE_REACH_MM` pulses and ticks.
    """
    return page_darkness(page, px_per_mm, origin_mm=origin_mm).ink(reach_mm)


def _resampled(
    page: NDArray[np.uint8], px_per_mm: float, origin_mm: tuple[float, float]
) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
    """Return the page at the working resolution; its pixel (0, 0) lies a little off."""
    height, width = page.shape[:2]
    factor = px_per_mm / WORK_PX_PER_MM
    # A whole number of output pixels would change the scale by a different factor in x and y: warp
    # instead.
    size = (int(width / factor), int(height / factor))
    blurred = cv2.GaussianBlur(page, (0, 0), 0.45 * factor) if factor > 1.3 else page
    shift = 0.5 * (factor - 1.0)
    matrix = np.array([[factor, 0.0, shift], [0.0, factor, shift]])
    flags = (cv2.INTER_LINEAR if factor > 1 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
    small = cv2.warpAffine(blurred, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    origin = (origin_mm[0] + shift / px_per_mm, origin_mm[1] + shift / px_per_mm)
    return np.asarray(small, np.uint8), WORK_PX_PER_MM, origin


def _darkness(page: NDArray[np.uint8], px_per_mm: float) -> FloatMap:
    """Return 1 - pixel / paper, the least over the channels, lightly smoothed."""
    height, width = page.shape[:2]
    # Closing fills every stroke and grid line and follows shadows down to a few millimetres.
    small = cv2.resize(
        page, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA
    )
    size = 2 * round(0.5 * _STROKE_MM * px_per_mm / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    small = cv2.GaussianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel), (0, 0), size / 2)
    paper = np.maximum(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 40)
    brightest = np.zeros((height, width), np.float32)
    for channel in range(3):
        ratio = cv2.divide(page[..., channel], paper[..., channel], dtype=cv2.CV_32F)
        np.maximum(brightest, ratio, out=brightest)
    dark = 1.0 - np.minimum(brightest, 1.0)
    return cv2.GaussianBlur(dark, (0, 0), 0.08 * px_per_mm).astype(np.float32)


def _line_level(dark: FloatMap, n: int, axis: int) -> FloatMap:
    """Return how dark a straight line through each pixel along `axis` is.

    That is the lesser mean of n pixels to its two sides (an end of a stroke has only one side), or
    of two stretches of n pixels on one side: the grid ends at the edge of the paper.
    """
    n = min(n, dark.shape[axis])
    before, after = _side_mean(dark, n, axis, -1), _side_mean(dark, n, axis, 1)
    level = np.minimum(before, after)
    for mean, step in ((before, n), (after, -n)):
        far = np.roll(mean, step, axis=axis)
        # What rolled in from the other end has no second stretch.
        rolled = slice(None, step) if step > 0 else slice(step, None)
        far[(slice(None), rolled) if axis == 1 else rolled] = 0.0
        np.maximum(level, np.minimum(mean, far), out=level)
    return level


def _side_mean(dark: FloatMap, n: int, axis: int, side: int) -> FloatMap:
    """Return the mean of n pixels along an axis ending (-1) or beginning (1) at each pixel."""
    size = (n, 1) if axis == 1 else (1, n)
    last = (n - 1, 0) if axis == 1 else (0, n - 1)
    anchor = last if side < 0 else (0, 0)
    mean = cv2.boxFilter(dark, -1, size, anchor=anchor, borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32)
