"""Training pages with exact targets: drawn whole and small, then cut, turned and re-lit.

A plate is one page picture with what is where on it, as maps of half its resolution; a crop is a
square of a plate in any of the eight orientations. Plates and crops are functions of a seed and
their number alone. Fonts, textures and colours of the benchmark are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.page_names import write_names, write_stray
from cinc_ecg.data.signal_pool import FS_HZ, SignalPool
from cinc_ecg.digitization.read_page import light_paper
from cinc_ecg.geometry import densify, to_image, to_page
from cinc_ecg.leads import LEADS
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.synth.variety import draw_settings, draw_steps
from cinc_ecg.types import EcgImage, FloatArray, PageTruth, Signal

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

#: Period of the lattice, and distance of the knots of a plate's page coordinates.
PERIOD_MM = 5.0
_KNOT_PX = 16
#: Names are a little larger than their ink.
_NAME_RIM_MM = 0.3
#: Parameters of artefacts in pixels: they shrink with the picture.
_IN_PIXELS = ("sigma_px", "length_px", "psf_px", "size_px", "radius_px")
_CELL, _HALF = 4, 2


@dataclass(frozen=True, slots=True)
class PageSceneSettings:
    """Training pages.

    Attributes:
        crop_px: Side of a crop.
        long_side_px: Of the plates before the crop's own zoom; that of the network's input.
        zoom: Range of the crop's zoom.
        severity: Most that `synth.variety.draw_steps` may be asked for.
        upright: Share of crops of upright pages; the others have any of the eight orientations.
        named: Share of crops that are cut about a lead name.
        window: Plates in use at a time.
        per_plate: Crops drawn per new plate.
    """

    crop_px: int = 256
    long_side_px: int = 1152
    zoom: tuple[float, float] = (0.75, 1.4)
    severity: float = 0.8
    upright: float = 0.6
    named: float = 0.65
    window: int = 64
    per_plate: int = 40

    def __post_init__(self) -> None:
        object.__setattr__(self, "zoom", tuple(self.zoom))


@dataclass(frozen=True, slots=True)
class Plate:
    """A page picture and its maps; those have half the resolution.

    Attributes:
        pixels: (H, W, 3).
        names: (H / 2, W / 2) 1 + index of the lead whose name is printed there, else 0.
        masks: (H / 2, W / 2, 4) 0 or 255: trace, paper, pulse, tick.
        page_mm: (k, l, 2) page position relative to a crossing of the 5 mm lines, at knots every
            16 pixels.
        gridded: There is a grid.
        centres: (n, 2) middles of the names in pixels.
    """

    pixels: U8
    names: U8
    masks: U8
    page_mm: F32
    gridded: bool
    centres: F32


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


def draw_plate(pool: SignalPool, settings: PageSceneSettings, seed: int, index: int) -> Plate:
    """Draw plate `index` of a seed."""
    rng = np.random.default_rng([seed, 1, index])
    image, truth = draw_page(pool, settings, rng)
    return plate_of(light_paper(image.pixels), truth, settings.long_side_px)


def draw_page(
    pool: SignalPool, settings: PageSceneSettings, rng: np.random.Generator
) -> tuple[EcgImage, PageTruth]:
    """Draw a page and its damage, about as large as the network sees it."""
    record = pool.samples_mv[rng.integers(len(pool))].T.astype(np.float32)
    size = rng.uniform(0.85, 1.4) * settings.long_side_px
    drawn = draw_settings(rng)
    dpi = size / max(drawn.paper.size_mm) * 25.4
    values: dict[str, Any] = {"paper.dpi": float(dpi), "text.show_names": False}
    drawn = with_values(drawn, values)
    signal = Signal(record * rng.uniform(0.7, 1.5), FS_HZ, LEADS)
    image, truth = render(signal, drawn, seed=int(rng.integers(2**31)))
    image, truth = _lettered(rng, image, truth, drawn)
    steps = [_shrunk(step, size) for step in draw_steps(rng, rng.uniform(0, settings.severity))]
    return apply(image, truth, steps, rng)


def _lettered(
    rng: np.random.Generator, image: EcgImage, truth: PageTruth, settings: PageSettings
) -> tuple[EcgImage, PageTruth]:
    """Write names and stray words."""
    pixels, scale = image.pixels.copy(), settings.paper.px_per_mm
    names: tuple = ()
    if rng.random() < 0.96:
        names = write_names(rng, pixels, truth.layout, scale, settings.text.colour)
    write_stray(rng, pixels, scale, settings.text.colour, names)
    return replace(image, pixels=pixels), replace(truth, names=names)


def _shrunk(step: Step, long_side_px: float) -> Step:
    """Bring an artefact that was made for pictures of about 2,200 pixels to smaller ones."""
    factor = long_side_px / 2200.0
    parameters: dict[str, Any] = dict(step.parameters)
    if step.name == "photograph":
        # Its size is drawn anew below a photograph's own resolution.
        factor = long_side_px / parameters["size_px"][0]
    for name in _IN_PIXELS:
        if name in parameters:
            parameters[name] = _times(parameters[name], factor, whole=name == "size_px")
    return Step(step.name, _fitting(parameters))


def _times(value: Any, factor: float, whole: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(round(v * factor) if whole else v * factor for v in value)
    return value * factor


def _fitting(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with plain numbers."""
    return {k: float(v) if isinstance(v, np.floating) else v for k, v in parameters.items()}


