"""Paper speed and gain read as whole phrases, where their glyphs cannot be read one by one.

Small print joins its letters, and serif faces differ in every glyph; but only a handful of phrases
state a speed or a gain, and as wholes they are far apart. Each stretch of words is compared with
all of them in all faces; phrases with another number or unit, and phrases that say something else,
are the rivals that a reading must beat. A speed and a gain beside each other on one line vouch for
each other: then the usual speed may be less clear. (Another may not, for what is unusual needs more
evidence; nor may a gain, which pulses tell better.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.calibration_text import GAINS, SPEEDS, Kind, ScaleText
from cinc_ecg.digitization.glyphs import FACES, FloatMap, has, render_once
from cinc_ecg.digitization.mark_ink import MarkInk
from cinc_ecg.digitization.mark_words import LETTER_MM, Piece, group_words, letters_of, with_dots

_SPEEDS = ("25", "50", "12.5")
_GAINS = ("10", "20")
#: Numbers too rare beside a unit, or too like usual ones, to be believed as wholes: rivals only.
_RARE_SPEEDS = ("100", "10", "5", "20", "125", "75", "35")
_RARE_GAINS = ("5", "2.5", "15", "710", "30", "25")
_SPEED_UNITS = ("mm/s", "mm/sec", "mm/sek")
_GAIN_UNITS = ("mm/mV", "mm/mv")
#: What else stands on such lines: rivals only.
_OTHERS = (
    "mm/s",
    "mm/mV",
    "0.05-40Hz",
    "0.15-150Hz",
    "60 bpm",
    "162 ms",
    "401/431 ms",
    "25 BPM",
    "12:05",
    "13/04/2021",
    "50 Hz",
    "Gain 10",
    "Limb: 10",
    "25.0 kg",
    "56 yrs",
)
_HEIGHT, _WIDTH = 20, 110
#: A phrase is so many times as wide as high (of its tallest glyph).
_ASPECT = (1.9, 9.0)
#: How like a phrase a stretch must be, and by how much more than to any rival.
_MIN_LIKENESS = 0.7
_MARGIN = 0.04
#: The same for a speed beside a gain; rivals are then the other values of devices alone.
_PAIR_LIKENESS, _PAIR_MARGIN = 0.55, 0.05
_USUAL_SPEED = 25.0
#: Phrases of one line overlap by this share of their height, which differs by no more than this
#: factor, and lie at most so many heights apart.
_SAME_LINE, _SAME_HEIGHT, _SAME_PLACE = 0.7, 1.35, 25.0
#: Words of one phrase are this close (of the letters' height), and at most so many.
_WORD_GAP, _PHRASE_GAP, _MOST_WORDS = 0.28, 1.1, 2
#: A phrase keeps this distance from what stands before it.
_CLEAR = 0.4


_Phrase = tuple[Kind | None, float, str]
_Box = tuple[int, int, int, int]


@lru_cache(maxsize=1)
def _templates() -> tuple[list[_Phrase], NDArray[np.intp], FloatMap]:
    """Return what each template says (kind, value, text), its meaning's number, its unit vector."""
    phrases: list[_Phrase] = [(None, 0.0, text) for text in _OTHERS]
    for space in ("", " "):
        phrases += [("speed", float(n), n + space + u) for n in _SPEEDS for u in _SPEED_UNITS]
        phrases += [("gain", float(n), n + space + u) for n in _GAINS for u in _GAIN_UNITS]
        phrases += [(None, float(n), n + space + u) for n in _RARE_SPEEDS for u in _SPEED_UNITS]
        phrases += [(None, float(n), n + space + u) for n in _RARE_GAINS for u in _GAIN_UNITS]
    drawn = [(phrase, face) for phrase in phrases for face in FACES if has(phrase[2], face)]
    meanings = sorted({phrase[:2] for phrase in phrases}, key=str)
    return (
        [phrase for phrase, _ in drawn],
        np.array([meanings.index(phrase[:2]) for phrase, _ in drawn]),
        np.stack([_vector(render_once(phrase[2], face, 2 * _HEIGHT)) for phrase, face in drawn]),
    )


def _vector(ink: FloatMap) -> FloatMap:
    """Bring a crop to one size, whatever its width, as a zero-mean unit vector."""
    small = cv2.resize(ink, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    vector = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32).ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def match_phrases(marks: MarkInk, pieces: Sequence[Piece]) -> list[ScaleText]:
    """Return the phrases that state a speed or gain, surest first.

    Args:
        marks: Ink of the page.
        pieces: Its pieces up to letter size, dots included (`find_pieces`).
    """
    stretches = list(_stretches(pieces, marks.px_per_mm))
    if not stretches:
        return []
    phrases, meaning, templates = _templates()
    crops = [_vector(marks.ink[y0:y1, x0:x1]) for x0, y0, x1, y1 in stretches]
    likeness = np.stack(crops) @ templates.T
    found = []
    for box, row in zip(stretches, likeness, strict=True):
        best = int(np.argmax(row))
        kind, value, text = phrases[best]
        score = float(row[best])
        rival = float(row[meaning != meaning[best]].max())
        if kind is not None and score > _MIN_LIKENESS and score - rival > _MARGIN:
            found.append(ScaleText(text, kind, value, round(score, 3), marks.box_mm(box)))
    if not any(text.kind == "speed" for text in found):
        found += _pairs(marks, stretches, likeness)
    return sorted(found, key=lambda t: -t.score)


