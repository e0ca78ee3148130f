"""What lens, sensor and file format do to a picture; the geometry stays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import ConfigError
from cinc_ecg.synth.textures import smooth_noise

Pixels = NDArray[np.uint8]
Rng = np.random.Generator


def noise(pixels: Pixels, rng: Rng, *, sigma: float, grain_px: float = 0.0) -> Pixels:
    """Add Gaussian noise of `sigma` grey levels; `grain_px` > 0 makes it coarser."""
    shape = pixels.shape
    if grain_px > 0:
        planes = [rng.standard_normal(shape[:2], np.float32) for _ in range(3)]
        coarse = cv2.GaussianBlur(np.stack(planes, -1), (0, 0), grain_px)
        grain = np.asarray(coarse / coarse.std(), np.float32)
    else:
        grain = rng.standard_normal(shape, np.float32)
    grain *= np.float32(sigma)
    grain += pixels
    return _to_uint8(grain)


def blur(pixels: Pixels, rng: Rng, *, sigma_px: float) -> Pixels:
    """Blur by a Gaussian point-spread function."""
    return _uint8(cv2.GaussianBlur(pixels, (0, 0), sigma_px)) if sigma_px > 0 else pixels


def defocus(pixels: Pixels, rng: Rng, *, radius_px: float) -> Pixels:
    """Blur by a disc, as a lens out of focus does; the disc's rim is anti-aliased."""
    reach = int(np.ceil(radius_px + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return _convolved(pixels, kernel)


def motion(pixels: Pixels, rng: Rng, *, length_px: float) -> Pixels:
    """Blur along a straight line in a random direction, centred so that nothing moves."""
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(length_px / 2 + 1))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for t in np.linspace(-0.5, 0.5, 16 * reach + 1) * length_px:
        x, y = reach + t * np.cos(angle), reach + t * np.sin(angle)
        column, row = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - column, y - row
        patch = np.outer([1 - fy, fy], [1 - fx, fx])
        kernel[row : row + 2, column : column + 2] += patch
    return _convolved(pixels, kernel)


def jpeg(pixels: Pixels, rng: Rng, *, quality: int) -> Pixels:
    """Compress and decompress."""
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    )
    if not ok:
        raise ConfigError(f"JPEG quality {quality!r} was refused by the encoder")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    return _uint8(decoded)


def down_up(pixels: Pixels, rng: Rng, *, factor: float) -> Pixels:
    """Shrink the picture by `factor` < 1 and enlarge it again to its size."""
    height, width = pixels.shape[:2]
    small = (max(round(width * factor), 8), max(round(height * factor), 8))
    shrunk = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC))


def colour_cast(pixels: Pixels, rng: Rng, *, strength: float) -> Pixels:
    """Multiply the channels as light of another colour temperature and a tint do."""
    warmth, tint = rng.uniform(-strength, strength), rng.uniform(-strength, strength) / 2
    gains = np.array([1 + warmth, 1 + tint, 1 - warmth])
    gains /= max(gains.max(), 1.0)
    tables = np.clip(np.arange(256)[:, None] * gains, 0, 255)
    table = np.rint(tables).astype(np.uint8)
    return np.stack([table[pixels[..., k], k] for k in range(3)], -1)


def grey(pixels: Pixels, rng: Rng, *, contrast: float = 1.0) -> Pixels:
    """Turn the picture grey as a scanner does, and stretch its contrast about white."""
    weights = rng.dirichlet((6, 6, 6))
    value = pixels.astype(np.float32) @ weights.astype(np.float32)
    value = 255 - (255 - value) * np.float32(contrast)
    return np.repeat(_to_uint8(value)[..., None], 3, axis=2)


def fax(pixels: Pixels, rng: Rng, *, dpi_factor: float, level: float = 0.55) -> Pixels:
    """Threshold to one bit at `dpi_factor` of the resolution, relative to the local paper white."""
    height, width = pixels.shape[:2]
    small = (max(round(width * dpi_factor), 8), max(round(height * dpi_factor), 8))
    value = cv2.cvtColor(
        cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    white = cv2.resize(value, (max(small[0] // 16, 2), max(small[1] // 16, 2)))
    white = cv2.resize(cv2.dilate(white, np.ones((3, 3))), small)
    bits = (value > level * white + rng.normal(0, 6, value.shape)).astype(np.uint8) * np.uint8(255)
    large = _uint8(cv2.resize(bits, (width, height), interpolation=cv2.INTER_NEAREST))
    return np.repeat(large[..., None], 3, axis=2)


def moire(pixels: Pixels, rng: Rng, *, strength: float) -> Pixels:
    """Beat of the camera's pixels with a screen's: coloured wavy stripes, and fine screen lines."""
    height, width = pixels.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = smooth_noise((height, width), max(height, width) / 3, rng)
    angle, period = rng.uniform(0, np.pi), rng.uniform(9, 30)
    phase = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / np.float32(period)
    phase += np.float32(1.5) * bend
    gains = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        shift = np.float32(rng.uniform(0, 2 * np.pi))
        gains[..., channel] = np.sin(np.float32(2 * np.pi) * phase + shift)
    lines = np.sin(np.float32(2 * np.pi) * y / np.float32(rng.uniform(2.2, 3.6)))
    gains += 0.5 * lines[..., None]
    gains *= np.float32(strength)
    gains += 1 - np.float32(strength)
    gains *= pixels
    return _to_uint8(gains)


def _to_uint8(values: NDArray[np.float32]) -> Pixels:
    return _uint8(cv2.convertScaleAbs(np.clip(values, 0, 255)))


def _uint8(picture: NDArray[Any]) -> Pixels:
    """Tell the type checker what OpenCV returns for 8-bit input; copies nothing."""
    return np.asarray(picture, np.uint8)


def _convolved(pixels: Pixels, kernel: NDArray[np.float64]) -> Pixels:
    weights = kernel / kernel.sum()
    return _uint8(cv2.filter2D(pixels, -1, weights, borderType=cv2.BORDER_REPLICATE))
