"""Crops of training plates: cut, zoomed, turned, re-lit; each with its targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.page_scene import (
    HALF,
    KNOT_PX,
    PERIOD_MM,
    PageSceneSettings,
    Plate,
    draw_plate,
)
from cinc_ecg.data.signal_pool import SignalPool
from cinc_ecg.types import FloatArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

#: Side in pixels of the squares in which names, marks and phase are told.
_CELL = 4


@dataclass(frozen=True, slots=True)
class PageCrop:
    """A crop of side n: pixels (n, n, 3); maps as in `cinc_ecg.models.page_loss.PageTargets`."""

    pixels: U8
    trace: U8
    names: NDArray[np.int64]
    page: U8
    pulse: U8
    separator: U8
    phase: F32
    turn: int


def cut_crop(
    plate: Plate, settings: PageSceneSettings, rng: np.random.Generator, *, about_name: bool = False
) -> PageCrop:
    """Cut a square out of a plate, zoomed, tilted, turned, with its own light.

    Args:
        plate: The page.
        settings: Sizes and shares.
        rng: Source of all chance.
        about_name: Cut a small one about a lead name, if the page has any.
    """
    turns, mirrored = 0, False
    if rng.random() >= settings.upright:
        turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    n = settings.name_px if about_name else settings.crop_px
    height, width = plate.pixels.shape[:2]
    zoom = float(np.exp(rng.uniform(*np.log(settings.zoom))))
    angle = np.deg2rad(rng.normal(0.0, 4.0))
    reach = 0.5 * n / zoom
    centre = np.array([_centre(rng, side, reach) for side in (width, height)])
    if len(plate.centres) and about_name:
        name = plate.centres[rng.integers(len(plate.centres))]
        centre = name + rng.uniform(-0.6, 0.6, 2) * reach
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    matrix = turn @ _laid(turns, mirrored)
    offset = centre - matrix @ np.full(2, (n - 1) / 2)
    return crop_at(plate, np.c_[matrix, offset], n, turns + 4 * mirrored, rng)


def _centre(rng: np.random.Generator, side: int, reach: float) -> float:
    """Draw a crop's centre: mostly inside, a little beyond the edge at times."""
    low, high = reach - 0.1 * side, 1.1 * side - reach
    return float(rng.uniform(low, high)) if low < high else 0.5 * side


def _laid(turns: int, mirrored: bool) -> FloatArray:
    """Return the matrix from offsets in the picture as it lies to offsets on the upright page.

    The picture is turned upright by mirroring it, if so, and then by `turns` quarter turns
    counter-clockwise, as in `types.Orientation`.
    """
    flip = np.diag([-1.0, 1.0]) if mirrored else np.eye(2)
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])  # right becomes up
    return np.linalg.matrix_power(quarter, turns) @ flip