def _pairs(marks: MarkInk, stretches: Sequence[_Box], likeness: FloatMap) -> list[ScaleText]:
    """Return the clearest reading of the usual speed on one line with a gain, or nothing."""
    readings: dict[Kind, list[tuple[_Box, ScaleText]]] = {"speed": [], "gain": []}
    for box, row in zip(stretches, likeness, strict=True):
        reading = _device_value(row, marks.box_mm(box))
        if reading is not None and (reading.kind == "gain" or reading.value == _USUAL_SPEED):
            readings[reading.kind].append((box, reading))
    vouched = [
        speed
        for speed_box, speed in readings["speed"]
        if any(_on_one_line(speed_box, gain_box) for gain_box, _ in readings["gain"])
    ]
    return sorted(vouched, key=lambda speed: -speed.score)[:1]


def _device_value(row: FloatMap, box_mm: tuple[float, float, float, float]) -> ScaleText | None:
    """Return the value that a stretch states, if it is a usual one and clear among the devices'."""
    phrases, _, _ = _templates()
    unit = _unit(phrases[int(np.argmax(row))])
    if unit is None:
        return None
    rows = _rows_of(unit)
    first, second = sorted(rows, key=lambda value: -float(row[rows[value]].max()))[:2]
    best = int(rows[first][np.argmax(row[rows[first]])])
    kind, score = phrases[best][0], float(row[best])
    rival = float(row[rows[second]].max())
    if kind is None or score < _PAIR_LIKENESS or score - rival < _PAIR_MARGIN:
        return None
    return ScaleText(phrases[best][2], kind, first, round(score, 3), box_mm)


def _unit(phrase: _Phrase) -> Kind | None:
    """Return what the unit of a phrase with a number says it is."""
    if not phrase[1]:
        return None
    return "speed" if phrase[2].endswith(_SPEED_UNITS) else "gain"


@lru_cache(maxsize=2)
def _rows_of(kind: Kind) -> dict[float, NDArray[np.intp]]:
    """Return the templates of each value that devices have."""
    phrases, _, _ = _templates()
    values = SPEEDS if kind == "speed" else GAINS
    rows = {
        value: np.array(
            [k for k, p in enumerate(phrases) if _unit(p) == kind and p[1] == value], int
        )
        for value in values
    }
    return {value: numbers for value, numbers in rows.items() if len(numbers)}


def _on_one_line(a: _Box, b: _Box) -> bool:
    heights = a[3] - a[1], b[3] - b[1]
    over = min(a[3], b[3]) - max(a[1], b[1])
    apart = max(a[0], b[0]) - min(a[2], b[2])
    return (
        over > _SAME_LINE * max(heights)
        and max(heights) < _SAME_HEIGHT * min(heights)
        and 0 < apart < _SAME_PLACE * max(heights)
    )


def _stretches(pieces: Sequence[Piece], px_per_mm: float) -> Iterator[_Box]:
    """Yield the pixel boxes of words and of neighbouring words that may be a phrase."""
    dots = [p for p in pieces if p.height < LETTER_MM[0] * px_per_mm]
    for line in group_words(letters_of(pieces, px_per_mm), _PHRASE_GAP):
        words = _split(with_dots(line.pieces, dots))
        tall = float(median([p.height for p in line.pieces]))
        for first in range(len(words)):
            if first and words[first][0].x0 - words[first - 1][-1].x1 < _CLEAR * tall:
                continue  # the end of a longer number
            for last in range(first, min(first + _MOST_WORDS, len(words))):
                part = [p for word in words[first : last + 1] for p in word]
                box = (
                    min(p.x0 for p in part),
                    min(p.y0 for p in part),
                    max(p.x1 for p in part),
                    max(p.y1 for p in part),
                )
                if _ASPECT[0] <= (box[2] - box[0]) / (box[3] - box[1]) <= _ASPECT[1]:
                    yield box


def _split(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Split a line, dots included, where the gap is wider than between letters of a word."""
    tall = float(median([p.height for p in pieces]))
    words: list[list[Piece]] = [[pieces[0]]]
    for piece in pieces[1:]:
        right = max(p.x1 for p in words[-1])
        if piece.x0 - right > _WORD_GAP * tall:
            words.append([piece])
        else:
            words[-1].append(piece)
    return words
