"""All printed marks of a rectified page in one reading: names, pulses, ticks, calibration text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.mark_ink import STROKE_REACH_MM, page_darkness
from cinc_ecg.digitization.mark_words import find_pieces, letters_of, text_lines
from cinc_ecg.digitization.names import names_on
from cinc_ecg.digitization.page_text import ScaleText, calibration_text_on
from cinc_ecg.digitization.pulses import find_pulses
from cinc_ecg.digitization.separators import find_separators
from cinc_ecg.digitization.strokes import upright_strokes
from cinc_ecg.types import LeadName, Pulse, Separator


@dataclass(frozen=True, slots=True)
class PageMarks:
    """What is printed on a page beside grid and traces, in page millimetres."""

    names: tuple[LeadName, ...]
    pulses: tuple[Pulse, ...]
    separators: tuple[Separator, ...]
    text: tuple[ScaleText, ...]


def read_marks(
    page: NDArray[np.uint8], px_per_mm: float, *, origin_mm: tuple[float, float] = (0.0, 0.0)
) -> PageMarks:
    """Read the marks of a rectified, upright page.

    Args:
        page: (height, width, 3) RGB or (height, width) grey, uint8. Pixel (column c, row r) lies
            at page position `origin_mm + (c, r) / px_per_mm`; 6 to 8 px/mm serve best.
    """
    darkness = page_darkness(page, px_per_mm, origin_mm=origin_mm)
    letters, strokes = darkness.ink(), darkness.ink(STROKE_REACH_MM)
    pieces = find_pieces(letters)
    uprights = upright_strokes(strokes, text_lines(letters_of(pieces, letters.px_per_mm)))
    pulses = find_pulses(strokes, uprights)
    names = names_on(letters, pieces, pulses)
    ticks = find_separators(strokes, pulses, names, uprights)
    text = calibration_text_on(letters, pieces)
    return PageMarks(tuple(names), tuple(pulses), tuple(ticks), tuple(text))
