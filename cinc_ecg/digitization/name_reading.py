"""Reading free-standing words as lead names, glyph by glyph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

import numpy as np

from cinc_ecg.digitization.glyphs import FACES, likeness, template_set
from cinc_ecg.digitization.mark_ink import FloatMap, MarkInk
from cinc_ecg.digitization.mark_words import Word

#: Spellings looked for, as printed; the inverted "-aVR" is an aVR with a bar before it.
SPELLINGS = (
    *("I", "II", "III", "aVR", "aVL", "aVF", "AVR", "AVL", "AVF", "aVr", "aVl", "aVf"),
    *("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V3R", "V4R", "V5R", "V6R"),
)
#: Glyphs a piece can be taken for; those in no name stand for all other text.
ALPHABET = tuple("IaAVvRrLlFf1234567890bcdeghkmnopstuwyzBCDEGHKMNPQSTUWXYZ/:")
#: Glyphs that differ in nothing but size or serifs.
_ALIKE = ("Il1", "Vv", "0Oo", "Cc", "Ss", "Zz", "Ww", "Xx", "Uu")
#: Widest single glyph and widest name, width over height.
_GLYPH_ASPECT, _NAME_ASPECT = 1.7, 4.0
#: Height of a lower-case "a" over that of a capital.
_X_HEIGHT = (0.58, 0.9)


@dataclass(frozen=True, slots=True)
class Reading:
    """A word read as a lead name.

    Attributes:
        text: As in `SPELLINGS`.
        box: Pixel box (x0, y0, x1, y1), ends exclusive.
        score: 0..1.
        cap_px: Height of its capitals.
        votes: Likeness to each face of `FACES`.
        inverted: A minus sign stands before it.
        free: Read from pieces of its own, not searched for at a given size.
    """

    text: str
    box: tuple[float, float, float, float]
    score: float
    cap_px: float
    votes: tuple[float, ...]
    inverted: bool = False
    free: bool = True


def _logistic(value: float | np.ndarray, middle: float, width: float) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-(np.asarray(value) - middle) / width))


def read_words(words: Sequence[Word]) -> list[Reading]:
    """Return the best reading of every word that may be a lead name."""
    words = [word for word in words if len(word.pieces) <= 4]
    pieces = [piece for word in words for piece in word.pieces]
    glyphs = template_set(ALPHABET, _GLYPH_ASPECT)
    table = likeness([piece.ink for piece in pieces], glyphs)
    whole = likeness([word.ink for word in words], template_set(SPELLINGS, _NAME_ASPECT))
    readings: list[Reading] = []
    first = 0
    for number, word in enumerate(words):
        part = table[first : first + len(word.pieces)]
        first += len(word.pieces)
        found = [_spelt(word, text, part) for text in SPELLINGS if len(text) == len(word.pieces)]
        found.append(_read_whole(word, whole[number]))
        best = max((r for r in found if r is not None), key=lambda r: r.score, default=None)
        if best is not None and best.score > 0.05:
            readings.append(best)
    return readings


def _spelt(word: Word, text: str, table: FloatMap) -> Reading | None:
    """Score a word as `text`, one piece per glyph; None when the pieces stand the wrong way.

    A glyph counts by its likeness and by its lead over the best glyph that it cannot be mistaken
    for legitimately.
    """
    caps = [
        p for p, glyph in zip(word.pieces, text, strict=True) if glyph != "a" and glyph not in "rlf"
    ]
    cap = float(median([p.height for p in caps]))
    base = float(median([p.y1 for p in caps]))
    tolerance = max(0.16 * cap, 1.6)
    for piece, glyph in zip(word.pieces, text, strict=True):
        small = glyph in "ar"
        low, high = (np.array(_X_HEIGHT) * cap) if small else (cap - tolerance, cap + tolerance)
        if not low <= piece.height <= high or abs(piece.y1 - base) > tolerance:
            return None
    own = np.stack([table[i, ALPHABET.index(glyph)] for i, glyph in enumerate(text)])
    face = int(own.mean(axis=0).argmax())
    best = own.max(axis=1)
    rival = np.array([_rival(table[i], glyph) for i, glyph in enumerate(text)])
    sure = _logistic(best, 0.82, 0.03) * _logistic(best - rival, -0.01, 0.03)
    agree = float(_logistic(own[:, face].min(), 0.72, 0.04))
    return Reading(text, word.box, float(sure.min()) * agree, cap, tuple(own.mean(axis=0)))


def _rival(row: FloatMap, glyph: str) -> float:
    """Return the likeness of the best glyph that is not a look-alike of `glyph`."""
    return float(row[_others(glyph)].max())


@lru_cache(maxsize=128)
def _others(glyph: str) -> list[int]:
    """Return the places in the alphabet of all glyphs that do not look like one."""
    alike = next((group for group in _ALIKE if glyph in group), glyph)
    return [i for i, other in enumerate(ALPHABET) if other not in alike]


def _read_whole(word: Word, row: FloatMap) -> Reading | None:
    """Read a word whose glyphs may touch by its likeness to whole names."""
    best = row.max(axis=1)
    number = int(best.argmax())
    text = SPELLINGS[number]
    if len(word.pieces) >= len(text) or text in ("I", "II", "III"):
        return None
    others = [i for i, other in enumerate(SPELLINGS) if other.casefold() != text.casefold()]
    lead = float(best[number] - best[others].max())
    score = float(_logistic(best[number], 0.88, 0.02) * _logistic(lead, 0.03, 0.02))
    _, y0, _, y1 = word.box
    return Reading(text, word.box, 0.9 * score, float(y1 - y0), tuple(row[number]))


def with_sign(reading: Reading, marks: MarkInk) -> Reading:
    """Return the reading with `inverted` set when a minus sign stands before an aVR."""
    if reading.text.casefold() != "avr":
        return reading
    x0, y0, _, y1 = (round(v) for v in reading.box)
    h = y1 - y0
    left = max(x0 - round(0.9 * h), 0)
    window = marks.ink[y0:y1, left : max(x0 - 1, left + 1)] > 0.4
    if window.shape[1] < 0.4 * h:
        return reading
    columns = window.sum(axis=0)
    inked = np.flatnonzero(columns)
    if inked.size == 0:
        return reading
    width = int(inked[-1] - inked[0]) + 1
    rows = np.flatnonzero(window.any(axis=1))
    thin = rows[-1] - rows[0] + 1 <= 0.25 * h
    middle = 0.3 * h <= rows.mean() <= 0.8 * h
    free = inked[0] > 0.08 * h and width == inked.size
    if thin and middle and free and 0.2 * h <= width <= 0.7 * h:
        box = (float(left + inked[0]), *reading.box[1:])
        return replace(reading, box=box, inverted=True)
    return reading


__all__ = ["ALPHABET", "FACES", "SPELLINGS", "Reading", "read_words", "with_sign"]
