"""What a pen stroke looks like on a pixel grid: the forward model of the re-render correction.

A round pen of half-width h whose centre runs along a function y(x) inks, at every abscissa, exactly
one interval: from T(x) = min over |u| <= h of y(x + u) - sqrt(h^2 - u^2) to B(x) = max of
y(x + u) + sqrt(h^2 - u^2) (grey dilation of a graph by a disc). Optics and pixels blur the inked
set with an isotropic Gaussian. T and B are taken piecewise linear between nodes, for which the
vertical blur has a closed form; the horizontal blur is a short sum over the cells between nodes.
All of it is linear in the number of pixels near the stroke, and so is its adjoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating]
F64 = NDArray[np.float64]
Index = NDArray[np.intp]

#: Nodes per strip column.
NODES_PER_COLUMN = 2
#: Beyond this many standard deviations from an edge its blur is over.
_TAIL = np.float32(3.5)
#: Offsets inside the pen, in half-widths, at which the dilation is evaluated.
_PEN_OFFSETS = np.array([-1.0, -0.93, -0.75, -0.4, 0.0, 0.4, 0.75, 0.93, 1.0])


@dataclass(frozen=True, slots=True)
class Pen:
    """How strokes appear in a strip, in strip pixels.

    Attributes:
        half: Half the pen's width.
        blur: Standard deviation of the point spread, pixels' own extent included.
        depth: Darkness of a broad inked area.
    """

    half: float
    blur: float
    depth: float


@dataclass(frozen=True, slots=True)
class Edges:
    """Upper and lower edge of the stroke at the nodes, and the two nodes each edge hangs on.

    Attributes:
        at: (2, n) edge rows; index 0 is the upper edge.
        node: (2, n) left node of the pair that decides the edge.
        share: (2, n) weight of the right node of the pair.
    """

    at: F64
    node: Index
    share: F64


@dataclass(frozen=True, slots=True)
class Window:
    """The pixels near a stroke, as flat lists ordered by column (or cell) and row.

    Attributes:
        first: (m,) first row of each column (or cell).
        count: (m,) number of rows, 0 for columns left out.
        start: (m,) index of the first row in the flat list.
        owner: (n,) column (or cell) of each entry.
        row: (n,) row of each entry.
    """

    first: Index
    count: Index
    start: Index
    owner: Index
    row: Index


def window(first: Index, last: Index) -> Window:
    """Make the flat list of rows first..last (inclusive; none where last < first) per column."""
    count = np.maximum(last - first + 1, 0)
    start = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(first)), count)
    row = np.arange(int(count.sum())) - np.repeat(start - first, count)
    return Window(first, count, start, owner, row)


def edges(line: F64, half: float) -> Edges:
    """Dilate the centre line by the pen.

    Args:
        line: (n,) centre line at the nodes.
        half: Half the pen's width in pixels.
    """
    n = len(line)
    reach = _PEN_OFFSETS * half * NODES_PER_COLUMN
    lift = half * np.sqrt(np.maximum(1.0 - _PEN_OFFSETS**2, 0.0))
    base = np.floor(reach).astype(np.intp)
    node = np.clip(np.arange(n) + base[:, None], 0, n - 2)
    share = np.clip(np.arange(n) + reach[:, None] - node, 0.0, 1.0)
    here = line[node] * (1.0 - share) + line[node + 1] * share
    best = np.stack([(here - lift[:, None]).argmin(axis=0), (here + lift[:, None]).argmax(axis=0)])
    index = np.arange(n)
    at = here[best, index] + np.array([[-1.0], [1.0]]) * lift[best]
    return Edges(at, node[best, index], share[best, index])


def kernel(reach: int, blur: float) -> Real:
    """Return the weights of the cells -reach .. reach - 1 about a column."""
    offset = np.arange(-reach, reach)
    weight = np.exp(-0.5 * ((offset + 0.5) / (NODES_PER_COLUMN * blur)) ** 2)
    return (weight / weight.sum()).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where to draw: the pixels wanted, the cells they see, and which cell entry each pixel sees.

    Attributes:
        pixels: Window of columns.
        cells: Window of cells (between nodes), covering what the pixels see.
        entry: Per cell offset -reach .. reach - 1, (n pixels,) index into the cells' entries.
    """

    pixels: Window
    cells: Window
    entry: tuple[Index, ...]

    @property
    def reach(self) -> int:
        """Return how many cells a pixel sees to either side."""
        return len(self.entry) // 2


