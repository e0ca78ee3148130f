"""Straight upright strokes on a rectified page: sides of pulses, ticks between columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.mark_ink import MarkInk

#: Shortest upright stroke looked at, and the gaps that are closed in one.
_SHORTEST_MM = 2.0
GAP_MM = 0.6
#: Ink from which a pixel belongs to a stroke.
STROKE_INK = 0.4


@dataclass(frozen=True, slots=True)
class Upright:
    """A vertical stroke in pixels: centre line, ends (y1 exclusive), width, how much it leans."""

    x: float
    y0: float
    y1: float
    width: float
    lean: float


def upright_strokes(
    marks: MarkInk, texts: Sequence[tuple[int, int, int, int]] = ()
) -> list[Upright]:
    """Return straight vertical strokes of at least 2 mm outside lines of text (pixel boxes)."""
    k = marks.px_per_mm
    binary = (marks.ink > STROKE_INK).astype(np.uint8)
    gap = np.ones((max(round(GAP_MM * k), 1), 1), np.uint8)
    least = np.ones((max(round(_SHORTEST_MM * k), 3), 1), np.uint8)
    runs = cv2.morphologyEx(cv2.morphologyEx(binary, cv2.MORPH_CLOSE, gap), cv2.MORPH_OPEN, least)
    # A stroke that leans by a pixel is one stroke.
    joined = cv2.dilate(runs, np.ones((1, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    strokes = []
    for number in range(1, len(stats)):
        x, y, w, h = (int(v) for v in stats[number, :4])
        if w > 1.8 * k or h < 2.5 * (w - 2):
            continue
        if any(x0 - 2 <= x <= x1 and y0 - 2 <= y and y + h <= y1 + 2 for x0, y0, x1, y1 in texts):
            continue
        part = runs[y : y + h, x : x + w] * (labels[y : y + h, x : x + w] == number)
        weights = part * marks.ink[y : y + h, x : x + w]
        if float(weights.sum()) <= 0:
            continue
        centre = centre_column(weights)
        third = max(h // 3, 1)
        upper, lower = (centre_column(weights[:third]), centre_column(weights[-third:]))
        width = float(part.sum()) / h
        strokes.append(Upright(x + centre, float(y), float(y + h), width, abs(upper - lower)))
    return strokes


def centre_column(weights: NDArray[np.floating]) -> float:
    """Return the mean column of some weights."""
    columns = weights.sum(axis=0)
    return float((columns * np.arange(len(columns))).sum() / max(float(columns.sum()), 1e-9))
