"""Anti-aliased polylines, boxes and line combs in NumPy, exact to a small part of a pixel.

All functions work on *coverage*: a float32 array of the picture's size holding 0..1 ink per pixel;
the centre of the top-left pixel is (0, 0). A stroke is the set of points within half a pen width of
the line, so that ends and joins are round; a pixel's coverage is the part of its area under that
stroke (exact along straight pieces).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Coverage = NDArray[np.float32]

#: Longer segments are cut, or the bounding box of a slanted one would be mostly empty.
_MAX_PIECE_PX = 12.0
#: Pixels handled at once; bounds the memory.
_CHUNK_PX = 1_000_000
_HALF_DIAGONAL = 0.7072
#: Pieces shorter than the root of this have no direction.
_DOT_PX2 = 1e-8


def draw_polyline(
    coverage: Coverage,
    points_px: FloatArray,
    width_px: float,
    density: FloatArray | float = 1.0,
) -> None:
    """Draw a stroke into `coverage`, keeping the larger of old and new ink.

    Args:
        coverage: (height, width) float32, changed in place.
        points_px: (n, 2) centre line in image pixels; a NaN point lifts the pen. A lone point
            becomes a dot.
        width_px: Pen width; below one pixel the ink gets lighter instead of thinner.
        density: Ink strength 0..1, one value or one per point (used for the segment that starts
            there).
    """
    points = np.asarray(points_px, np.float64).reshape(-1, 2)
    starts, ends, which = _segments(points)
    ink = np.broadcast_to(np.asarray(density, np.float32), len(points))[which]
    radius = width_px / 2 + _HALF_DIAGONAL
    height, width = coverage.shape
    low = np.ceil(np.minimum(starts, ends) - radius).astype(np.int64)
    high = np.floor(np.maximum(starts, ends) + radius).astype(np.int64)
    low = np.maximum(low, 0)
    high = np.minimum(high, (width - 1, height - 1))
    size = high - low + 1
    keep = np.flatnonzero((size > 0).all(axis=1) & (ink > 0))
    count = size[keep].prod(axis=1)
    total = np.cumsum(count)
    first = 0
    while first < len(keep):
        base = total[first - 1] if first else 0
        last = max(int(np.searchsorted(total, base + _CHUNK_PX, "right")), first + 1)
        part = keep[first:last]
        _stamp(coverage, starts[part], ends[part], low[part], size[part], width_px / 2, ink[part])
        first = last


def _segments(points: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Cut the line into short pieces: starts, ends, and the point each one belongs to."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    joined = np.flatnonzero(finite[:-1] & finite[1:])
    beside = np.zeros(len(points), bool)
    beside[joined] = True
    beside[joined + 1] = True
    alone = finite & ~beside
    index = np.concatenate([joined, np.flatnonzero(alone)])
    start = points[index]
    end = np.concatenate([points[joined + 1], points[alone]])
    length = np.hypot(*(end - start).T)
    pieces = np.maximum(np.ceil(length / _MAX_PIECE_PX), 1).astype(np.int64)
    if (pieces == 1).all():
        return start, end, index
    owner = np.repeat(np.arange(len(index)), pieces)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    delta = (end - start)[owner] / pieces[owner, None]
    cut = start[owner] + delta * step[:, None]
    return cut, cut + delta, index[owner]


def _stamp(
    coverage: Coverage,
    start: FloatArray,
    end: FloatArray,
    low: NDArray[np.int64],
    size: NDArray[np.int64],
    half: float,
    ink: NDArray[np.float32],
) -> None:
    """Put the pieces' coverage at the pixels of their bounding boxes (32-bit, box-relative)."""
    count = size[:, 0] * size[:, 1]
    owner = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    columns = size[:, 0][owner]
    row = offset // columns
    column = offset - row * columns
    origin = (start - low).astype(np.float32)
    delta = (end - start).astype(np.float32)
    norm = np.maximum((delta**2).sum(axis=1), 1e-12).astype(np.float32)
    px = column.astype(np.float32) - origin[:, 0][owner]
    py = row.astype(np.float32) - origin[:, 1][owner]
    dx, dy = delta[:, 0][owner], delta[:, 1][owner]
    t = np.clip((px * dx + py * dy) / norm[owner], 0, 1)
    distance = np.hypot(px - t * dx, py - t * dy)
    sides = _pixel_sides(delta, norm)[:, owner]
    value = _share_below(half - distance, sides)
    if half < _HALF_DIAGONAL:
        value -= _share_below(-half - distance, sides)
    value *= ink[owner]
    hit = value > 0
    flat = (low[:, 1][owner] + row) * coverage.shape[1] + low[:, 0][owner] + column
    np.maximum.at(coverage.reshape(-1), flat[hit], value[hit])


