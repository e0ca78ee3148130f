"""What lies on a strip besides grid and trace: lead names, ticks, words, handwriting, patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.leads import LEADS

Mask = NDArray[np.uint8]
Shape = tuple[int, int]

#: OpenCV draws with this many binary digits of a pixel.
_SHIFT = 3
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_LETTERS = "ABCDEFGHIKLMNOPRSTUVabcdefghiklmnoprstuv0123456789:/.-+"


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where one lead ends and the next begins.

    Attributes:
        at_px: Column.
        gap_px: Width of the bare paper around it.
        style: "jump" (nothing is drawn), "tick" (thin), "bar" (thick) or "gap".
        named: The leads' names are printed.
    """

    at_px: float
    gap_px: float
    style: str
    named: bool


def draw_clutter(
    rng: np.random.Generator,
    shape: Shape,
    px_per_mm: float,
    baselines_px: Sequence[float] | NDArray[np.float64],
    boundaries: Sequence[Boundary],
) -> Mask:
    """Draw everything that is printed or written besides grid and trace.

    Args:
        rng: Decides what and where.
        shape: Height and width.
        px_per_mm: Scale.
        baselines_px: Levels of the rows.
        boundaries: Common to all rows.

    Returns:
        (H, W) uint8 coverage, 255 = full.
    """
    mask = np.zeros(shape, np.uint8)
    height_mm = rng.uniform(2.0, 4.5)
    font = int(rng.integers(len(_FONTS)))
    above = rng.uniform(-9.0, 9.0)
    for boundary in boundaries:
        for level in baselines_px:
            _tick(mask, rng, boundary, level, px_per_mm)
            if boundary.named:
                x = boundary.at_px + rng.uniform(0.2, 3.0) * px_per_mm
                name = str(rng.choice(LEADS))
                name = name.upper() if font % 2 else name
                _text(mask, rng, name, (x, level - above * px_per_mm), height_mm * px_per_mm, font)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 4))):
            word = "".join(rng.choice(list(_LETTERS), int(rng.integers(2, 14))))
            place = (rng.uniform(-0.2, 0.9) * shape[1], rng.uniform(0.0, 1.0) * shape[0])
            _text(mask, rng, word, place, rng.uniform(1.5, 5.0) * px_per_mm)
    if rng.random() < 0.12:
        _handwriting(mask, rng, px_per_mm)
    if rng.random() < 0.08:
        _rule(mask, rng, px_per_mm)
    return mask


def draw_occluder(rng: np.random.Generator, shape: Shape, px_per_mm: float) -> Mask:
    """Draw opaque patches (white-out, tape, a finger, a torn edge), most often none."""
    mask = np.zeros(shape, np.uint8)
    if rng.random() < 0.06:
        centre = (rng.uniform(0, shape[1]), rng.uniform(0, shape[0]))
        size = rng.uniform(1.0, 9.0, 2) * px_per_mm
        box = (centre, (float(size[0]), float(size[1])), float(rng.uniform(0, 180)))
        corners = cv2.boxPoints(box)
        if rng.random() < 0.5:
            cv2.ellipse(mask, box, 255, -1, cv2.LINE_AA)
        else:
            cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 255, cv2.LINE_AA)
    return mask


def _tick(
    mask: Mask, rng: np.random.Generator, boundary: Boundary, level: float, scale: float
) -> None:
    """Draw the mark between two leads of a row."""
    if boundary.style not in ("tick", "bar"):
        return
    thick = (0.7 if boundary.style == "bar" else 0.25) * scale * rng.uniform(0.7, 1.3)
    reach = rng.uniform(2.0, 6.0) * scale
    middle = level + rng.uniform(-1.0, 1.0) * scale
    low, high = (
        (boundary.at_px - thick / 2.0, middle - reach),
        (
            boundary.at_px + thick / 2.0,
            middle + reach,
        ),
    )
    cv2.rectangle(mask, _fixed(low), _fixed(high), 255, -1, cv2.LINE_AA, _SHIFT)


def _text(
    mask: Mask,
    rng: np.random.Generator,
    text: str,
    at_px: tuple[float, float],
    height_px: float,
    font: int | None = None,
) -> None:
    """Write one line with its lower left corner at a place."""
    face = _FONTS[int(rng.integers(len(_FONTS)) if font is None else font)]
    scale = height_px / 21.0
    thickness = max(1, round(height_px * rng.uniform(0.05, 0.16)))
    place = (round(at_px[0]), round(at_px[1]))
    cv2.putText(mask, text, place, face, scale, 255, thickness, cv2.LINE_AA)


def _handwriting(mask: Mask, rng: np.random.Generator, scale: float) -> None:
    """Draw loops that lean to the right, as a pen on paper makes them."""
    n = int(rng.integers(20, 90))
    t = np.arange(n) / 6.0
    size = rng.uniform(1.0, 5.0) * scale
    x = rng.uniform(-0.1, 0.8) * mask.shape[1] + size * (
        rng.uniform(0.3, 0.8) * t + 0.6 * np.sin(2.1 * t + rng.uniform(0, 6))
    )
    y = rng.uniform(0.05, 0.95) * mask.shape[0] + size * (
        np.sin(2.7 * t + rng.uniform(0, 6)) + 0.5 * rng.normal(size=n).cumsum() / np.sqrt(n)
    )
    points = np.rint(np.stack([x, y], 1) * 2**_SHIFT).astype(np.int32)
    thickness = max(1, round(rng.uniform(0.15, 0.7) * scale))
    cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, _SHIFT)


def _rule(mask: Mask, rng: np.random.Generator, scale: float) -> None:
    """Draw a frame's edge or an underline: straight, long, level or upright."""
    thickness = max(1, round(rng.uniform(0.1, 0.5) * scale))
    if rng.random() < 0.5:
        y = int(rng.uniform(0, mask.shape[0]))
        cv2.line(mask, (0, y), (mask.shape[1], y), 255, thickness)
    else:
        x = int(rng.uniform(0, mask.shape[1]))
        cv2.line(mask, (x, 0), (x, mask.shape[0]), 255, thickness)


def _fixed(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * 2**_SHIFT), round(point[1] * 2**_SHIFT)
