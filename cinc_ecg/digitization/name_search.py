"""Looking for a drawn name at a place: how much of its ink is there, and how little around it.

Unlike a correlation of boxes this bears a trace, a tick or a pulse that touches or crosses the
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cinc_ecg.digitization.glyphs import ink_box, render, typeset
from cinc_ecg.digitization.mark_ink import FloatMap

#: Ink this strong counts in full: thin strokes never reach the level of thick ones.
_FULL = 0.6


@dataclass(frozen=True, slots=True)
class DrawnName:
    """A name drawn in one face and size, as weights.

    Attributes:
        on: (n_glyphs, h, w) weights of each glyph's ink, sum 1.
        off: (n_glyphs, h, w) weights of the paper around each glyph, sum 1.
        pad: Margin of the maps around the ink box.
        box: Ink box (width, height) in pixels.
        whole: (h, w) ink less paper, the mean over the glyphs.
        glyphs: (h * w, n_glyphs) ink less paper.
    """

    on: FloatMap
    off: FloatMap
    pad: int
    box: tuple[int, int]
    whole: FloatMap
    glyphs: FloatMap


@lru_cache(maxsize=2048)
def drawn_name(text: str, face: str, cap_px: int) -> DrawnName:
    """Draw a name glyph by glyph and return the weights of its ink and surroundings."""
    stack = typeset(text, face, cap_px)
    whole = stack.max(axis=0)
    rows, columns = ink_box(whole)
    pad = max(round(0.28 * cap_px), 2)
    stack = np.pad(stack, ((0, 0), (pad, pad), (pad, pad)))
    whole = stack.max(axis=0)
    cut = slice(rows.start, rows.stop + 2 * pad), slice(columns.start, columns.stop + 2 * pad)
    inner = slice(rows.start + pad, rows.stop + pad)
    near = _dilate(whole, 1 + 2 * max(round(0.06 * cap_px), 1)) > 0.2
    on, off = [], []
    for glyph_ink in stack:
        halo = (_dilate(glyph_ink, 1 + 2 * pad) > 0.5) & ~near
        around = halo / max(float(halo.sum()), 1.0)
        if set(text) == {"I"}:
            # Flanks of the QRS, ticks and pulses look like a bar but run on beyond its ends.
            ends = halo.copy()
            ends[inner] = False
            around = 0.4 * around + 0.6 * ends / max(float(ends.sum()), 1.0)
        on.append(glyph_ink[cut] / max(float(glyph_ink.sum()), 1e-6))
        off.append(around[cut])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    inked, bare = np.stack(on), np.stack(off).astype(np.float32)
    balance = inked - bare
    glyphs = balance.reshape(len(balance), -1).T
    return DrawnName(inked, bare, pad, size, balance.mean(axis=0), glyphs)


def _dilate(ink: FloatMap, size: int) -> FloatMap:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(ink, kernel), np.float32)


@dataclass(frozen=True, slots=True)
class Match:
    """A drawn name laid over the page: its ink box in pixels, agreement per glyph (-1..1)."""

    text: str
    face: str
    cap_px: int
    box: tuple[float, float, float, float]
    glyphs: tuple[float, ...]

    @property
    def agreement(self) -> float:
        """Half the mean, half the worst glyph: every glyph must be there."""
        return 0.5 * (sum(self.glyphs) / len(self.glyphs) + min(self.glyphs))


def saturate(ink: FloatMap) -> FloatMap:
    """Bring strong strokes to one level, as `lay_over` and `agreement_map` expect."""
    return np.asarray(np.minimum(ink / _FULL, 1.0), np.float32)


def agreement_map(ink: FloatMap, name: DrawnName) -> FloatMap:
    """Return the mean agreement with the padded top-left corner of the name at every pixel."""
    kernel = name.whole
    if ink.shape[0] < kernel.shape[0] or ink.shape[1] < kernel.shape[1]:
        return np.full((1, 1), -1.0, np.float32)
    return np.asarray(cv2.matchTemplate(ink, kernel, cv2.TM_CCORR), np.float32)


def peaks(scores: FloatMap, least: float, distance: int, most: int) -> list[tuple[int, int]]:
    """Return the (x, y) of the highest local maxima of a map, the highest first."""
    size = 2 * distance + 1
    top = cv2.dilate(scores, np.ones((size, size), np.uint8))
    ys, xs = np.nonzero((scores >= top) & (scores > least))
    order = np.argsort(-scores[ys, xs], kind="stable")[:most]
    return [(int(xs[i]), int(ys[i])) for i in order]


def lay_over(
    ink: FloatMap, window: tuple[int, int, int, int], text: str, face: str, cap_px: int
) -> Match | None:
    """Lay a name over the best place for the corner of its ink box inside a window.

    Args:
        ink: Saturated ink of the page.
        window: Pixel range (x0, y0, x1, y1), ends included, of the ink box's top-left corner.

    Returns:
        The best place, or None when there is next to no ink or the name does not fit there.
    """
    name = drawn_name(text, face, cap_px)
    x0, y0 = max(window[0] - name.pad, 0), max(window[1] - name.pad, 0)
    h, w = name.on.shape[1:]
    crop = ink[y0 : max(window[3] - name.pad + h, 0), x0 : max(window[2] - name.pad + w, 0)]
    scores = agreement_map(crop, name)
    _, best, _, (dx, dy) = cv2.minMaxLoc(scores)
    if best <= 0.1:
        return None
    left, top = x0 + dx, y0 + dy
    glyphs = _glyph_agreement(ink, name, left, top)
    x, y = left + name.pad, top + name.pad
    box = (float(x), float(y), float(x + name.box[0]), float(y + name.box[1]))
    return Match(text, face, cap_px, box, glyphs)


def _glyph_agreement(ink: FloatMap, name: DrawnName, left: int, top: int) -> tuple[float, ...]:
    """Return each glyph's ink minus its surroundings, the best over shifts of one pixel."""
    h, w = name.on.shape[1:]
    padded = np.zeros((h + 2, w + 2), np.float32)
    part = ink[max(top - 1, 0) : top + h + 1, max(left - 1, 0) : left + w + 1]
    oy, ox = (1 if top < 1 else 0), (1 if left < 1 else 0)
    padded[oy : oy + part.shape[0], ox : ox + part.shape[1]] = part
    shifts = np.stack([padded[y : y + h, x : x + w] for y in range(3) for x in range(3)])
    return tuple((shifts.reshape(9, -1) @ name.glyphs).max(0).tolist())


