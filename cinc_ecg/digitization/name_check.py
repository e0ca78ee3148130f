"""Checking a hypothesis: is this lead's name printed about here?"""

from __future__ import annotations

from collections.abc import Sequence

from cinc_ecg.digitization.glyphs import FACES
from cinc_ecg.digitization.mark_ink import MarkInk
from cinc_ecg.digitization.name_bars import search_window
from cinc_ecg.digitization.name_places import page_style, read_window, refined_style
from cinc_ecg.digitization.name_reading import Reading
from cinc_ecg.digitization.name_search import saturate
from cinc_ecg.leads import canonical_lead
from cinc_ecg.types import LeadName


def verify_names(
    marks: MarkInk,
    known: Sequence[LeadName],
    expected: Sequence[tuple[str, tuple[float, float]]],
    *,
    reach_mm: float = 2.5,
) -> list[LeadName | None]:
    """Look for names where a layout says that they should be.

    Args:
        marks: Ink of the page (`mark_ink`).
        known: Names found on the page (`names_on`); they tell its lettering.
        expected: Leads, each with the page position of the top-left corner of its name in mm.
        reach_mm: How far from there the corner may be.

    Returns:
        For each expected lead the name read there, which may be another lead's, or None when
        there is none; all None when fewer than two sure names tell the lettering.
    """
    readings = [_as_reading(marks, name) for name in known]
    ink = saturate(marks.ink)
    style = page_style(readings)
    if style is None:
        return [None] * len(expected)
    style = refined_style(ink, readings, style)
    found: list[LeadName | None] = []
    for _, (x_mm, y_mm) in expected:
        box = (x_mm - reach_mm, y_mm - reach_mm, x_mm + reach_mm, y_mm + reach_mm)
        window = marks.box_px(box)
        near = [*read_window(ink, window, style), *search_window(ink, window, style)]
        best = max(near, key=lambda r: (r.score > 0.5, len(r.text) > 1, r.score), default=None)
        found.append(None if best is None else _as_name(marks, best))
    return found


def _as_reading(marks: MarkInk, name: LeadName) -> Reading:
    """Return a name as it was read; its box is as high as its capitals."""
    box = marks.box_px(name.box_mm)
    return Reading(name.lead, box, name.score, box[3] - box[1], (1.0,) * len(FACES))


def _as_name(marks: MarkInk, reading: Reading) -> LeadName:
    lead = canonical_lead(reading.text) or reading.text
    return LeadName(lead, marks.box_mm(reading.box), round(reading.score, 3), reading.inverted)