def canvas(pixels: Window, blur: float) -> Canvas:
    """Prepare drawing on a window of columns with about the given blur."""
    reach = max(1, int(np.ceil(2.7 * blur * NODES_PER_COLUMN)))
    offsets = np.arange(-reach, reach)
    n_columns = len(pixels.first)
    n_cells = NODES_PER_COLUMN * (n_columns - 1)
    first = np.full(n_cells, np.iinfo(np.int32).max, np.intp)
    last = np.full(n_cells, -1, np.intp)
    inked = np.flatnonzero(pixels.count)
    for offset in offsets:
        cell = np.clip(inked * NODES_PER_COLUMN + offset, 0, n_cells - 1)
        np.minimum.at(first, cell, pixels.first[inked])
        np.maximum.at(last, cell, pixels.first[inked] + pixels.count[inked] - 1)
    cells = window(first, last)
    entry = []
    for offset in offsets:
        cell = np.clip(np.arange(n_columns) * NODES_PER_COLUMN + offset, 0, n_cells - 1)
        shift = (cells.start - cells.first)[cell]
        entry.append(shift[pixels.owner] + pixels.row)
    return Canvas(pixels, cells, tuple(entry))


@dataclass(frozen=True, slots=True)
class Drawing:
    """Blurred cell profiles and their derivatives.

    Attributes:
        weight: Weight of each cell offset in the horizontal blur.
        value: (n cell entries,) coverage.
        slope: (2, 2, n) derivative by [upper, lower edge][left, right node of the cell].
    """

    weight: Real
    value: Real
    slope: Real


def draw(edge: Edges, paper: Canvas, blur: float) -> Drawing:
    """Evaluate the vertical profile of every cell of the canvas."""
    cells, sigma = paper.cells, np.float32(blur)
    row = cells.row.astype(np.float32)
    value = np.zeros(len(row), np.float32)
    slope = np.zeros((2, 2, len(row)), np.float32)
    for k, sign in enumerate((1.0, -1.0)):
        at = edge.at[k].astype(np.float32)
        left, right = at[:-1][cells.owner], at[1:][cells.owner]
        near, far = np.minimum(left, right), np.maximum(left, right)
        value += np.float32(sign) * (row > far)
        close = np.flatnonzero((row > near - _TAIL * sigma) & (row < far + _TAIL * sigma))
        place = row[close]
        ramp, d_left, d_right = _ramp((place - left[close]) / sigma, (place - right[close]) / sigma)
        value[close] += np.float32(sign) * (ramp - (place > far[close]))
        slope[k, 0, close] = np.float32(-sign / blur) * d_left
        slope[k, 1, close] = np.float32(-sign / blur) * d_right
    return Drawing(kernel(paper.reach, blur), value, slope)


def _ramp(a: Real, b: Real) -> tuple[Real, Real, Real]:
    """Return the mean of the normal distribution function over a..b, and its derivatives by a and
    b.

    With F(z) = z Phi(z) + phi(z), the integral of Phi: (F(a) - F(b)) / (a - b).
    """
    gap = a - b
    near = np.abs(gap) < 0.05
    gap = np.where(near, np.float32(1.0), gap)
    (phi_a, dens_a), (phi_b, dens_b) = _normal(a), _normal(b)
    ramp = (a * phi_a + dens_a - b * phi_b - dens_b) / gap
    d_a, d_b = (phi_a - ramp) / gap, (ramp - phi_b) / gap
    half = 0.25 * (dens_a + dens_b)
    return (
        np.where(near, 0.5 * (phi_a + phi_b), ramp),
        np.where(near, half, d_a),
        np.where(near, half, d_b),
    )


def _normal(z: Real) -> tuple[Real, Real]:
    """Return the normal distribution function and density, to 3e-4 (Page's tanh formula, fast)."""
    square = z * z
    bent = np.float32(0.7978846) * z * (1.0 + np.float32(0.044715) * square)
    return 0.5 + 0.5 * np.tanh(bent), np.float32(0.3989423) * np.exp(-0.5 * square)


def render(drawing: Drawing, paper: Canvas) -> Real:
    """Return the coverage of every pixel of the canvas."""
    return _blend(drawing.value, drawing.weight, paper)


def render_change(drawing: Drawing, paper: Canvas, moved: F64) -> Real:
    """Return how the image changes, to first order, when the edges move by `moved` (2, nodes)."""
    owner = paper.cells.owner
    change = np.zeros_like(drawing.value)
    for k in range(2):
        for side in range(2):
            change += drawing.slope[k, side] * moved[k].astype(np.float32)[owner + side]
    return _blend(change, drawing.weight, paper)


def _blend(value: Real, weights: Real, paper: Canvas) -> Real:
    image = np.zeros(len(paper.pixels.row), np.float32)
    for entry, weight in zip(paper.entry, weights, strict=True):
        image += weight * value[entry]
    return image


def back_project(drawing: Drawing, paper: Canvas, pull: Real) -> F64:
    """Return the gradient of sum(pull * image) with respect to the edges, shape (2, nodes)."""
    n_entries = len(drawing.value)
    load = np.zeros(n_entries)
    for entry, weight in zip(paper.entry, drawing.weight, strict=True):
        load += np.bincount(entry, weights=weight * pull, minlength=n_entries)
    owner = paper.cells.owner
    n_nodes = len(paper.cells.first) + 1
    gradient = np.zeros((2, n_nodes))
    for k in range(2):
        for side in range(2):
            weights = load * drawing.slope[k, side]
            gradient[k] += np.bincount(owner + side, weights=weights, minlength=n_nodes)
    return gradient
