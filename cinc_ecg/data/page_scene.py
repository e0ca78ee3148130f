"""Training pages with exact targets, drawn whole and small; `page_crop` cuts them.

A plate is one page picture with what is where on it, as maps of half its resolution: a function of
a seed and its number alone. Fonts, textures and colours of the benchmark are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
KNOT_PX = 16
#: Names are a little larger than their ink.
_NAME_RIM_MM = 0.3
#: Parameters of artefacts in pixels: they shrink with the picture.
_IN_PIXELS = ("sigma_px", "length_px", "psf_px", "size_px", "radius_px")
#: Plates' maps are shrunk by this.
HALF = 2


@dataclass(frozen=True, slots=True)
class PageSceneSettings:
    """Training pages.

    Attributes:
        crop_px: Side of a crop.
        name_px: Side of the crops that are cut about a lead name.
        long_side_px: Of the plates before the crop's own zoom; that of the network's input.
        zoom: Range of the crop's zoom.
        severity: Most that `synth.variety.draw_steps` may be asked for.
        upright: Share of crops of upright pages; the others have any of the eight orientations.
        window: Plates in use at a time.
        per_plate: Crops drawn per new plate.
    """

    crop_px: int = 192
    name_px: int = 96
    long_side_px: int = 1152
    zoom: tuple[float, float] = (0.75, 1.4)
    severity: float = 0.8
    upright: float = 0.7
    window: int = 64
    per_plate: int = 80

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
    half = (-(-shape[0] // HALF), -(-shape[1] // HALF))
    names = np.zeros(half, np.uint8)
    masks = np.zeros((4, *half), np.uint8)
    surface = densify(truth.geometry, PERIOD_MM)

    def px(points_mm: FloatArray) -> NDArray[np.int32]:
        points = (to_image(surface, np.asarray(points_mm, float)) + 0.5) / HALF - 0.5
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
    rows, columns = (-(-side // KNOT_PX) + 1 for side in shape)
    where = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * float(KNOT_PX)
    # Far outside the paper the lattice is continued linearly.
    page = to_page(densify(truth.geometry, 4 * PERIOD_MM), where)
    return (page - np.array(truth.geometry.origin_mm)).astype(np.float32)
