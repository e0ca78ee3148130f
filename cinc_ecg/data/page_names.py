"""Lead names and stray words of training pages, in more letterings than any font folder holds.

A word is drawn large, in an everyday font or with the strokes of a plotter, then made wider or
narrower, bolder or finer, upright or slanted. The benchmark's fonts are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.raster import blend
from cinc_ecg.synth.settings import Rgb
from cinc_ecg.synth.text import DEFAULT_FONTS, text_coverage
from cinc_ecg.types import Layout, LeadName

Coverage = NDArray[np.float32]
Box = tuple[float, float, float, float]

_FONTS = (
    *DEFAULT_FONTS,
    "DejaVuSans-BoldOblique.ttf",
    "DejaVuSansMono-Oblique.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSerif-BoldItalic.ttf",
)
_PLOTTERS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_EM_PX, _CAP_PX = 60.0, 44
#: Height of a capital over the em of the fonts.
_CAP_OF_EM = 0.73
_STRAY = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789:/.-+%()"


@dataclass(frozen=True, slots=True)
class Lettering:
    """How all words of one kind look on one page.

    Attributes:
        font: File name of a font, or None for a plotter's strokes.
        plotter, pen_px: OpenCV's face and thickness at `_CAP_PX`.
        stretch: Width over the usual width.
        slant: Shift to the right per unit of height.
        weight: Pixels (of a letter `_CAP_PX` high) by which strokes are grown, or eroded if < 0.
        cap_mm: Height of a capital.
    """

    font: str | None
    plotter: int
    pen_px: int
    stretch: float
    slant: float
    weight: int
    cap_mm: float

    def word(self, text: str, px_per_mm: float) -> Coverage:
        """Return a word's ink (h, w), trimmed."""
        ink = self._large(text)
        if self.weight:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(self.weight) + 1,) * 2)
            change = cv2.dilate if self.weight > 0 else cv2.erode
            ink = np.asarray(change(ink, kernel), np.float32)
        scale = self.cap_mm * px_per_mm / _CAP_PX
        height, width = ink.shape
        wide, lean = scale * self.stretch, scale * self.slant
        size = (int(width * wide + height * abs(lean)) + 3, int(height * scale) + 3)
        start = height * lean if lean > 0 else 0.0
        matrix = np.array([[wide, -lean, 1.0 + start], [0.0, scale, 1.0]])
        sigma = 0.45 / scale
        if scale < 1.0:
            ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), sigma), np.float32)
        return _trimmed(np.asarray(cv2.warpAffine(ink, matrix, size), np.float32))

    def _large(self, text: str) -> Coverage:
        pad = 8
        if self.font is not None:
            ink = text_coverage(text, self.font, _EM_PX)
            wide = cv2.resize(ink, None, fx=_CAP_PX / (_CAP_OF_EM * _EM_PX), fy=1.0)
            return np.pad(np.asarray(wide, np.float32), pad)
        (width, height), below = cv2.getTextSize(text, self.plotter, 2.0, self.pen_px)
        canvas = np.zeros((height + below + 2 * pad, width + 2 * pad), np.uint8)
        place = (pad, height + pad)
        cv2.putText(canvas, text, place, self.plotter, 2.0, 255, self.pen_px, cv2.LINE_AA)
        return np.asarray(canvas, np.float32) / np.float32(255)


def draw_lettering(rng: np.random.Generator) -> Lettering:
    """Draw a lettering."""
    drawn = rng.random() < 0.6
    return Lettering(
        font=str(rng.choice(_FONTS)) if drawn else None,
        plotter=int(rng.choice(_PLOTTERS)),
        pen_px=int(rng.integers(2, 9)),
        stretch=float(np.exp(rng.normal(0.0, 0.13))),
        slant=float(rng.uniform(-0.1, 0.3)) if rng.random() < 0.3 else 0.0,
        weight=int(rng.integers(-1, 3)) if drawn else 0,
        cap_mm=float(np.exp(rng.uniform(np.log(1.7), np.log(4.2)))),
    )


def write_names(
    rng: np.random.Generator,
    pixels: NDArray[np.uint8],
    layout: Layout,
    px_per_mm: float,
    colour: Rgb,
) -> tuple[LeadName, ...]:
    """Write the names of a flat page's panels, all alike, into its pixels.

    Returns:
        The names with the boxes of their ink in page mm.
    """
    lettering = draw_lettering(rng)
    style = str(rng.choice(["{}", "{}", "{}", "{}:", "Lead {}", "{} "]))
    upper = rng.random() < 0.3
    above = rng.random() < 0.65
    gap_mm = rng.uniform(1.0, 10.0)
    right_mm = rng.uniform(-1.0, 4.0) if rng.random() < 0.85 else -rng.uniform(4.0, 11.0)
    sloppy = rng.exponential(0.4)
    written = []
    for panel in layout.panels:
        lead = panel.lead.upper() if upper else panel.lead
        text = style.format(f"-{lead}" if panel.inverted else lead)
        ink = lettering.word(text, px_per_mm)
        x = panel.box_mm[0] + right_mm + rng.normal(0.0, sloppy)
        y = panel.baseline_mm + (-gap_mm if above else gap_mm) + rng.normal(0.0, sloppy)
        box = _blend(pixels, ink, colour, x, y, px_per_mm)
        written.append(LeadName(panel.lead, box, 1.0, panel.inverted))
    return tuple(written)


def write_stray(
    rng: np.random.Generator,
    pixels: NDArray[np.uint8],
    px_per_mm: float,
    colour: Rgb,
    taken: tuple[LeadName, ...],
) -> None:
    """Write words that are no lead names, anywhere but over one."""
    height, width = (side / px_per_mm for side in pixels.shape[:2])
    for _ in range(int(rng.integers(0, 9))):
        letters = rng.choice(list(_STRAY), int(rng.integers(2, 12)))
        ink = draw_lettering(rng).word("".join(letters), px_per_mm)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        x1, y1 = x + ink.shape[1] / px_per_mm, y + ink.shape[0] / px_per_mm
        boxes = [name.box_mm for name in taken]
        if not any(x < b[2] and x1 > b[0] and y < b[3] and y1 > b[1] for b in boxes):
            _blend(pixels, ink, colour, x, y, px_per_mm)


def _blend(
    pixels: NDArray[np.uint8], ink: Coverage, colour: Rgb, x: float, y: float, px_per_mm: float
) -> Box:
    """Put ink with its top left corner at a place in mm; return its box in mm."""
    column, row = round(x * px_per_mm), round(y * px_per_mm)
    blend(pixels, ink, colour, (column, row))
    height, width = ink.shape
    edges = (column, row, column + width, row + height)
    x0, y0, x1, y1 = (float(edge) / px_per_mm for edge in edges)
    return x0, y0, x1, y1


def _trimmed(ink: Coverage) -> Coverage:
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis)) for axis in (1, 0))
    if len(rows) == 0:
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
