"""All printed marks of a rectified page in one reading: names, pulses, ticks, calibration text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.mark_ink import STROKE_REACH_MM, MarkInk, page_darkness
from cinc_ecg.digitization.mark_words import INK_THRESHOLDS, find_pieces, letters_of, text_lines
from cinc_ecg.digitization.names import names_on
from cinc_ecg.digitization.page_text import ScaleText, calibration_text_on
from cinc_ecg.digitization.pulses import find_pulses
from cinc_ecg.digitization.separators import find_separators
from cinc_ecg.digitization.strokes import upright_strokes
from cinc_ecg.digitization.threads import beside
from cinc_ecg.types import LeadName, Pulse, Separator

#: Half the pen of a pulse or tick with its blur, and marks sure and high enough to be taken away.
_HALF_PEN_MM = 0.27
_SURE_PULSE = 0.4
_HIGH_TICK_MM = 4.5


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
    return marks_on(darkness.ink(), darkness.ink(STROKE_REACH_MM))


def marks_on(letters: MarkInk, strokes: MarkInk) -> PageMarks:
    """Read the marks of a page whose ink is known, as `read_marks` does.

    Args:
        letters, strokes: The page's ink with the usual reach and with `STROKE_REACH_MM`.
    """
    pieces = find_pieces(letters)
    uprights = upright_strokes(strokes, text_lines(letters_of(pieces, letters.px_per_mm)))
    pulses = find_pulses(strokes, uprights)
    ticks = find_separators(strokes, pulses, (), uprights)
    # Pulses and ticks touch the names beside them.
    bare = _without(letters, pulses, ticks)
    plain, faint = (find_pieces(bare, threshold) for threshold in INK_THRESHOLDS)
    text = beside(lambda: calibration_text_on(bare, plain, faint))
    names = names_on(bare, plain, pulses, faint)
    ticks = find_separators(strokes, pulses, names, uprights)
    return PageMarks(tuple(names), tuple(pulses), tuple(ticks), tuple(text()))


def _without(marks: MarkInk, pulses: Sequence[Pulse], ticks: Sequence[Separator]) -> MarkInk:
    """Return the ink without pulses and ticks."""
    boxes = [(t.x_mm, t.y0_mm, t.x_mm, t.y1_mm) for t in ticks if t.y1_mm - t.y0_mm > _HIGH_TICK_MM]
    for p in pulses:
        if p.score > _SURE_PULSE:
            boxes += [(x, p.top_mm, x, p.foot_mm) for x in (p.x0_mm, p.x1_mm)]
            boxes.append((p.x0_mm, p.top_mm, p.x1_mm, p.top_mm))
    ink = marks.ink.copy()
    for left, top, right, bottom in boxes:
        grown = (
            left - _HALF_PEN_MM,
            top - _HALF_PEN_MM,
            right + _HALF_PEN_MM,
            bottom + _HALF_PEN_MM,
        )
        x0, y0, x1, y1 = (max(round(v), 0) for v in marks.box_px(grown))
        ink[y0:y1, x0:x1] = 0.0
    return replace(marks, ink=ink)
