"""Things that come onto a page after printing: stains, handwriting, patches, faded ink."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.raster import blend, draw_polyline
from cinc_ecg.synth.text import load_font, text_coverage
from cinc_ecg.synth.textures import fractal_noise, smooth_noise

Pixels = NDArray[np.uint8]
Rng = np.random.Generator

_REMARKS = ("OK", "seen", "chest pain", "repeat!", "Dr. B", "12/3", "??", "old MI", "ward 4", "QRS")


def stain(pixels: Pixels, rng: Rng, *, count: int = 3, strength: float = 0.4) -> Pixels:
    """Soak blotches with ragged, darker rims into the paper."""
    height, width = pixels.shape[:2]
    gains = np.ones((height // 2 + 1, width // 2 + 1, 3), np.float32)
    y, x = np.mgrid[0 : gains.shape[0], 0 : gains.shape[1]].astype(np.float32)
    edge = fractal_noise(gains.shape[:2], width / 25, 4, rng)
    for _ in range(count):
        radius = np.float32(rng.uniform(0.03, 0.12) * width / 2)
        cx, cy = rng.uniform(0, gains.shape[1]), rng.uniform(0, gains.shape[0])
        level = 1 - np.hypot(x - np.float32(cx), y - np.float32(cy)) / radius + 0.15 * edge
        body = 0.5 + 0.5 * np.tanh(12 * level)
        rim = np.exp(-((level / 0.06) ** 2))
        ink = np.float32(strength) * (0.6 * body + 0.4 * rim)
        colour = rng.uniform((0.05, 0.25, 0.5), (0.3, 0.5, 0.9)).astype(np.float32)
        gains *= 1 - ink[..., None] * colour
    gains = cv2.resize(gains, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(pixels * gains + np.float32(0.5), 0, 255).astype(np.uint8)


def fading(pixels: Pixels, rng: Rng, *, strength: float) -> Pixels:
    """Pale the ink towards the paper's colour, unevenly and in streaks, as thermal paper does."""
    height, width = pixels.shape[:2]
    paper = np.median(pixels[::16, ::16].reshape(-1, 3), axis=0).astype(np.float32)
    cloud = smooth_noise((height, width), max(height, width) / 4, rng)
    streak = smooth_noise((height, 1), height / 60, rng)
    lost = np.clip(np.float32(strength) * (1 + 0.25 * cloud + 0.15 * streak), 0, 0.97)
    values = pixels.astype(np.float32)
    values += lost[..., None] * (paper - values)
    return np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8)


def handwriting(
    pixels: Pixels,
    rng: Rng,
    *,
    strokes: int = 4,
    words: int = 2,
    fonts: tuple[str, ...] = ("DejaVuSans-Oblique.ttf",),
) -> Pixels:
    """Scribble over the page: pen curves, circles and a few slanted words.

    Args:
        pixels: (height, width, 3) uint8.
        rng: Source of all chance.
        strokes: Number of curves.
        words: Number of words.
        fonts: Font files the words are drawn with.
    """
    result = pixels.copy()
    height, width = pixels.shape[:2]
    ink = np.zeros((height, width), np.float32)
    colour = ((15, 25, 120), (10, 10, 10), (150, 15, 25))[rng.integers(3)]
    for _ in range(strokes):
        size = rng.uniform(0.02, 0.10) * width
        centre = np.array([rng.uniform(0.05, 0.95) * width, rng.uniform(0.2, 0.95) * height])
        t = np.linspace(0, 1, 120)
        knots = np.cumsum(rng.normal(0, 1, (8, 2)), axis=0)
        curve = np.stack([np.interp(t, np.linspace(0, 1, 8), k) for k in knots.T], -1)
        curve = cv2.GaussianBlur(curve, (1, 0), 1, sigmaY=6) if len(curve) > 1 else curve
        curve = (curve - curve.mean(axis=0)) / max(float(np.ptp(curve)), 1e-6)
        draw_polyline(ink, centre + size * curve, width / rng.uniform(500, 1000))
    blend(result, ink, colour)
    for _ in range(words):
        word = _REMARKS[rng.integers(len(_REMARKS))]
        font = fonts[rng.integers(len(fonts))]
        load_font(font, 20)
        cover = text_coverage(word, font, round(width * rng.uniform(0.012, 0.03)))
        slant = np.array([[1, rng.uniform(-0.4, 0.1), cover.shape[0] * 0.4], [0, 1, 0]])
        size_px = (cover.shape[1] + cover.shape[0], cover.shape[0])
        cover = np.asarray(cv2.warpAffine(cover, slant, size_px), np.float32)
        corner = (int(rng.integers(width * 9 // 10)), int(rng.integers(height * 9 // 10)))
        blend(result, cover, colour, corner)
    return result


def occlusion(pixels: Pixels, rng: Rng, *, count: int = 3, size: float = 0.04) -> Pixels:
    """Cover small patches with correction fluid, tape or a finger; `size` by the width."""
    result = pixels.copy()
    height, width = pixels.shape[:2]
    for _ in range(count):
        colour = ((250, 250, 248), (228, 205, 150), (196, 150, 125))[rng.integers(3)]
        centre = (float(rng.uniform(0, width)), float(rng.uniform(0.2, 1.0) * height))
        extent = tuple(float(v) for v in rng.uniform(0.4, 1.0, 2) * size * width)
        box = cv2.boxPoints((centre, extent, float(rng.uniform(0, 180))))
        mask = np.zeros((height, width), np.float32)
        cv2.fillPoly(mask, [np.round(box).astype(np.int32)], 1.0, lineType=cv2.LINE_AA)
        blend(result, np.minimum(mask, 1), colour)
    return result
