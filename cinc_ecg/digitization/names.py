"""Printed lead names of a rectified page, read without trained weights.

First the names that stand free are read as words of separate glyphs; they tell the page's letter
height and face. With those, names that touch the trace, the grid or each other are looked for where
rows and columns of the names already read lead one to expect them, by how much of a drawn name's
ink is there and how little around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.mark_ink import MarkInk, mark_ink
from cinc_ecg.digitization.mark_words import (
    INK_THRESHOLDS,
    Piece,
    find_pieces,
    group_words,
    letters_of,
    text_lines,
)
from cinc_ecg.digitization.name_bars import Style, search_bars
from cinc_ecg.digitization.name_places import (
    best_per_place,
    page_style,
    refined_style,
    search_v_names,
)
from cinc_ecg.digitization.name_reading import Reading, read_words, with_sign
from cinc_ecg.digitization.name_search import saturate
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.leads import canonical_lead
from cinc_ecg.types import LeadName, Pulse

#: Scores below this are not reported.
_MIN_SCORE = 0.15


def find_names(
    page: NDArray[np.uint8], px_per_mm: float, *, origin_mm: tuple[float, float] = (0.0, 0.0)
) -> list[LeadName]:
    """Find the lead names printed on a rectified, upright page.

    Args:
        page: (height, width, 3) RGB or (height, width) grey, uint8. Pixel (column c, row r) lies at
        page position
            `origin_mm + (c, r) / px_per_mm`; 6 to 8 px/mm serve best.

    Returns:
        At most one name per place, the surest first.
    """
    return names_on(mark_ink(page, px_per_mm, origin_mm=origin_mm))


def names_on(
    marks: MarkInk,
    pieces: Sequence[Piece] | None = None,
    pulses: Sequence[Pulse] = (),
    faint_pieces: Sequence[Piece] | None = None,
) -> list[LeadName]:
    """Find lead names on the ink of a page (`mark_ink`), as `find_names` does.

    Args:
        pieces: The ink's pieces from `find_pieces`, if they are known already.
        pulses: Calibration pulses of the page; their sides are no bars of names.
        faint_pieces: Pieces at the lower of `INK_THRESHOLDS`, if they are known already.
    """
    pieces = letters_of(find_pieces(marks) if pieces is None else pieces, marks.px_per_mm)
    if faint_pieces is None:
        faint_pieces = find_pieces(marks, INK_THRESHOLDS[1])
    faint = letters_of(faint_pieces, marks.px_per_mm)
    plain, thin = side_by_side(lambda letters: read_words(group_words(letters)), (pieces, faint))
    both = best_per_place([*plain, *thin])
    readings = [r for r in both if not _on_pulse(marks, r, pulses)]
    texts = text_lines(pieces, least=6)
    readings, style = _with_hidden(marks, readings, pulses, texts)
    readings = [_isolated(with_sign(r, marks), pieces, texts) for r in readings]
    readings = _of_one_style(readings, style)
    kept = sorted((r for r in readings if r.score >= _MIN_SCORE), key=lambda r: -r.score)
    return [_lead_name(marks, r) for r in kept]


def _with_hidden(
    marks: MarkInk,
    readings: Sequence[Reading],
    pulses: Sequence[Pulse],
    texts: Sequence[tuple[int, int, int, int]],
) -> tuple[list[Reading], Style | None]:
    """Add the names that touch other ink; also return the page's style, if any name tells it."""
    ink = saturate(marks.ink)
    found = list(readings)
    style = page_style(found)
    if style is None:
        # At guessed sizes digits are easily mistaken: these matches only tell the style.
        found = best_per_place([*found, *search_v_names(ink, marks.px_per_mm, None)])
        style = page_style(found)
    if style is None:
        return found, None
    style = refined_style(ink, found, style)
    found = best_per_place([*readings, *search_v_names(ink, marks.px_per_mm, style)])
    bars = [
        r
        for r in search_bars(ink, style, found)
        if not _on_pulse(marks, r, pulses) and not _inside(r, texts)
    ]
    return best_per_place([*found, *bars]), style


def _inside(reading: Reading, texts: Sequence[tuple[int, int, int, int]]) -> bool:
    """Tell whether a reading stands in a line of text."""
    x0, y0, x1, y1 = reading.box
    x, y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in texts)


def _on_pulse(marks: MarkInk, reading: Reading, pulses: Sequence[Pulse]) -> bool:
    """Tell whether one of a reading's bars is the side of a pulse."""
    if set(reading.text) != {"I"}:
        return False
    x0, y0, x1, y1 = marks.box_mm(reading.box)
    n = len(reading.text)
    width = 0.14 * (y1 - y0)
    bars = [x0 + width / 2 + (x1 - x0 - width) * i / max(n - 1, 1) for i in range(n)]
    return any(
        abs(bar - side) < 0.3 and y0 < pulse.foot_mm and y1 > pulse.top_mm
        for bar in bars
        for pulse in pulses
        for side in (pulse.x0_mm, pulse.x1_mm)
    )


def _lead_name(marks: MarkInk, reading: Reading) -> LeadName:
    lead = canonical_lead(reading.text) or reading.text
    return LeadName(lead, marks.box_mm(reading.box), round(reading.score, 3), reading.inverted)


def _isolated(
    reading: Reading, pieces: Sequence[Piece], texts: Sequence[tuple[int, int, int, int]]
) -> Reading:
    """Lower the score of a word that stands in a line of text."""
    if _inside(reading, texts):
        return replace(reading, score=0.2 * reading.score)
    x0, y0, x1, y1 = reading.box
    reach = 1.1 * (y1 - y0)
    for p in pieces:
        beside = x0 - reach < p.x1 <= x0 or x1 <= p.x0 < x1 + reach
        overlap = min(p.y1, y1) - max(p.y0, y0)
        if beside and overlap > 0.6 * min(p.height, y1 - y0) and p.height < 1.5 * (y1 - y0):
            return replace(reading, score=0.5 * reading.score)
    return reading


def _of_one_style(readings: Sequence[Reading], style: Style | None) -> list[Reading]:
    """Weigh readings by the letter height of the page's sure names, bars also by their place."""
    if style is None:
        return [replace(r, score=0.4 * r.score) if r.text == "I" else r for r in readings]
    cap = style.cap_px
    caps = [r.cap_px for r in readings if r.free and r.score > 0.5 and r.text[-1] != "I"]
    usual = float(np.median(caps)) if caps else float(cap)
    weighed = []
    for r in readings:
        off = np.log(r.cap_px / usual) if r.free else 0.0
        score = r.score * float(np.exp(-0.5 * (off / 0.12) ** 2))
        if set(r.text) == {"I"}:
            others = [s for s in readings if s is not r and s.score > 0.5 and s.text != "I"]
            score *= _place(r, others, cap) ** (2.0 if r.text == "I" else 1.0)
        weighed.append(replace(r, score=score))
    return weighed


def _place(reading: Reading, others: Sequence[Reading], cap: float) -> float:
    """Weigh readings by the letter height of the sure names, bars also by their place."""
    level = any(abs(o.box[3] - reading.box[3]) < 0.4 * cap for o in others)
    below = any(abs(o.box[0] - reading.box[0]) < 0.4 * cap for o in others)
    leftmost = all(o.box[0] > reading.box[0] - cap for o in others)
    if leftmost and (level or below):
        return 1.0
    return 0.8 if level and below else 0.6 if below else 0.5
