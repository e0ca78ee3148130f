"""Calibration text printed on a page: "25 mm/s", "10 mm/mV" in their usual spellings.

Whole phrases are matched to runs of glyphs; a reading is given only when every glyph is
sure, for a wrong speed or gain is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.calibration_text import NUMBER, Kind, ScaleText, parse_calibration_text
from cinc_ecg.digitization.glyphs import likeness, template_set
from cinc_ecg.digitization.mark_ink import FloatMap, MarkInk, mark_ink
from cinc_ecg.digitization.mark_words import (
    INK_THRESHOLDS,
    Piece,
    find_pieces,
    group_words,
    letters_of,
    with_dots,
)
from cinc_ecg.digitization.phrases import match_phrases

_SPEED_NUMBERS = ("25", "50", "12.5", "12,5", "100", "10", "5", "25.0", "50.0", "25,0", "50,0")
_GAIN_NUMBERS = ("10", "5", "20", "2.5", "2,5", "10.0", "5.0", "20.0", "10,0", "5,0", "20,0")
_SPEED_UNITS = ("mm/s", "mm/sec", "mm/sek", "mm/S", "MM/S")
_GAIN_UNITS = ("mm/mV", "mm/mv", "mm/MV", "MM/MV")
_TEXTS: tuple[tuple[str, Kind], ...] = (
    *((n + u, "speed") for n in _SPEED_NUMBERS for u in _SPEED_UNITS),
    *((n + u, "gain") for n in _GAIN_NUMBERS for u in _GAIN_UNITS),
)
#: Glyphs of the phrases, and others that a piece may be instead.
_GLYPHS = tuple("0125mMscekSvV/346789aAbdfghilnopqrtuwxyzBCDEFGHIJKLNPQRTUXYZ:%()-")
#: Neighbours that print often joins, and how many glyphs one piece may hold.
_JOINED = (
    "mm",
    "MM",
    "mm/",
    "m/",
    "/s",
    "/m",
    "/S",
    "mV",
    "mv",
    "/mV",
    "/mv",
    "m/s",
    "m/m",
    "mm/s",
)
_ALIKE = ("1Il", "0oO", "sS", "vV", "/l", "cC", "kK", "2zZ")
_SMALL = "mscekv"
_MIN_SCORE = 0.5


def find_calibration_text(
    page: NDArray[np.uint8], px_per_mm: float, *, origin_mm: tuple[float, float] = (0.0, 0.0)
) -> list[ScaleText]:
    """Read the paper speed and gain printed on a rectified, upright page.

    Args:
        page: (height, width, 3) RGB or (height, width) grey, uint8, as in `names.find_names`.
    """
    return calibration_text_on(mark_ink(page, px_per_mm, origin_mm=origin_mm))


def calibration_text_on(
    marks: MarkInk,
    pieces: Sequence[Piece] | None = None,
    faint_pieces: Sequence[Piece] | None = None,
) -> list[ScaleText]:
    """Read calibration text on the ink of a page (`mark_ink`); only sure readings are returned.

    Args:
        pieces, faint_pieces: The ink's pieces from `find_pieces` at both of `INK_THRESHOLDS`, if
            they are known already.
    """
    plain = find_pieces(marks) if pieces is None else pieces
    faint = find_pieces(marks, INK_THRESHOLDS[1]) if faint_pieces is None else faint_pieces
    by_glyphs = [*_read_pieces(marks, plain), *_read_pieces(marks, faint)]
    as_wholes = [*match_phrases(marks, plain), *match_phrases(marks, faint)]
    kept: list[ScaleText] = []
    # Where both readings stand at one place, the one of single glyphs wins: it was not seen wrong.
    for text in [
        *sorted(by_glyphs, key=lambda t: -t.score),
        *sorted(as_wholes, key=lambda t: -t.score),
    ]:
        if not any(_touch(text, other) for other in kept):
            kept.append(text)
    return kept


def _touch(a: ScaleText, b: ScaleText) -> bool:
    """Tell whether two texts stand at one place."""
    assert a.box_mm is not None
    assert b.box_mm is not None
    over_x = min(a.box_mm[2], b.box_mm[2]) - max(a.box_mm[0], b.box_mm[0])
    over_y = min(a.box_mm[3], b.box_mm[3]) - max(a.box_mm[1], b.box_mm[1])
    return over_x > 0 and over_y > 0


def _read_pieces(marks: MarkInk, pieces: Sequence[Piece]) -> list[ScaleText]:
    """Read calibration text from pieces of ink."""
    letters = letters_of(pieces, marks.px_per_mm)
    dots = [p for p in pieces if p.height < 0.8 * marks.px_per_mm]
    runs = [
        with_dots(word.pieces, dots)
        for word in group_words(letters, 0.9)
        if 3 <= len(word.pieces) <= 80
    ]
    crops = [p.ink for run in runs for p in run]
    glyphs = _sureness(likeness(crops, template_set(_GLYPHS, 1.9)).max(axis=2))
    joined = likeness(crops, template_set(_JOINED, 5.0)).max(axis=2)
    joined = 1.0 / (1.0 + np.exp(-(joined - 0.86) / 0.02))
    found: list[ScaleText] = []
    first = 0
    for run in runs:
        rows = slice(first, first + len(run))
        first += len(run)
        found += _read_run(marks, _Run(run, glyphs[rows], joined[rows]))
    return found


def _sureness(table: FloatMap) -> FloatMap:
    """Turn likeness of pieces to glyphs into how surely each is that glyph and no other, 0..1."""
    out = np.zeros_like(table)
    for number, glyph in enumerate(_GLYPHS):
        alike = next((group for group in _ALIKE if glyph in group), glyph)
        others = [i for i, other in enumerate(_GLYPHS) if other not in alike]
        own, rival = table[:, number], table[:, others].max(axis=1, initial=-1.0)
        sure = 1.0 + np.exp(-(own - 0.78) / 0.03)
        out[:, number] = 1.0 / sure / (1.0 + np.exp(-(own - rival + 0.02) / 0.02))
    return out


class _Run:
    """A run of pieces with their likeness to glyphs and to joined glyphs."""

    def __init__(self, pieces: Sequence[Piece], glyphs: FloatMap, joined: FloatMap) -> None:
        self.pieces = pieces
        self.glyphs = glyphs
        self.joined = joined

    def has_stroke(self) -> bool:
        """Tell whether there may be the "/" of a unit."""
        slash = float(self.glyphs[:, _GLYPHS.index("/")].max())
        return max(slash, float(self.joined.max())) > _MIN_SCORE

    def glyph(self, at: int, glyph: str) -> float:
        """Return how surely a piece is a glyph, 0..1."""
        if glyph in ".,":
            tall = max(p.height for p in self.pieces)
            return float(self.pieces[at].height < 0.4 * tall)
        return float(self.glyphs[at, _GLYPHS.index(glyph)])

    def match(self, text: str, start: int) -> tuple[float, int]:
        """Return the score of `text` from piece `start` on, and the piece after its end."""
        cap = self.pieces[start].height
        best = 1.0
        at, i = start, 0
        while i < len(text):
            if at >= len(self.pieces) or (at > start and not self._near(at, cap)):
                return 0.0, start
            step, score = self._take(text, i, at, cap)
            best = min(best, score)
            if best < _MIN_SCORE:
                return 0.0, start
            i += step
            at += 1
        return best, at

    def _take(self, text: str, i: int, at: int, cap: int) -> tuple[int, float]:
        """Return how many glyphs of the text from `i` on a piece is, and how surely."""
        options = [(1, self.glyph(at, text[i]) * self._fits(at, text[i], cap))]
        for number, joined in enumerate(_JOINED):
            if text.startswith(joined, i):
                options.append((len(joined), float(self.joined[at, number])))
        return max(options, key=lambda option: option[1])

    def _fits(self, at: int, glyph: str, cap: int) -> float:
        """Return 1 when a piece has the height of a glyph relative to the digits, else 0."""
        if glyph in ".,":
            return 1.0
        ratio = self.pieces[at].height / cap
        low, high = (0.5, 0.92) if glyph in _SMALL else (0.85, 1.5) if glyph == "/" else (0.85, 1.2)
        return float(low - 1.0 / cap <= ratio <= high + 1.0 / cap)

    def _near(self, at: int, cap: int) -> bool:
        return self.pieces[at].x0 - self.pieces[at - 1].x1 <= 0.75 * cap

    def stands_alone(self, start: int) -> bool:
        """Tell whether a number is a word's beginning, with no other digit or point before it."""
        if start == 0:
            return True
        gap = self.pieces[start].x0 - self.pieces[start - 1].x1
        height = self.pieces[start].height
        number = max(self.glyph(start - 1, glyph) for glyph in "0123456789.,")
        tall = self.pieces[start - 1].height > 0.85 * height
        digit = number > 0.1 and (tall or self.pieces[start - 1].height < 0.4 * height)
        return bool(gap > (0.7 if digit else 0.25) * height)


