"""The blank sheet: paper colour and grid, drawn separably."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.raster import line_comb
from cinc_ecg.synth.settings import GridSettings, PageSettings, Rgb
from cinc_ecg.types import PageGeometry

MAJOR_MM = 5.0
MINOR_MM = 1.0
#: Dots per millimetre of a dotted line, and the inked part of their period.
_DOTS_PER_MM = 2.5
_DOT_DUTY = 0.5


def draw_paper(settings: PageSettings) -> NDArray[np.uint8]:
    """Return the blank page, (height, width, 3) uint8 RGB."""
    width, height = settings.paper.size_px
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = settings.paper.colour
    grid = settings.grid
    if grid.style == "none":
        return pixels
    scale = settings.paper.px_per_mm
    layers: list[tuple[float, float, Rgb]] = []
    if grid.minor:
        layers.append((MINOR_MM, grid.minor_width_mm, grid.minor_colour))
    if grid.major:
        layers.append((MAJOR_MM, grid.major_width_mm, grid.major_colour))
    for pitch_mm, line_mm, colour in layers:
        alpha = _alpha((width, height), scale, pitch_mm, line_mm, grid)
        for channel in range(3):
            plane = pixels[..., channel]
            old = plane.astype(np.float32)
            old += alpha * (colour[channel] - old)
            plane[:] = old + 0.5
    return pixels


def page_geometry(settings: PageSettings) -> PageGeometry:
    """Return the flat page's exact geometry, a node on each 5 mm crossing of the sheet."""
    scale = settings.paper.px_per_mm
    origin = tuple(
        offset - MAJOR_MM * np.ceil(offset / MAJOR_MM) for offset in settings.grid.offset_mm
    )
    counts = [
        int(np.ceil((side - start) / MAJOR_MM)) + 1
        for side, start in zip(settings.paper.size_mm, origin, strict=True)
    ]
    xs, ys = (start + MAJOR_MM * np.arange(n) for start, n in zip(origin, counts, strict=True))
    nodes = np.stack(np.meshgrid(xs, ys), -1) * scale - 0.5
    return PageGeometry(nodes, (float(origin[0]), float(origin[1])), (MAJOR_MM, MAJOR_MM))


def _alpha(
    size_px: tuple[int, int], scale: float, pitch_mm: float, line_mm: float, grid: GridSettings
) -> NDArray[np.float32]:
    """Return the (height, width) coverage of both line families."""
    combs, dots = [], []
    for n_px, offset_mm in zip(size_px, grid.offset_mm, strict=True):
        combs.append(_comb(n_px, scale, offset_mm, pitch_mm, line_mm))
        dots.append(_comb(n_px, scale, offset_mm, 1 / _DOTS_PER_MM, _DOT_DUTY / _DOTS_PER_MM))
    across, down = combs
    if grid.style == "solid":
        return np.maximum(across[None, :], down[:, None])
    if grid.style == "dots":
        size = max(2 * line_mm, 0.3)
        combs = [
            _comb(n, scale, offset, pitch_mm, size)
            for n, offset in zip(size_px, grid.offset_mm, strict=True)
        ]
        return combs[1][:, None] * combs[0][None, :]
    return np.maximum(dots[1][:, None] * across[None, :], down[:, None] * dots[0][None, :])


def _comb(
    n_px: int, scale: float, offset_mm: float, pitch_mm: float, line_mm: float
) -> NDArray[np.float32]:
    first = np.ceil((-1.0 - offset_mm) / pitch_mm)
    last = np.floor((n_px / scale + 1.0 - offset_mm) / pitch_mm)
    centres = (offset_mm + pitch_mm * np.arange(first, last + 1)) * scale - 0.5
    return line_comb(n_px, centres, line_mm * scale)
