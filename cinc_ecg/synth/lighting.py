"""Light and relief: gradients, shadows, glare, creases and crumpled paper, multiplied in."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.synth.textures import crumple_shading, smooth_noise

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]
Rng = np.random.Generator


def light_gradient(pixels: Pixels, rng: Rng, *, low: float = 0.75, high: float = 1.1) -> Pixels:
    """Brighten one side and darken the other: gains run from `low` to `high` across the picture."""
    return _times(pixels, _ramp(pixels.shape[:2], low, high, rng))


def shadow(pixels: Pixels, rng: Rng, *, depth: float) -> Pixels:
    """Lay one soft-edged shadow over a part of the picture, up to `depth` (0..1) dark."""
    return _times(pixels, _shadow_field(pixels.shape[:2], depth, rng))


def glare(pixels: Pixels, rng: Rng, *, strength: float, size: float = 0.15) -> Pixels:
    """Wash out a soft elliptical spot towards white; `size` is relative to the picture's width."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    cx, cy = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    angle = rng.uniform(0, np.pi)
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    u = dx * np.float32(np.cos(angle)) + dy * np.float32(np.sin(angle))
    v = dy * np.float32(np.cos(angle)) - dx * np.float32(np.sin(angle))
    radius = np.float32(size * width)
    spot = np.exp(-((u / radius) ** 2) - (v / (radius * np.float32(rng.uniform(0.3, 1.0)))) ** 2)
    alpha = cv2.resize(spot, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(strength)
    values = pixels.astype(np.float32)
    values += alpha[..., None] * (255 - values)
    return np.clip(values, 0, 255).astype(np.uint8)


def crumple(
    pixels: Pixels, rng: Rng, *, strength: float = 0.12, creases: int = 10, texture: str = "ridges"
) -> Pixels:
    """Multiply crumpled-paper shading and straight creases into the page.

    Args:
        pixels: (height, width, 3) uint8.
        rng: Source of all chance.
        strength: Standard deviation of the shading.
        creases: Number of straight folds.
        texture: See `textures.crumple_shading`.
    """
    shape = pixels.shape[:2]
    # Paper seen at an angle is darker than flat paper, never brighter than white.
    gains = np.float32(0.88) * crumple_shading(shape, texture, strength, rng)
    for _ in range(creases):
        gains *= _crease(shape, rng.uniform(0.05, 0.25), rng)
    return _times(pixels, gains)


def fold(pixels: Pixels, rng: Rng, *, folds: int = 1, depth: float = 0.12) -> Pixels:
    """Shade the page as one folded in half (`folds` 1), in four (2) and so on."""
    height, width = pixels.shape[:2]
    gains = np.ones((height, width), np.float32)
    for number in range(folds):
        along_x = number % 2 == 0
        n = width if along_x else height
        at = n * rng.uniform(0.42, 0.58)
        distance = np.arange(n, dtype=np.float32) - np.float32(at)
        side = 1 + np.float32(depth * rng.choice([-1, 1]) / 2) * np.tanh(distance / (0.1 * n))
        line = 1 - np.float32(depth) * np.exp(-((distance / np.float32(n / 500)) ** 2))
        gains *= (side * line)[None, :] if along_x else (side * line)[:, None]
    return _times(pixels, gains)


def illumination(shape: tuple[int, int], low: float, high: float, depth: float, rng: Rng) -> Field:
    """Return a light gradient times one shadow, for pictures that already are in floating point."""
    return _ramp(shape, low, high, rng) * _shadow_field(shape, depth, rng)


def _ramp(shape: tuple[int, int], low: float, high: float, rng: Rng) -> Field:
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    span = np.float32(abs(np.cos(angle)) + abs(np.sin(angle)))
    return np.float32((low + high) / 2) + np.float32(high - low) * (x + y) / span


def _shadow_field(shape: tuple[int, int], depth: float, rng: Rng) -> Field:
    """A random soft blob or half-plane, made small and enlarged."""
    small = (max(shape[0] // 8, 4), max(shape[1] // 8, 4))
    y, x = np.mgrid[0 : small[0], 0 : small[1]].astype(np.float32) / max(small)
    angle = rng.uniform(0, 2 * np.pi)
    edge = (x - 0.5) * np.float32(np.cos(angle)) + (y - 0.4) * np.float32(np.sin(angle))
    edge += 0.08 * smooth_noise(small, max(small) / 2.5, rng) + np.float32(rng.uniform(-0.15, 0.15))
    dark = 1 / (1 + np.exp(-edge / np.float32(rng.uniform(0.01, 0.05))))
    gains = 1 - np.float32(depth) * dark
    return cv2.resize(gains, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _crease(shape: tuple[int, int], gain: float, rng: Rng) -> Field:
    """A fold line across the page: a bright ridge with one dark flank."""
    angle = rng.uniform(0, np.pi)
    x = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(rng.uniform(0, shape[1]))
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(rng.uniform(0, shape[0]))
    width = np.float32(max(shape) / rng.uniform(280, 800))
    distance = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / width
    near = np.abs(distance) < 6
    gains = np.ones(shape, np.float32)
    d = distance[near]
    gains[near] += np.float32(gain) * (np.exp(-d * d) - np.float32(0.4) * np.exp(-((d - 2) ** 2)))
    return gains


def _times(pixels: Pixels, gains: Field) -> Pixels:
    values = pixels * gains[..., None]
    return np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8)
