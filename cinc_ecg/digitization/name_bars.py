"""I, II and III: bars, which a page is full of, looked for only where a name is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cinc_ecg.digitization.glyphs import FACES
from cinc_ecg.digitization.mark_ink import FloatMap
from cinc_ecg.digitization.name_reading import Reading
from cinc_ecg.digitization.name_search import (
    Match,
    agreement_map,
    drawn_name,
    lay_over,
    peaks,
    word_likeness,
)
from cinc_ecg.digitization.threads import side_by_side

_BARS = ("III", "II", "I")
#: Score from which a reading tells where rows and columns of names are.
_SURE = 0.5


@dataclass(frozen=True, slots=True)
class Style:
    """A page's lettering: height of capitals in pixels, faces, those most like its own first."""

    cap_px: int
    faces: tuple[str, ...]


def search_bars(ink: FloatMap, style: Style, known: Sequence[Reading]) -> list[Reading]:
    """Find I, II and III by the rows and columns of the known names.

    In a row they stand left of the names with a V, one in each; in a column above and below other
    names, where a single bar is believed only level with a name.

    Args:
        ink: Saturated ink of the page.
    """
    cap = style.cap_px
    sure = [r for r in known if r.score > _SURE]
    found = _search_rows(ink, style, sure)
    sure += [r for r in found if r.score > _SURE]
    anchors = [r for r in sure if r.text != "I"]
    bases = [r.box[3] for r in anchors]
    height = float(len(ink))
    lefts = clusters([r.box[0] for r in anchors], 0.6 * cap)
    columns = [(left - 0.5 * cap, 0.0, left + 0.5 * cap, height) for left in lefts]
    for readings in side_by_side(lambda window: search_window(ink, window, style), columns):
        for reading in readings:
            if reading.text != "I" or any(abs(reading.box[3] - b) < 0.5 * cap for b in bases):
                found.append(reading)
    return found


def _search_rows(ink: FloatMap, style: Style, sure: Sequence[Reading]) -> list[Reading]:
    """Find the best bars left of the first name of each row that has none yet."""
    cap = style.cap_px
    with_v = [r for r in sure if set(r.text) != {"I"}]
    found = []
    for base in clusters([r.box[3] for r in with_v], 0.6 * cap):
        first = min(r.box[0] for r in with_v if abs(r.box[3] - base) < 0.8 * cap)
        there = any(r.box[0] < first - cap and abs(r.box[3] - base) < cap for r in sure)
        if there or first < 6 * cap:
            continue
        top = base - cap
        window = (0, top - 0.6 * cap, first - 4 * cap, top + 0.6 * cap)
        row = sorted(search_window(ink, window, style), key=lambda r: -_worth(r))
        found += row[:1]
    return found


def _worth(reading: Reading) -> float:
    """Rank bars of one row: II and III contain an I."""
    return reading.score + 0.15 * (len(reading.text) - 1)


def _bar_faces(style: Style) -> tuple[str, ...]:
    """Return faces to look for bars in: V and digits do not tell whether an I has serifs."""
    face, _, stretch = style.faces[0].partition("@")
    bold = "-Bold" if face.endswith("Bold") else ""
    width = f"@{stretch}" if stretch else ""
    plain = (face, "DejaVuSans" + bold, "Strokes" + bold, "DejaVuSerif" + bold)
    return tuple(dict.fromkeys(name + width for name in plain))


def search_window(
    ink: FloatMap, window: tuple[float, float, float, float], style: Style
) -> list[Reading]:
    """Find bars whose ink box has its top-left corner in a pixel window (x0, y0, x1, y1)."""
    found = []
    for text in _BARS:
        for face in _bar_faces(style):
            name = drawn_name(text, face, style.cap_px)
            h, w = name.on.shape[1:]
            x0, y0 = (max(round(v) - name.pad, 0) for v in window[:2])
            x1, y1 = (max(round(v) - name.pad, 0) for v in window[2:])
            scores = agreement_map(ink[y0 : y1 + h, x0 : x1 + w], name)
            for x, y in peaks(scores, 0.4, style.cap_px // 2, 20):
                at = (x0 + x + name.pad, y0 + y + name.pad)
                match = lay_over(ink, (*at, *at), text, face, style.cap_px)
                reading = None if match is None else _reading(ink, match)
                if reading is not None and reading.score > 0.1:
                    found.append(reading)
    return found


def _reading(ink: FloatMap, match: Match) -> Reading:
    corner = (round(match.box[0]), round(match.box[1]))
    shape = word_likeness(ink, corner, match.text, match.face, match.cap_px)
    score = logistic((match.agreement - 0.7) / 0.03)
    score *= 0.5 + 0.5 * logistic((shape - 0.55) / 0.04)
    score *= 0.6 if match.text == "I" else 0.92
    votes = (0.0,) * len(FACES)
    return Reading(match.text, match.box, score, float(match.cap_px), votes, free=False)


def logistic(value: float) -> float:
    """Return the logistic function of a value."""
    return float(1.0 / (1.0 + np.exp(-value)))


def clusters(values: Sequence[float], width: float) -> list[float]:
    """Return the medians of runs of sorted values no further apart than `width`."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] <= width:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [float(np.median(group)) for group in groups]