def plate_of(pixels: U8, truth: PageTruth, long_side_px: int) -> Plate:
    """Bring a picture with its truth to the network's size and draw the maps of its targets.

    Args:
        pixels: (H, W, 3), dark ink on light paper.
        truth: Of the picture.
        long_side_px: Size of the result.
    """
    height, width = pixels.shape[:2]
    factor = long_side_px / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
    sx, sy = size[0] / width, size[1] / height
    nodes = (np.asarray(truth.geometry.nodes_px) + 0.5) * (sx, sy) - 0.5
    truth = replace(truth, geometry=replace(truth.geometry, nodes_px=nodes))
    names, masks = _maps(truth, (size[1], size[0]))
    boxes = np.array([name.box_mm for name in truth.names]).reshape(-1, 2, 2)
    centres = to_image(truth.geometry, boxes.mean(1)).astype(np.float32)
    knots = _knots(truth, (size[1], size[0]))
    return Plate(small, names, masks, knots, _has_grid(truth), centres)


def _maps(truth: PageTruth, shape: tuple[int, int]) -> tuple[U8, U8]:
    """Draw name classes and masks at half the resolution."""
    half = (-(-shape[0] // _HALF), -(-shape[1] // _HALF))
    names = np.zeros(half, np.uint8)
    masks = np.zeros((4, *half), np.uint8)
    surface = densify(truth.geometry, PERIOD_MM)

    def px(points_mm: FloatArray) -> NDArray[np.int32]:
        points = (to_image(surface, np.asarray(points_mm, float)) + 0.5) / _HALF - 0.5
        return np.rint(points * 8).astype(np.int32)

    for trace in truth.trace_mm:
        keep = trace[np.isfinite(trace).all(1)]
        if len(keep) > 1:
            cv2.polylines(masks[0], [px(keep)], False, 255, 1, cv2.LINE_8, 3)
    cv2.fillPoly(masks[1], [px(_outline(paper_box(truth)))], 255, cv2.LINE_8, 3)
    for pulse in truth.pulses:
        box = (pulse.x0_mm - 0.5, pulse.top_mm - 0.5, pulse.x1_mm + 0.5, pulse.foot_mm + 0.5)
        cv2.fillPoly(masks[2], [px(_outline(box))], 255, cv2.LINE_8, 3)
    for tick in truth.separators:
        box = (tick.x_mm - 0.8, tick.y0_mm, tick.x_mm + 0.8, tick.y1_mm)
        cv2.fillPoly(masks[3], [px(_outline(box))], 255, cv2.LINE_8, 3)
    for name in truth.names:
        x0, y0, x1, y1 = name.box_mm
        grown = (x0 - _NAME_RIM_MM, y0 - _NAME_RIM_MM, x1 + _NAME_RIM_MM, y1 + _NAME_RIM_MM)
        colour = 1 + LEADS.index(name.lead)
        cv2.fillPoly(names, [px(_outline(grown))], colour, cv2.LINE_8, 3)
    return names, np.ascontiguousarray(masks.transpose(1, 2, 0))


def paper_box(truth: PageTruth) -> tuple[float, float, float, float]:
    """Return the paper's rectangle in page mm."""
    page: Any = truth.settings["page"]
    width, height = page["paper"]["size_mm"]
    return 0.0, 0.0, float(width), float(height)


def _has_grid(truth: PageTruth) -> bool:
    page: Any = truth.settings["page"]
    return bool(page["grid"]["style"] != "none" and page["grid"]["major"])


def _outline(box: tuple[float, float, float, float]) -> FloatArray:
    x0, y0, x1, y1 = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _knots(truth: PageTruth, shape: tuple[int, int]) -> F32:
    """Return page positions, relative to a crossing of the 5 mm lines, at the plate's knots."""
    rows, columns = (-(-side // _KNOT_PX) + 1 for side in shape)
    where = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * float(_KNOT_PX)
    # Far outside the paper the lattice is continued linearly.
    page = to_page(densify(truth.geometry, 4 * PERIOD_MM), where)
    return (page - np.array(truth.geometry.origin_mm)).astype(np.float32)


def cut_crop(
    plate: Plate, settings: PageSceneSettings, rng: np.random.Generator, *, lit: bool = True
) -> PageCrop:
    """Cut a square out of a plate, zoomed, tilted, turned, and (`lit`) with its own light."""
    turns, mirrored = 0, False
    if rng.random() >= settings.upright:
        turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    n = settings.crop_px
    height, width = plate.pixels.shape[:2]
    zoom = float(np.exp(rng.uniform(*np.log(settings.zoom))))
    angle = np.deg2rad(rng.normal(0.0, 4.0))
    reach = 0.5 * n / zoom
    centre = np.array([_centre(rng, side, reach) for side in (width, height)])
    if len(plate.centres) and rng.random() < settings.named:
        name = plate.centres[rng.integers(len(plate.centres))]
        centre = name + rng.uniform(-0.7, 0.7, 2) * reach
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    matrix = turn @ _laid(turns, mirrored)
    offset = centre - matrix @ np.full(2, (n - 1) / 2)
    return crop_at(plate, np.c_[matrix, offset], n, turns + 4 * mirrored, rng if lit else None)


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
    half = (n // _HALF, 2.0, 0.5)
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
    knots = (at / _KNOT_PX).astype(np.float32)
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

    def crop(self, index: int) -> PageCrop:
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
        return cut_crop(self._plates[number], self.settings, rng)