def _pixel_sides(delta: NDArray[np.float32], norm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half widths of a pixel's two sides as seen across each piece: larger first, (2, n)."""
    unit = np.abs(delta) / np.sqrt(norm)[:, None]
    unit[norm < _DOT_PX2] = np.sqrt(0.5)
    longer, shorter = unit.max(axis=1), unit.min(axis=1)
    return np.stack([longer / 2, np.maximum(shorter / 2, 0.02)])


def _share_below(edge: NDArray[np.float32], sides: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of a pixel that lies below `edge`, seen across the line.

    A square projected on a slanted direction is a trapezoid, the convolution of two boxes; this is
    its cumulative distribution, exact for straight edges.
    """
    outer, inner = sides[0] + sides[1], sides[0] - sides[1]
    total = np.square(np.maximum(edge + outer, 0))
    total -= np.square(np.maximum(edge + inner, 0))
    total -= np.square(np.maximum(edge - inner, 0))
    total += np.square(np.maximum(edge - outer, 0))
    total /= 8 * sides[0] * sides[1]
    return np.clip(total, 0, 1)


def draw_box(coverage: Coverage, box_px: tuple[float, float, float, float]) -> None:
    """Fill an upright box (x0, y0, x1, y1) with its exact pixel areas, keeping the larger ink."""
    height, width = coverage.shape
    x0, y0, x1, y1 = box_px
    across = line_comb(width, np.array([(x0 + x1) / 2]), x1 - x0)
    down = line_comb(height, np.array([(y0 + y1) / 2]), y1 - y0)
    columns, rows = np.flatnonzero(across), np.flatnonzero(down)
    if len(columns) and len(rows):
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        area = np.outer(down[window[0]], across[window[1]])
        np.maximum(coverage[window], area, out=coverage[window])


def line_comb(n_px: int, centres_px: FloatArray, width_px: float) -> Coverage:
    """Return the 1-D coverage of parallel lines: the exact overlap of each pixel with each line.

    Args:
        n_px: Number of pixels.
        centres_px: Line centres.
        width_px: Line width.
    """
    centres = np.asarray(centres_px, np.float64)
    reach = int(np.ceil(width_px / 2 + 1))
    pixel = np.round(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    half = width_px / 2
    overlap = np.minimum(pixel + 0.5, centres[:, None] + half)
    overlap -= np.maximum(pixel - 0.5, centres[:, None] - half)
    comb = np.zeros(n_px)
    inside = (pixel >= 0) & (pixel < n_px)
    np.add.at(comb, pixel[inside], np.clip(overlap, 0, 1)[inside])
    return np.minimum(comb, 1).astype(np.float32)


def blend(
    pixels: NDArray[np.uint8],
    coverage: Coverage,
    colour: tuple[int, int, int],
    corner: tuple[int, int] = (0, 0),
) -> None:
    """Paint `colour` over `pixels` in place where there is coverage.

    Args:
        pixels: (height, width, 3) uint8.
        coverage: (h, w) ink; its top-left pixel lies at `corner` (column, row), fully or partly
            inside.
        colour: RGB.
        corner: May be negative; what lies outside is dropped.
    """
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    ink = coverage[top : pixels.shape[0] - y, left : pixels.shape[1] - x]
    if ink.size == 0:
        return
    area = pixels[y + top : y + top + ink.shape[0], x + left : x + left + ink.shape[1]]
    rows, columns = np.nonzero(ink)
    alpha = ink[rows, columns, None]
    old = area[rows, columns].astype(np.float32)
    area[rows, columns] = np.rint(old + alpha * (np.array(colour, np.float32) - old)).astype(
        np.uint8
    )
