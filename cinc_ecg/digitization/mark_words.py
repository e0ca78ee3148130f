"""Pieces of ink of letter size on a rectified page, and the words they stand in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np

from cinc_ecg.digitization.mark_ink import FloatMap, MarkInk

#: Heights of printed letters, and the greatest width of a word whose letters all touch, in mm.
LETTER_MM = (1.1, 6.5)
_WIDEST_MM = 14.0
_DOT_MM = 0.2
#: More dots than this are remains of a grid or noise, and no text can be read by them.
_MOST_DOTS = 2000
#: Ink from which a pixel belongs to a letter; thin strokes of coarse pictures need the second.
INK_THRESHOLDS = (0.42, 0.26)


@dataclass(frozen=True, slots=True)
class Piece:
    """A connected piece of ink: its pixel box (x1, y1 exclusive) and its ink, cut to the box."""

    x0: int
    y0: int
    x1: int
    y1: int
    ink: FloatMap

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Word:
    """Pieces side by side on one line, left to right."""

    pieces: tuple[Piece, ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Pixel box around all pieces, ends exclusive."""
        return (
            min(p.x0 for p in self.pieces),
            min(p.y0 for p in self.pieces),
            max(p.x1 for p in self.pieces),
            max(p.y1 for p in self.pieces),
        )

    @property
    def ink(self) -> FloatMap:
        """All pieces on one crop."""
        x0, y0, x1, y1 = self.box
        crop = np.zeros((y1 - y0, x1 - x0), np.float32)
        for p in self.pieces:
            window = crop[p.y0 - y0 : p.y1 - y0, p.x0 - x0 : p.x1 - x0]
            np.maximum(window, p.ink, out=window)
        return crop


def find_pieces(marks: MarkInk, threshold: float = INK_THRESHOLDS[0]) -> list[Piece]:
    """Return the connected pieces of ink up to letter size, dots included, by their left edge."""
    binary = (marks.ink > threshold).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    k = marks.px_per_mm
    height, width = stats[:, cv2.CC_STAT_HEIGHT] / k, stats[:, cv2.CC_STAT_WIDTH] / k
    fits = (height >= _DOT_MM) & (height <= LETTER_MM[1]) & (width <= _WIDEST_MM)
    dots = fits & (height < LETTER_MM[0])
    if np.count_nonzero(dots) > _MOST_DOTS:
        fits &= ~dots
    pieces = []
    for number in np.flatnonzero(fits):
        x, y, w, h = (int(v) for v in stats[number, :4])
        own = labels[y : y + h, x : x + w] == number
        pieces.append(Piece(x, y, x + w, y + h, marks.ink[y : y + h, x : x + w] * own))
    return sorted(pieces, key=lambda p: (p.x0, p.y0))


def letters_of(pieces: Sequence[Piece], px_per_mm: float) -> list[Piece]:
    """Return the pieces that are as high as letters."""
    return [piece for piece in pieces if piece.height >= LETTER_MM[0] * px_per_mm]


def group_words(pieces: Sequence[Piece], max_gap: float = 0.45) -> list[Word]:
    """Join pieces on one line whose gap is at most `max_gap` of the taller one's height."""
    parent = list(range(len(pieces)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    starts, heights = [p.x0 for p in pieces], [p.height for p in pieces]
    for i, left in enumerate(pieces):
        # Sorted by x0: nothing further right can join.
        for j in range(i + 1, bisect_right(starts, left.x1 + max_gap * 40 + 14)):
            gap = starts[j] - left.x1
            if gap <= max_gap * max(heights[i], heights[j]) and _same_line(left, pieces[j]):
                parent[root(j)] = root(i)
    groups: dict[int, list[Piece]] = {}
    for i, piece in enumerate(pieces):
        groups.setdefault(root(i), []).append(piece)
    return [Word(tuple(group)) for group in groups.values()]


def _same_line(left: Piece, right: Piece) -> bool:
    """Tell whether two pieces share most of their height and are of comparable size."""
    lower, taller = sorted((left.height, right.height))
    overlap = min(left.y1, right.y1) - max(left.y0, right.y0)
    return overlap >= 0.7 * lower and lower >= 0.35 * taller


def text_lines(pieces: Sequence[Piece], *, least: int = 4) -> list[tuple[int, int, int, int]]:
    """Return the pixel boxes of lines of text: at least `least` letters side by side."""
    words = group_words(pieces, 0.9)
    return [word.box for word in words if len(word.pieces) >= least]


def with_dots(run: Sequence[Piece], dots: Sequence[Piece]) -> list[Piece]:
    """Add the dots and commas that stand on the run's base line between its letters."""
    base, tall = float(median([p.y1 for p in run])), max(p.height for p in run)
    inside = [
        dot
        for dot in dots
        if run[0].x0 < dot.x0 < run[-1].x1
        and abs(dot.y1 - base) < 0.25 * tall
        and max(dot.height, dot.width) < 0.4 * tall
    ]
    return sorted([*run, *inside], key=lambda p: p.x0)
