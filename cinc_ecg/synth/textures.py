"""Procedural textures: smooth and fractal noise, table tops to lay a page on, crumpled paper."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from cinc_ecg.errors import ConfigError

Field = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def smooth_noise(shape: tuple[int, int], cell_px: float, rng: np.random.Generator) -> Field:
    """Return (height, width) noise of about unit size that varies over `cell_px` pixels."""
    rows, columns = (max(int(np.ceil(n / cell_px)) + 3, 4) for n in shape)
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    size = (round(columns * cell_px), round(rows * cell_px))
    if size[0] * size[1] > 4 * shape[0] * shape[1]:
        # Cells larger than the picture: interpolate only the part that is needed.
        return _interpolate(coarse, shape, cell_px)
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    x, y = int(cell_px), int(cell_px)
    return np.ascontiguousarray(fine[y : y + shape[0], x : x + shape[1]])


def _interpolate(coarse: Field, shape: tuple[int, int], cell_px: float) -> Field:
    matrix = np.array([[1 / cell_px, 0, 1.0], [0, 1 / cell_px, 1.0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    fine = cv2.warpAffine(coarse, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(fine, np.float32)


def fractal_noise(
    shape: tuple[int, int],
    cell_px: float,
    octaves: int,
    rng: np.random.Generator,
    ridged: bool = False,
) -> Field:
    """Sum octaves of smooth noise, each half as large and high; `ridged` folds each at zero."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        layer = smooth_noise(shape, max(cell_px / 2**octave, 1.5), rng)
        total += (0.5 - np.abs(layer) if ridged else layer) * np.float32(0.5**octave)
    return total