def crop_at(
    plate: Plate, matrix: FloatArray, n: int, turn: int, rng: np.random.Generator | None
) -> PageCrop:
    """Cut the crop whose pixel p shows the plate's pixel `matrix @ (p, 1)`.

    Args:
        plate: The page.
        matrix: (2, 3).
        n: Side of the crop, a multiple of 4.
        turn: Class of the crop's orientation; names count only on upright crops.
        rng: Of the light; None leaves the pixels as they are.
    """
    pixels = _warped(plate.pixels, matrix, (n, 1.0, 0.0), 1, cv2.INTER_LINEAR)
    half = (n // HALF, 2.0, 0.5)
    cells = (n // _CELL, 4.0, 1.5)
    trace = _warped(plate.masks[..., 0], matrix, half, 2, cv2.INTER_LINEAR)
    masks = _warped(np.ascontiguousarray(plate.masks[..., 1:]), matrix, cells, 2, cv2.INTER_NEAREST)
    names = _warped(plate.names, matrix, cells, 2, cv2.INTER_NEAREST).astype(np.int64)
    if turn:
        names[:] = -1
    page, pulse, separator = ((masks[..., k] > 127).astype(np.uint8) for k in range(3))
    return PageCrop(
        relit(pixels, rng) if rng is not None else pixels,
        (trace > 90).astype(np.uint8),
        names,
        page,
        pulse,
        separator,
        _phase(plate, matrix, n // _CELL) * page,
        turn,
    )


def _warped(
    picture: U8, matrix: FloatArray, target: tuple[int, float, float], source: int, how: int
) -> U8:
    """Warp a map; `target` is its size and the crop's pixel per step and at 0, `source` likewise.

    A pixel k of a map shrunk by s lies at pixel s k + (s - 1) / 2.
    """
    n, step, first = target
    linear = matrix[:, :2] * step / source
    start = matrix[:, :2] @ (first, first) + matrix[:, 2]
    start = (start - (source - 1) / 2) / source
    whole = np.c_[linear, start]
    border = cv2.BORDER_REPLICATE if picture.ndim == 3 and source == 1 else cv2.BORDER_CONSTANT
    flags = how | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(picture, whole, (n, n), flags=flags, borderMode=border), np.uint8
    )


def _phase(plate: Plate, matrix: FloatArray, n: int) -> F32:
    """Return (4, n, n) cosine and sine of the lattice's phase to the right and downwards."""
    if not plate.gridded:
        return np.zeros((4, n, n), np.float32)
    cell = np.arange(n) * 4.0 + 1.5
    x, y = np.meshgrid(cell, cell)
    at = np.stack([x, y], -1) @ matrix[:, :2].T + matrix[:, 2]
    knots = (at / KNOT_PX).astype(np.float32)
    page = cv2.remap(
        plate.page_mm,
        knots[..., 0],
        knots[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    along = page[n // 2, n // 2 + 1] - page[n // 2, n // 2]
    across = int(np.abs(along).argmax())
    right, down = page[..., across], page[..., 1 - across]
    right = right * np.sign(right[n // 2, n // 2 + 1] - right[n // 2, n // 2])
    down = down * np.sign(down[n // 2 + 1, n // 2] - down[n // 2, n // 2])
    angles = 2 * np.pi / PERIOD_MM * np.stack([right, down])
    both = np.stack([np.cos(angles), np.sin(angles)], 1)
    return both.reshape(4, n, n).astype(np.float32)


def relit(pixels: U8, rng: np.random.Generator) -> U8:
    """Change light, colour, sharpness and compression of a crop."""
    x = pixels.astype(np.float32) / 255.0
    if rng.random() < 0.25:
        x = np.repeat((x @ rng.dirichlet([3, 5, 2]).astype(np.float32))[..., None], 3, 2)
    elif rng.random() < 0.3:
        x = x[..., rng.permutation(3)]
    x = x ** np.float32(np.exp(rng.normal(0.0, 0.25)))
    x = x * rng.uniform(0.75, 1.1, 3).astype(np.float32) if rng.random() < 0.4 else x
    x = (x - 0.9) * np.float32(rng.uniform(0.6, 1.25)) + np.float32(rng.uniform(0.75, 0.95))
    if rng.random() < 0.3:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.3)), np.float32)
    if rng.random() < 0.3:
        x = x + np.float32(rng.exponential(0.03)) * rng.standard_normal(x.shape, np.float32)
    out = np.asarray(np.clip(x * 255.0, 0, 255), np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.uniform(25, 90))
        _, code = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
        out = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return out


@dataclass
class PageFeed:
    """Crops by number: crop k comes from one of the `window` plates in use at that time."""

    pool: SignalPool
    settings: PageSceneSettings
    seed: int
    _plates: dict[int, Plate] = field(default_factory=dict, repr=False)

    def crop(self, index: int, *, about_name: bool = False) -> PageCrop:
        """Draw crop `index`; the same whatever was drawn before it."""
        rng = np.random.default_rng([self.seed, 2, index])
        newest = index // self.settings.per_plate + self.settings.window
        oldest = newest - self.settings.window
        number = int(rng.integers(oldest, newest))
        for old in [k for k in self._plates if k < oldest]:
            del self._plates[old]
        # All of them now: a run that times its first steps would else plan too few.
        for new in range(oldest, newest):
            if new not in self._plates:
                self._plates[new] = draw_plate(self.pool, self.settings, self.seed, new)
        return cut_crop(self._plates[number], self.settings, rng, about_name=about_name)
