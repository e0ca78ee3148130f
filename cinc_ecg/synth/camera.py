"""A page photographed: curl, perspective, uneven light, a shadow, the lens, the sensor, JPEG."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.synth import optics
from cinc_ecg.synth.lighting import illumination
from cinc_ecg.synth.textures import DEFAULT_BACKGROUNDS, background
from cinc_ecg.synth.warp import Curl, Homography, Warp, apply_warps
from cinc_ecg.types import FloatArray, PageTruth

Pixels = NDArray[np.uint8]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """A camera in somebody's hand; values are drawn evenly up to a bound or within a range.

    Attributes:
        size_px: (width, height) of the photograph.
        fill: Range of the page's longer extent relative to the photograph's.
        corner_shift: Bound on each corner's displacement, relative to the page.
        rotation_deg: Bound on the rotation.
        curl: Bound on the bend of the paper, relative to the page's width.
        light: Gains at the dark and the bright end of the light gradient.
        shadow: Bound on the shadow's depth, 0..1.
        psf_px: Range of the point-spread function's standard deviation.
        noise: Range of the noise's standard deviation in grey levels.
        jpeg: Quality.
        backgrounds: Kinds of table top to choose from (`textures.BACKGROUNDS`).
    """

    size_px: tuple[int, int] = (2600, 2000)
    fill: Range = (0.84, 0.92)
    corner_shift: float = 0.02
    rotation_deg: float = 3.0
    curl: float = 0.003
    light: Range = (0.75, 1.1)
    shadow: float = 0.18
    psf_px: Range = (0.6, 0.9)
    noise: Range = (3.0, 5.0)
    jpeg: int = 70
    backgrounds: tuple[str, ...] = DEFAULT_BACKGROUNDS


def photograph(
    pixels: Pixels, truth: PageTruth, rng: np.random.Generator, *, camera: CameraSettings
) -> tuple[Pixels, PageTruth]:
    """Take a picture of a flat page lying somewhere.

    Args:
        pixels: (height, width, 3) uint8; best rendered finer than the photograph will resolve.
        truth: Its geometry follows the page exactly.
        rng: Source of all chance.
        camera: How bad it gets.
    """
    warps = [*_curls(pixels.shape[1], camera.curl, rng), _placement(pixels.shape[:2], camera, rng)]
    width, height = camera.size_px
    kind = camera.backgrounds[rng.integers(len(camera.backgrounds))]
    table = background((height, width), kind, rng)
    picture, truth = apply_warps(pixels, truth, warps, camera.size_px, table)
    depth = rng.uniform(0.5, 1.0) * camera.shadow
    gains = illumination((height, width), *camera.light, depth, rng)
    lit = np.clip(picture * gains[..., None], 0, 255).astype(np.uint8)
    lit = optics.blur(lit, rng, sigma_px=rng.uniform(*camera.psf_px))
    lit = optics.noise(lit, rng, sigma=rng.uniform(*camera.noise))
    return optics.jpeg(lit, rng, quality=camera.jpeg), truth


def perspective(
    pixels: Pixels,
    truth: PageTruth,
    rng: np.random.Generator,
    *,
    corner_shift: float,
    colour: tuple[int, int, int] = (90, 90, 90),
) -> tuple[Pixels, PageTruth]:
    """Move each corner by up to `corner_shift` of the page, in a picture a little larger."""
    still = CameraSettings(corner_shift=corner_shift, rotation_deg=0.0)
    still = replace(still, size_px=_roomy(pixels), fill=(0.95, 0.95))
    return apply_warps(
        pixels, truth, [_placement(pixels.shape[:2], still, rng)], still.size_px, colour
    )


def curl(
    pixels: Pixels,
    truth: PageTruth,
    rng: np.random.Generator,
    *,
    amount: float,
    colour: tuple[int, int, int] = (90, 90, 90),
) -> tuple[Pixels, PageTruth]:
    """Bend the paper by up to `amount` of its width."""
    size = _roomy(pixels)
    centred = Homography.shift((size[0] - pixels.shape[1]) / 2, (size[1] - pixels.shape[0]) / 2)
    warps = [*_curls(pixels.shape[1], amount, rng, least=0.8), centred]
    return apply_warps(pixels, truth, warps, size, colour)


def rotate(
    pixels: Pixels,
    truth: PageTruth,
    rng: np.random.Generator,
    *,
    max_deg: float,
    colour: tuple[int, int, int] = (0, 0, 0),
    exactly: bool = False,
    expand: bool = False,
) -> tuple[Pixels, PageTruth]:
    """Turn the page about its centre by up to (or `exactly`) `max_deg` to either side.

    Args:
        pixels: (height, width, 3) uint8.
        truth: Its geometry is turned alike.
        rng: Source of all chance.
        max_deg: Bound of the angle.
        colour: What shows beside the page.
        exactly: Take the bound itself.
        expand: Enlarge the picture to hold the whole page; otherwise its size is kept.
    """
    height, width = pixels.shape[:2]
    angle = rng.choice([-1.0, 1.0]) * max_deg * (1.0 if exactly else rng.uniform(0, 1))
    warps: list[Warp] = [Homography.rotation(angle, ((width - 1) / 2, (height - 1) / 2))]
    size = (width, height)
    if expand:
        cos, sin = abs(np.cos(np.deg2rad(angle))), abs(np.sin(np.deg2rad(angle)))
        size = (round(width * cos + height * sin), round(width * sin + height * cos))
        warps.append(Homography.shift((size[0] - width) / 2, (size[1] - height) / 2))
    return apply_warps(pixels, truth, warps, size, colour)


def rescale(
    pixels: Pixels, truth: PageTruth, rng: np.random.Generator, *, factor: float
) -> tuple[Pixels, PageTruth]:
    """Resize the picture; below 1 by area averaging."""
    height, width = pixels.shape[:2]
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
    scaling = Homography.scaling(size[0] / width, size[1] / height)
    return resized, _moved(truth, scaling)


def crop(
    pixels: Pixels, truth: PageTruth, rng: np.random.Generator, *, share: float
) -> tuple[Pixels, PageTruth]:
    """Cut up to `share` of the size from each side."""
    height, width = pixels.shape[:2]
    left, right = (int(rng.uniform(0, share) * width) for _ in range(2))
    top, bottom = (int(rng.uniform(0, share) * height) for _ in range(2))
    part = np.ascontiguousarray(pixels[top : height - bottom, left : width - right])
    return part, _moved(truth, Homography.shift(-left, -top))


def quarter_turn(
    pixels: Pixels, truth: PageTruth, rng: np.random.Generator, *, turns: int
) -> tuple[Pixels, PageTruth]:
    """Turn the picture by `turns` times 90 degrees counter-clockwise without resampling."""
    for _ in range(turns % 4):
        width = pixels.shape[1]
        pixels = np.ascontiguousarray(np.rot90(pixels))
        matrix = np.array([[0, 1, 0], [-1, 0, width - 1], [0, 0, 1.0]])
        truth = _moved(truth, Homography(matrix))
    return pixels, truth


def _moved(truth: PageTruth, warp: Homography) -> PageTruth:
    geometry = truth.geometry
    nodes = warp.forward(np.asarray(geometry.nodes_px, float))
    return replace(truth, geometry=replace(geometry, nodes_px=nodes))


def _roomy(pixels: Pixels) -> tuple[int, int]:
    return round(pixels.shape[1] * 1.08), round(pixels.shape[0] * 1.08)


def _curls(
    width_px: int, amount: float, rng: np.random.Generator, least: float = 0.5
) -> list[Warp]:
    """Bend lines of constant y by `amount` of the width, those of constant x by a third of it."""
    warps: list[Warp] = []
    for axis, share in ((1, 1.0), (0, 1 / 3)):
        size = amount * share * width_px * rng.uniform(least, 1.0)
        long, short = rng.uniform(1.4, 2.4) * width_px, rng.uniform(0.6, 1.1) * width_px
        split = rng.uniform(0.6, 0.9)
        phases = (float(rng.uniform(0, 6.3)), float(rng.uniform(0, 6.3)))
        warps.append(Curl(axis, (size * split, size * (1 - split)), (long, short), phases))
    return warps


def _placement(
    page_shape: tuple[int, int], camera: CameraSettings, rng: np.random.Generator
) -> Homography:
    """Where the page's corners come to lie in the photograph: scaled, turned, pulled apart."""
    height, width = page_shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) - 0.5
    picture = np.array(camera.size_px, float)
    scale = rng.uniform(*camera.fill) * float(np.min(picture / (width, height)))
    centred = (corners - corners.mean(axis=0)) * scale
    angle = np.deg2rad(rng.uniform(-camera.rotation_deg, camera.rotation_deg))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = rng.uniform(-1, 1, (4, 2)) * camera.corner_shift * scale * (width, height)
    moved: FloatArray = centred @ turn.T + shift
    moved -= (moved.max(axis=0) + moved.min(axis=0)) / 2
    return Homography.from_corners(corners, moved + (picture - 1) / 2)