def crumple_shading(
    shape: tuple[int, int], kind: str, strength: float, rng: np.random.Generator
) -> Field:
    """Return multiplicative shading of crumpled paper, about 1 on average.

    A height field is lit from one side, so that slope becomes brightness; broad dents are added.

    Args:
        shape: (height, width).
        kind: "ridges" (ridged noise) or "facets" (flat pieces between the folds of many cuts).
        strength: Standard deviation of the shading.
        rng: Source of all chance.

    Raises:
        ConfigError: Unknown kind.
    """
    small = (shape[0] // 4 + 1, shape[1] // 4 + 1)
    if kind == "ridges":
        height = fractal_noise(small, max(small) / 5, 5, rng, ridged=True)
    elif kind == "facets":
        height = _facets(small, rng)
    else:
        raise ConfigError(f"crumple texture {kind!r} is not known; use 'ridges' or 'facets'")
    angle = rng.uniform(0, 2 * np.pi)
    across, down = (cv2.Sobel(height, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    lit = across * np.cos(angle) + down * np.sin(angle)
    slope = np.asarray(cv2.GaussianBlur(lit, (0, 0), max(small) / 400), np.float32)
    slope /= max(float(slope.std()), 1e-9)
    slope = np.clip(slope, -2.5, 2.5) + 0.5 * smooth_noise(small, max(small) / 4, rng)
    slope *= strength / max(float(slope.std()), 1e-9)
    large = cv2.resize(slope, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(1 + large, np.float32)


def _facets(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Lay triangles between random points, each with its own height: flat facets, sharp folds."""
    count = 70
    places = rng.uniform(-0.15, 1.15, (count, 2)) * (shape[1], shape[0])
    heights = rng.normal(0, 1, count)
    triangles = Delaunay(places)
    corners = places[triangles.simplices]
    levels = heights[triangles.simplices]
    planes = np.linalg.solve(
        np.concatenate([corners, np.ones((*corners.shape[:2], 1))], -1), levels[..., None]
    )[..., 0]
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    owner = triangles.find_simplex(np.stack([x, y], -1).astype(float))
    mine = planes[np.maximum(owner, 0)]
    return (mine[..., 0] * x + mine[..., 1] * y + mine[..., 2]).astype(np.float32)


def background(shape: tuple[int, int], kind: str, rng: np.random.Generator) -> Pixels:
    """Return an (height, width, 3) uint8 picture of something a page may lie on.

    Args:
        shape: (height, width).
        kind: One of `BACKGROUNDS`.
        rng: Source of all chance.

    Raises:
        ConfigError: Unknown kind.
    """
    if kind not in BACKGROUNDS:
        raise ConfigError(f"background {kind!r} is not known; use one of {', '.join(BACKGROUNDS)}")
    quarter = (shape[0] // 3 + 1, shape[1] // 3 + 1)
    small = BACKGROUNDS[kind](quarter, rng)
    picture = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _tint(value: Field, colour: tuple[float, float, float], contrast: float) -> Field:
    """Lay a grey-value field over a colour."""
    base = np.array(colour, np.float32)
    tinted = base + (contrast * value)[..., None] * (base / 255 + np.float32(0.2))
    return tinted.astype(np.float32)


def _wood(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    bend = 0.35 * smooth_noise(shape, max(shape) / 3, rng)
    y = np.linspace(0, rng.uniform(5, 12), shape[0], dtype=np.float32)[:, None]
    rings = np.sin(2 * np.pi * (y + bend))
    stretched = smooth_noise((shape[0], max(shape[1] // 40, 8)), 3, rng)
    fibre = cv2.resize(stretched, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    colour = (rng.uniform(110, 190), rng.uniform(70, 125), rng.uniform(35, 80))
    return _tint(0.5 * rings + 0.6 * fibre, colour, 22)


def _fabric(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    pitch = rng.uniform(2.5, 5)
    weave = np.sin(2 * np.pi * x / pitch) * np.sin(2 * np.pi * y / pitch)
    weave += smooth_noise(shape, max(shape) / 8, rng)
    return _tint(weave, tuple(rng.uniform(30, 200, 3)), 14)


def _plain(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    grain = 0.5 * rng.standard_normal(shape).astype(np.float32)
    grain += smooth_noise(shape, max(shape) / 3, rng)
    return _tint(grain, tuple(rng.uniform(15, 230, 3)), 9)


def _marble(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    veins = fractal_noise(shape, max(shape) / 4, 5, rng, ridged=True)
    veins = np.maximum(veins, 0) ** 2
    base = rng.uniform(150, 225)
    return _tint(
        -4 * veins, (base, base * rng.uniform(0.94, 1.0), base * rng.uniform(0.88, 1.0)), 40
    )


def _tiles(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    pitch = max(shape) / rng.uniform(5, 11)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(-0.5, 0.5)
    u = (x * np.cos(angle) + y * np.sin(angle)) / pitch
    v = (y * np.cos(angle) - x * np.sin(angle)) / pitch
    joint = (np.minimum(u % 1, v % 1) < 0.04).astype(np.float32)
    odd = ((np.floor(u) + np.floor(v)) % 2).astype(np.float32)
    field = odd - 3 * joint + 0.4 * smooth_noise(shape, max(shape) / 20, rng)
    return _tint(field, tuple(rng.uniform(60, 210, 3)), 20)


def _clutter(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A desk with things on it: random boxes and discs in random colours."""
    picture = np.empty((*shape, 3), np.float32)
    picture[:] = rng.uniform(20, 160, 3)
    for _ in range(int(rng.integers(12, 30))):
        colour = rng.uniform(0, 255, 3).tolist()
        centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        size = rng.uniform(0.03, 0.25, 2) * max(shape)
        if rng.random() < 0.5:
            box = cv2.boxPoints((centre, tuple(size), float(rng.uniform(0, 180))))
            cv2.fillPoly(picture, [box.astype(np.int32)], colour)
        else:
            cv2.circle(picture, centre, int(size[0] / 2), colour, -1)
    grain = rng.standard_normal(shape).astype(np.float32)
    return cv2.GaussianBlur(picture, (0, 0), 2.0) + (4 * grain)[..., None]


#: Backgrounds by name. The first three serve development, the published benchmark uses the others.
BACKGROUNDS: dict[str, Callable[[tuple[int, int], np.random.Generator], Field]] = {
    "wood": _wood,
    "fabric": _fabric,
    "plain": _plain,
    "marble": _marble,
    "tiles": _tiles,
    "clutter": _clutter,
}
DEFAULT_BACKGROUNDS = ("wood", "fabric", "plain")
DEFAULT_CRUMPLES = ("ridges",)