def _read_run(marks: MarkInk, reader: _Run) -> list[ScaleText]:
    """Match every phrase to every stretch of a run of pieces and keep the sure ones."""
    run = reader.pieces
    if not reader.has_stroke():
        return []
    hits: list[tuple[float, int, int, str, Kind]] = []
    for text, kind in _TEXTS:
        for start in range(len(run)):
            if text[0] in "125" and reader.glyph(start, text[0]) > 0.05:
                score, end = reader.match(text, start)
                if score > _MIN_SCORE and reader.stands_alone(start):
                    hits.append((score, start, end, text, kind))
    found, used = [], set[int]()
    for score, start, end, text, kind in sorted(hits, key=lambda h: (h[1] - h[2], -h[0])):
        if used.isdisjoint(range(start, end)):
            used.update(range(start, end))
            part = run[start:end]
            box = marks.box_mm(
                (
                    min(p.x0 for p in part),
                    min(p.y0 for p in part),
                    max(p.x1 for p in part),
                    max(p.y1 for p in part),
                )
            )
            number = re.match(NUMBER, text)
            assert number is not None
            value = float(number[1].replace(",", "."))
            found.append(ScaleText(text, kind, value, round(score, 3), box))
    return found


__all__ = ["ScaleText", "calibration_text_on", "find_calibration_text", "parse_calibration_text"]
