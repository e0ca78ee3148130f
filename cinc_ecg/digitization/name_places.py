"""Names that do not stand free, searched for by their V; the page's lettering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from cinc_ecg.digitization.glyphs import FACES, has, render
from cinc_ecg.digitization.mark_ink import FloatMap
from cinc_ecg.digitization.name_bars import Style, logistic
from cinc_ecg.digitization.name_reading import Reading
from cinc_ecg.digitization.name_search import (
    Match,
    agreement_map,
    drawn_name,
    lay_over,
    peaks,
    rank_last_glyph,
    word_likeness,
)
from cinc_ecg.digitization.threads import side_by_side

#: Heights of capitals tried when no name tells the page's own, in mm.
_CAPS_MM = (2.0, 2.4, 2.9, 3.5, 4.2)
_ANY_FACES = ("Strokes", "DejaVuSans-Bold", "DejaVuSerif")
#: Agreement at which a match is as likely right as wrong, and how fast that changes.
_EVEN, _SLOPE = 0.58, 0.035
#: Faces kept of the page's style: two are searched with, all decide the last glyph.
_N_FACES = 5
_MORE = 0.06
#: Smaller letters are not looked for at half the resolution.
_SMALL_CAP_PX = 14
_CHEST, _LIMB = "123456", "RLF"


def page_style(readings: Sequence[Reading]) -> Style | None:
    """Return the style that the sure readings share, or None when there are fewer than two."""
    sure = [r for r in readings if r.score > 0.5 and "v" in r.text.casefold()]
    if len(sure) < 2:
        return None
    caps = np.array([r.cap_px for r in sure])
    support = np.exp(-0.5 * (np.log(caps[:, None] / caps) / 0.06) ** 2).sum(axis=1)
    cap = float(np.median(caps[support >= support.max() - 1e-9]))
    sure = [r for r in sure if abs(np.log(r.cap_px / cap)) < 0.15]
    votes = [r.votes for r in sure if max(r.votes) < 1.0] or [r.votes for r in sure]
    order = np.argsort(-np.mean(votes, axis=0), kind="stable")
    return Style(round(cap), tuple(FACES[i] for i in order[:2]))


def refined_style(ink: FloatMap, readings: Sequence[Reading], style: Style) -> Style:
    """Return the size, width and faces that lie best over the surest readings of the page."""
    sure = sorted((r for r in readings if "v" in r.text.casefold()), key=lambda r: -r.score)[:5]
    # Letters searched for at guessed heights say little about theirs.
    known = any(r.free for r in sure)
    low, high = (style.cap_px - 2, style.cap_px + 2) if known else (10, 27)
    caps = range(max(low, 7), high)

    def rank(faces: Sequence[str], caps: Sequence[int]) -> list[tuple[str, int]]:
        sums = {
            (face, cap): sum(
                word_likeness(ink, (round(r.box[0]), round(r.box[1])), r.text, face, cap)
                for r in sure
                if has(r.text, face.partition("@")[0])
            )
            for face in faces
            for cap in caps
        }
        return sorted(sums, key=lambda key: -sums[key])

    both = list(dict.fromkeys([*FACES, *(_fitted(face, sure) for face in FACES)]))
    coarse = rank(both, caps if known else caps[::2])
    first = list(dict.fromkeys(face for face, _ in coarse))
    ranked = rank(list(dict.fromkeys([*first[:_N_FACES], *_two_families(first)])), caps)
    return Style(ranked[0][1], tuple(dict.fromkeys(face for face, _ in ranked)))


def _fitted(face: str, readings: Sequence[Reading]) -> str:
    """Return a face with its width fitted to words read free-standing."""
    ratios = []
    for r in readings:
        if r.free and has(r.text, face):
            word = render(r.text, face, 32)
            aspect = (r.box[2] - r.box[0]) / (r.box[3] - r.box[1])
            ratios.append(aspect * word.shape[0] / word.shape[1])
    if not ratios:
        return face
    stretch = round(20 * float(np.clip(np.median(ratios), 0.75, 1.25))) / 20
    return face if stretch == 1.0 else f"{face}@{stretch:g}"


def search_v_names(ink: FloatMap, px_per_mm: float, style: Style | None) -> list[Reading]:
    """Find names with a V anywhere on the page's saturated ink: V1..V6, aVR, aVL, aVF."""
    half = np.asarray(
        cv2.resize(ink, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32
    )
    if style is None:
        caps = [max(round(mm * px_per_mm), 8) for mm in _CAPS_MM]
        trials = [(face, cap, 14) for cap in caps for face in _ANY_FACES]
    else:
        trials = [(face, style.cap_px, 70) for face in _two_families(style.faces)]
    faces = _ANY_FACES if style is None else style.faces

    def search(face: str, cap: int, most: int) -> list[Reading | None]:
        step = 2 if cap >= _SMALL_CAP_PX else 1
        letter = drawn_name("V", face, cap // step)
        scores = agreement_map(half if step == 2 else ink, letter)
        places = peaks(scores, 0.36, max(cap // (2 * step), 2), most)
        corners = [(step * (x + letter.pad), step * (y + letter.pad)) for x, y in places]
        return [_read_around_v(ink, at, face, cap, faces) for at in corners]

    found = side_by_side(search, *zip(*trials, strict=True))
    return best_per_place([r for readings in found for r in readings if r is not None])


def _two_families(faces: Sequence[str]) -> list[str]:
    """Return the best face and the best of another design, which spaces its letters otherwise."""
    if "Mono" in faces[0]:
        return [faces[0], faces[0].replace("SansMono", "Sans")]
    families = [face.partition("@")[0].partition("-")[0] for face in faces]
    other = [f for f, family in zip(faces, families, strict=True) if family != families[0]]
    return [faces[0], *other[:1]]


def read_window(
    ink: FloatMap, window: tuple[float, float, float, float], style: Style
) -> list[Reading]:
    """Read names with a V whose ink box begins in a pixel window (x0, y0, x1, y1)."""
    cap = style.cap_px
    x0, y0, x1, y1 = (max(round(v), 0) for v in window)
    found = []
    for face in _two_families(style.faces):
        letter = drawn_name("V", face, cap)
        # An "a" before the V moves it to the right by less than the height of a capital.
        left, top = max(x0 - letter.pad, 0), max(y0 - letter.pad, 0)
        h, w = letter.on.shape[1:]
        scores = agreement_map(ink[top : y1 + h, left : x1 + cap + w], letter)
        for x, y in peaks(scores, 0.36, max(cap // 2, 2), 6):
            at = (left + x + letter.pad, top + y + letter.pad)
            reading = _read_around_v(ink, at, face, cap, style.faces)
            if reading is not None and x0 <= reading.box[0] <= x1:
                found.append(reading)
    return best_per_place(found)


def _read_around_v(
    ink: FloatMap, at: tuple[int, int], face: str, cap: int, faces: Sequence[str]
) -> Reading | None:
    """Read the name whose V has its top-left corner near `at`."""
    x, y = at
    slack = max(cap // 6, 3)
    letter = lay_over(ink, (x - slack, y - slack, x + slack, y + slack), "V", face, cap)
    if letter is None or letter.agreement < 0.45:
        return None
    found = []
    for text, rivals in (("V1", _CHEST), ("aVL", _LIMB), ("AVL", _LIMB)):
        before = round(drawn_name(text[0], face, cap).box[0] * 1.05) if text[0] != "V" else 0
        window = (x - before - slack, y - slack, x - before + slack, y + slack)
        found += [lay_over(ink, window, text[:-1] + glyph, face, cap) for glyph in rivals]
    # The "VL" of aVL is much like a V1: when there is an "a" before it, it counts.
    matches = sorted(
        (m for m in found if m is not None),
        key=lambda m: -m.agreement - (_MORE if len(m.text) > 2 else 0.0),
    )
    if not matches or matches[0].agreement <= 0.45:
        return None
    return _settle(ink, matches[0], {m.text: m.glyphs[-1] for m in matches}, faces)


def _settle(
    ink: FloatMap, match: Match, last: Mapping[str, float], faces: Sequence[str]
) -> Reading:
    """Decide the last glyph of a match among its rivals and score it.

    A glyph's ink may be lent by a trace, so its shape and what it leaves unexplained count alike.
    """
    rivals = _CHEST if match.text[-1] in _CHEST else _LIMB
    head = match.text[:-1]
    ranked = sorted(
        (
            (0.7 * shape + 0.3 * last.get(head + glyph, 0.0), shape, glyph)
            for shape, glyph in rank_last_glyph(ink, match, rivals, faces)
        ),
        reverse=True,
    )
    both, shape, glyph = ranked[0]
    lead = both - ranked[1][0] if len(ranked) > 1 else 0.0
    present = logistic((match.agreement - _EVEN) / _SLOPE)
    score = present * logistic((shape - 0.55) / 0.05) * logistic((lead - 0.02) / 0.02)
    corner = (round(match.box[0]), round(match.box[1]))
    tried = dict.fromkeys((match.face, *faces[:2]))
    like = max(word_likeness(ink, corner, head + glyph, f, match.cap_px) for f in tried)
    score *= logistic((like - 0.48) / 0.04)
    votes = tuple(float(match.face.startswith(face + "@") or match.face == face) for face in FACES)
    cap = float(match.cap_px)
    return Reading(head + glyph, match.box, 0.95 * score, cap, votes, free=False)


def best_per_place(readings: Sequence[Reading]) -> list[Reading]:
    """Keep the best of the readings whose boxes overlap.

    A likely name with a V, or three bars, goes before fewer bars, which may be parts of letters
    or a flank of the trace; of bars the most go first, for they contain fewer.
    """
    kept: list[Reading] = []
    for reading in sorted(readings, key=lambda r: (-_rank(r), r.box)):
        if not any(_overlap(reading.box, other.box) > 0.3 for other in kept):
            kept.append(reading)
    return kept


def _rank(reading: Reading) -> float:
    if reading.score <= 0.3:
        return reading.score
    if set(reading.text) == {"I"} and (len(reading.text) < 3 or reading.score < 0.5):
        return reading.score + 0.5 * (len(reading.text) - 1)
    return reading.score + 2.0


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Return the common area of two boxes over the smaller one's."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    least = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / max(least, 1e-6)
