"""Level the contrast of pages that have faded unevenly, by the contrast of their printed grid.

Thermal paper pales where light, warmth or a plastic sleeve got at it. Everything printed there
pales together, so the grid, which is alike all over the page, tells by how much: the difference
between picture and paper is raised until the grid looks alike everywhere.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.density import paper_background
from cinc_ecg.geometry import inside, pixel_map, to_page, warp_through
from cinc_ecg.types import FloatArray, PageGeometry

#: Scale at which the grid is looked at, its coarse period, and the periods per side of a cell:
#: larger cells would tell grid from ink better, smaller ones follow a printer's streaks better.
_PX_PER_MM = 4
_PERIOD_MM, _PERIODS = 5, 2
_CELL_MM = _PERIOD_MM * _PERIODS
#: The page's own grid shows at least this much; less is noise.
_LEAST_CONTRAST = 0.015
#: Cells with a smaller share of the usual contrast show no grid.
_NO_GRID = 0.08
#: Below this share of the usual contrast a cell has faded, and so many cells make a faded page.
#: Focus, shadow and fewer pixels per line vary less than that over pages that have not.
_FADED, _FADED_CELLS = 0.6, 0.05
#: Contrast is raised at most so many times: noise is raised with it.
_MOST = 6.0
_NEIGHBOURS = np.ones((3, 3), np.uint8)
#: Step in pixels between the places whose contrast is looked up.
_KNOT_PX = 32


def even_contrast(
    pixels: NDArray[np.uint8], geometry: PageGeometry, gridded: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Return the picture with its contrast levelled, or the picture itself where it is even.

    Args:
        pixels: (H, W, 3), dark ink on light paper.
        geometry: Page millimetres to pixels, any of the eight orientations.
        gridded: (H, W) False where the picture shows no grid.
    """
    gain = _gain(grid_contrast(pixels, geometry, gridded))
    if gain is None:
        return pixels
    background = paper_background(pixels)
    field = _over_picture(gain, geometry, (pixels.shape[0], pixels.shape[1]))[..., None]
    levelled = background - field * (background - pixels)
    return np.clip(levelled + 0.5, 0, 255).astype(np.uint8)


def grid_contrast(
    pixels: NDArray[np.uint8], geometry: PageGeometry, gridded: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Measure how dark the printed grid is against its paper, in squares of 10 mm.

    The four 5 mm periods of a cell are laid on each other; the second lightest at each place shows
    the bare grid, whatever ink crosses two of them. Its contrast is the mean distance of its
    darkness from the median: what few pixels make of a thin line, wide and pale, changes it little.

    Args:
        pixels, geometry, gridded: As in `even_contrast`.

    Returns:
        (rows, columns) contrast, 0..1; NaN off the grid. Row and column k cover page millimetres
        from `origin + 10 k` on.
    """
    factor = min(1.0, _PX_PER_MM / max(geometry.px_per_mm))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    dark = 1.0 - np.min(small / paper_background(small), axis=2).astype(np.float32)
    map_x, map_y = pixel_map(geometry, geometry.extent_mm, float(_PX_PER_MM))
    place = ((map_x + 0.5) * factor - 0.5, (map_y + 0.5) * factor - 0.5)
    flat = warp_through(dark, place, interpolation=cv2.INTER_LINEAR)
    flat[~inside(small, place)] = np.nan
    if gridded is not None:
        off = (~gridded).astype(np.uint8)
        flat[warp_through(off, (map_x, map_y), interpolation=cv2.INTER_NEAREST) > 0] = np.nan
    side, period = _CELL_MM * _PX_PER_MM, _PERIOD_MM * _PX_PER_MM
    rows, columns = flat.shape[0] // side, flat.shape[1] // side
    cells = flat[: rows * side, : columns * side].reshape(
        rows, _PERIODS, period, columns, _PERIODS, period
    )
    laid = cells.transpose(0, 3, 2, 5, 1, 4).reshape(rows, columns, period**2, _PERIODS**2)
    bare = np.partition(laid, 1, axis=-1)[..., 1]
    paper = np.median(bare, axis=-1, keepdims=True)
    return np.asarray(np.abs(bare - paper).mean(-1), float)


def _gain(contrast: FloatArray) -> NDArray[np.float32] | None:
    """Return by how much to raise the contrast of each cell; None where the page is even."""
    # At the edge of the grid a cell may hold something else.
    inner = cv2.erode(np.isfinite(contrast).astype(np.uint8), _NEIGHBOURS, borderValue=1) > 0
    if not inner.any():
        return None
    usual = float(np.percentile(contrast[inner], 80))
    seen = inner & (contrast > _NO_GRID * usual)
    if usual < _LEAST_CONTRAST or (contrast[seen] < _FADED * usual).mean() < _FADED_CELLS:
        return None
    gain = np.ones(contrast.shape, np.float32)
    gain[seen] = np.clip(usual / contrast[seen], 1.0, _MOST)
    weight = seen.astype(np.float32)
    near = cv2.blur(gain * weight, (3, 3)) / np.maximum(cv2.blur(weight, (3, 3)), 1e-6)
    edge = ~inner & (cv2.dilate(weight, _NEIGHBOURS) > 0)
    gain[edge] = near[edge]
    return gain


def _over_picture(
    gain: NDArray[np.float32], geometry: PageGeometry, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the gain at every pixel of the picture, (H, W), interpolated between the cells."""
    height, width = shape
    xs, ys = (np.arange(0, side + _KNOT_PX, _KNOT_PX, dtype=float) for side in (width, height))
    page = to_page(geometry, np.stack(np.meshgrid(xs, ys), -1))
    origin = np.array(geometry.extent_mm[:2])
    knots = ((page - origin) / _CELL_MM - 0.5).astype(np.float32)
    border = cv2.BORDER_REPLICATE
    x, y = knots[..., 0], knots[..., 1]
    at_knots = cv2.remap(np.log(gain), x, y, cv2.INTER_LINEAR, borderMode=border)
    x, y = (np.arange(side, dtype=np.float32) / _KNOT_PX for side in (width, height))
    field = cv2.remap(at_knots, *np.meshgrid(x, y), cv2.INTER_LINEAR)
    return np.asarray(np.exp(field), np.float32)
