"""Optical density of a picture: light divided out, so that ink is positive and paper is zero."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

#: The paper's brightness is estimated on a picture shrunk to about this many pixels on the long
#: side.
_BACKGROUND_PX = 440
#: Blur of the estimate in those pixels: hides the blocks of the closing, follows small shadows.
_BACKGROUND_SIGMA = 2.0
#: Darkest transmittance that still counts; keeps the logarithm finite.
_MIN_TRANSMITTANCE = 0.02
#: Brightness of evenly lit paper; the rest of the range is for what shines above it.
_WHITE = 235.0
_BAND_ROWS = 64


def is_dark_mode(pixels: np.ndarray) -> bool:
    """Tell a bright-on-dark screenshot from ink on paper: nearly all of the picture is dark."""
    grey = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA).mean(-1)
    return float(np.median(grey)) < 70 and float(np.mean(grey > 128)) < 0.12


def paper_background(pixels: np.ndarray) -> np.ndarray:
    """Estimate the bare paper's colour at every pixel: its surroundings' bright part, smoothed.

    Args:
        pixels: (H, W, 3) uint8.

    Returns:
        (H, W, 3) float32, never below 8 so that dividing by it is safe.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _BACKGROUND_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # Closing removes thin dark ink; the blur hides its blocky edges.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    small = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, kernel)
    small = cv2.GaussianBlur(small.astype(np.float32), (0, 0), _BACKGROUND_SIGMA)
    background = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.maximum(background, 8.0)


def optical_density(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the (H, W, 3) float32 optical density, -ln(I / paper).

    Ink adds up, bare paper is about zero.
    """
    density = np.empty(pixels.shape, np.float32)
    for rows in _bands(len(pixels)):
        transmittance = np.divide(pixels[rows], background[rows], dtype=np.float32)
        np.clip(transmittance, _MIN_TRANSMITTANCE, 1.6, out=transmittance)
        np.negative(cv2.log(transmittance), out=density[rows])
    return density


def _bands(height: int) -> Iterator[slice]:
    """Cut a picture into bands that stay in the processor's cache while they are worked on."""
    return (slice(top, top + _BAND_ROWS) for top in range(0, height, _BAND_ROWS))


def paper_mask(background: np.ndarray) -> np.ndarray:
    """True where the picture shows paper, not a dark surrounding; (H, W) from `paper_background`.

    Only dark areas that reach the picture's border are surroundings: a shadow in the middle of a
    page is paper.
    """
    mean = (background[..., 0] + background[..., 1] + background[..., 2]) / 3
    level = cv2.resize(mean, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    dark = (level < 0.45 * float(np.percentile(level, 75))).astype(np.uint8)
    _, regions = cv2.connectedComponents(dark)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    outside: np.ndarray = np.isin(regions, np.unique(border[border > 0])).astype(np.uint8)
    outside = cv2.dilate(outside, np.ones((3, 3), np.uint8))
    return cv2.resize(1 - outside, background.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(
        bool
    )


def even_light(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the picture as it would look on evenly lit white paper: (H, W, 3) uint8.

    Shadows and the shading of crumpled paper multiply ink and paper alike, so dividing by the paper
    takes them out without changing how dark ink is against its paper.
    """
    even = np.empty(pixels.shape, np.uint8)
    for rows in _bands(len(pixels)):
        light = cv2.divide(pixels[rows].astype(np.float32), background[rows], scale=_WHITE)
        even[rows] = np.minimum(light, 255.0, out=light)
    return even