@lru_cache(maxsize=4096)
def _last_glyph(text: str, face: str, cap_px: int) -> FloatMap:
    """Draw the last glyph of a text on a cell of one size for all glyphs, in its place."""
    stack = typeset(text, face, cap_px)
    before = ink_box(stack[:-1].max(axis=0))[1].stop
    top = cap_px // 2
    return stack[-1, top - 1 : top + cap_px + 1, before - 1 : before + round(0.85 * cap_px)]


def rank_last_glyph(
    ink: FloatMap, match: Match, glyphs: str, faces: Sequence[str]
) -> list[tuple[float, str]]:
    """Compare the last glyph of a match with its rivals, each on the same cell, the best first.

    What a trace adds there it adds to all of them.
    """
    head, face, cap = match.text[:-1], match.face, match.cap_px
    stack = typeset(match.text, face, cap)
    left = ink_box(stack.max(axis=0))[1].start
    before = ink_box(stack[:-1].max(axis=0))[1].stop
    x0, y0 = round(match.box[0]) + before - 1 - left - 3, round(match.box[3]) - cap - 1 - 2
    ranked = []
    for glyph in glyphs:
        best = 0.0
        for other in faces:
            for size in (cap, cap + 1):
                cell = _last_glyph(head + glyph, other, size)
                height, width = cell.shape
                crop = ink[max(y0, 0) : y0 + height + 4, max(x0, 0) : x0 + width + 6]
                if crop.shape[0] >= height and crop.shape[1] >= width:
                    scores = cv2.matchTemplate(crop, cell, cv2.TM_CCOEFF_NORMED)
                    best = max(best, float(scores.max()))
        ranked.append((best, glyph))
    return sorted(ranked, reverse=True)


@lru_cache(maxsize=2048)
def _framed(text: str, face: str, cap: int) -> FloatMap:
    """Draw a word with three pixels of paper around it."""
    return np.pad(render(text, face, cap), 3)


def word_likeness(ink: FloatMap, corner: tuple[int, int], text: str, face: str, cap: int) -> float:
    """Return the correlation of a drawn word with the ink near the corner of its box."""
    word = _framed(text, face, cap)
    x0, y0 = max(corner[0] - 7, 0), max(corner[1] - 7, 0)
    crop = ink[y0 : y0 + word.shape[0] + 8, x0 : x0 + word.shape[1] + 8]
    if crop.shape[0] < word.shape[0] or crop.shape[1] < word.shape[1]:
        return 0.0
    return float(cv2.matchTemplate(crop, word, cv2.TM_CCOEFF_NORMED).max())
