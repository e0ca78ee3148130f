"""Maps between page millimetres and image pixels, and the one resampling that rectifies a page.

`PageGeometry` holds a lattice of nodes; between nodes the map is a bicubic spline, outside it
continues linearly.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy.interpolate import BSpline, RectBivariateSpline

from cinc_ecg.types import FloatArray, PageGeometry

#: Source columns and rows in pixels, float32, both of the size of the result.
PixelMap = tuple[np.ndarray, np.ndarray]

_NEWTON_STEPS = 20
_NEWTON_TOLERANCE_MM = 1e-5


class _Surface:
    """The two coordinate splines of a geometry, with linear continuation outside the lattice."""

    def __init__(self, geometry: PageGeometry) -> None:
        nodes = np.asarray(geometry.nodes_px, float)
        rows, columns = nodes.shape[:2]
        x0, y0 = geometry.origin_mm
        self.xs = x0 + geometry.pitch_mm[0] * np.arange(columns)
        self.ys = y0 + geometry.pitch_mm[1] * np.arange(rows)
        self.degree = (min(3, rows - 1), min(3, columns - 1))
        degree = {"kx": self.degree[0], "ky": self.degree[1], "s": 0}
        self.splines = [
            RectBivariateSpline(self.ys, self.xs, nodes[..., k], **degree) for k in (0, 1)
        ]

    def __call__(self, points_mm: FloatArray) -> FloatArray:
        x, y = points_mm[..., 0].ravel(), points_mm[..., 1].ravel()
        xc = np.clip(x, self.xs[0], self.xs[-1])
        yc = np.clip(y, self.ys[0], self.ys[-1])
        dx, dy = x - xc, y - yc
        columns = []
        for spline in self.splines:
            value = spline.ev(yc, xc)
            if np.any(dx) or np.any(dy):
                value = value + dx * spline.ev(yc, xc, dy=1) + dy * spline.ev(yc, xc, dx=1)
            columns.append(value)
        return np.stack(columns, -1).reshape(points_mm.shape)

    def jacobian(self, points_mm: FloatArray) -> FloatArray:
        """(n, 2, 2): row = image coordinate, column = derivative by page x, page y."""
        xc = np.clip(points_mm[:, 0], self.xs[0], self.xs[-1])
        yc = np.clip(points_mm[:, 1], self.ys[0], self.ys[-1])
        rows = [np.stack([s.ev(yc, xc, dy=1), s.ev(yc, xc, dx=1)], -1) for s in self.splines]
        return np.stack(rows, -2)

    def grid(self, xs_mm: FloatArray, ys_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate on the outer product of xs and ys; much faster than point by point.

        A spline on a lattice is basis(y) @ coefficients @ basis(x).T. With the few rows of
        coefficients that a box of the page needs, BLAS is faster than four terms per point.
        """
        ty, tx = self.splines[0].get_knots()
        y_basis, y_rise, beyond_y = _basis(ty, self.degree[0], ys_mm)
        x_basis, x_rise, beyond_x = _basis(tx, self.degree[1], xs_mm)
        shape = (len(ty) - self.degree[0] - 1, len(tx) - self.degree[1] - 1)
        needed = y_basis.any(axis=0) | y_rise.any(axis=0)
        y_basis, y_rise = y_basis[:, needed], y_rise[:, needed]
        maps = []
        for spline in self.splines:
            coefficients = spline.get_coeffs().reshape(shape)[needed]
            value = y_basis @ (coefficients @ x_basis.T)
            if len(beyond_y) and len(beyond_x):  # linear in x and in y, not in their product
                twist = y_rise[beyond_y] @ (coefficients @ x_rise[beyond_x].T)
                value[np.ix_(beyond_y, beyond_x)] -= twist
            maps.append(value)
        return maps[0], maps[1]


def _basis(
    knots: FloatArray, degree: int, at: FloatArray
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Return the B-spline basis at points, continued linearly outside the knots.

    Returns:
        (n, n_coefficients) the basis; the same shape, what the continuation adds to it; and the
        indices of the points outside.
    """
    inside = np.clip(at, knots[degree], knots[-degree - 1])
    n = len(knots) - degree - 1
    basis = BSpline.design_matrix(inside, knots, degree).toarray()
    away = at - inside
    beyond = np.flatnonzero(away)
    rise = np.zeros_like(basis)
    if len(beyond):
        slopes = BSpline(knots, np.eye(n), degree).derivative()
        rise[beyond] = away[beyond, None] * slopes(inside[beyond])
    return basis + rise, rise, beyond


def flat_geometry(
    width_px: int, height_px: int, px_per_mm: float | tuple[float, float]
) -> PageGeometry:
    """Return a flat, upright scan's geometry; its origin is the corner of the top-left pixel."""
    sx, sy = px_per_mm if isinstance(px_per_mm, tuple) else (px_per_mm, px_per_mm)
    nodes = np.empty((2, 2, 2))
    nodes[..., 0] = np.array([0.0, width_px])[None, :] - 0.5
    nodes[..., 1] = np.array([0.0, height_px])[:, None] - 0.5
    return PageGeometry(nodes, (0.0, 0.0), (width_px / sx, height_px / sy))


def to_image(geometry: PageGeometry, points_mm: FloatArray) -> FloatArray:
    """Map page points (..., 2) in mm to image pixels."""
    return _Surface(geometry)(np.asarray(points_mm, float))


def to_page(geometry: PageGeometry, points_px: FloatArray) -> FloatArray:
    """Map image points (..., 2) in px to page mm: Newton's method from the best affine guess."""
    points = np.asarray(points_px, float)
    target = points.reshape(-1, 2)
    surface = _Surface(geometry)
    page = _affine_guess(geometry, target)
    for _ in range(_NEWTON_STEPS):
        residual = target - surface(page)
        step = np.linalg.solve(surface.jacobian(page), residual[..., None])[..., 0]
        page = page + step
        if np.abs(step).max(initial=0.0) < _NEWTON_TOLERANCE_MM:
            break
    return page.reshape(points.shape)


def _affine_guess(geometry: PageGeometry, points_px: FloatArray) -> FloatArray:
    nodes = np.asarray(geometry.nodes_px, float)
    rows, columns = nodes.shape[:2]
    jj, ii = np.meshgrid(np.arange(columns), np.arange(rows))
    page = np.stack([jj, ii], -1).reshape(-1, 2) * geometry.pitch_mm + geometry.origin_mm
    pixels = np.c_[nodes.reshape(-1, 2), np.ones(rows * columns)]
    solution = np.linalg.lstsq(pixels, page, rcond=None)[0]
    return np.c_[points_px, np.ones(len(points_px))] @ solution


def densify(geometry: PageGeometry, pitch_mm: float) -> PageGeometry:
    """Return the same map with nodes every `pitch_mm` or closer."""
    x0, y0, x1, y1 = geometry.extent_mm
    columns = max(int(np.ceil((x1 - x0) / pitch_mm)), 3) + 1
    rows = max(int(np.ceil((y1 - y0) / pitch_mm)), 3) + 1
    xs, ys = np.linspace(x0, x1, columns), np.linspace(y0, y1, rows)
    nodes = np.stack(_Surface(geometry).grid(xs, ys), -1)
    pitch = (float(xs[1] - xs[0]), float(ys[1] - ys[0]))
    return PageGeometry(nodes, geometry.origin_mm, pitch, geometry.calibrated)


def map_nodes(geometry: PageGeometry, fn: Callable[[FloatArray], FloatArray]) -> PageGeometry:
    """Push the nodes through `fn`: (n, 2) px -> (n, 2) px; densify first if it bends."""
    nodes = np.asarray(geometry.nodes_px, float)
    moved = fn(nodes.reshape(-1, 2)).reshape(nodes.shape)
    return PageGeometry(moved, geometry.origin_mm, geometry.pitch_mm, geometry.calibrated)


def warp_map(
    geometry: PageGeometry, box_mm: tuple[float, float, float, float], px_per_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Return the (x, y) source positions in image px of a rectified box sampled at `px_per_mm`.

    Pixel (column c, row r) of the result lies at page (x0 + c / px_per_mm, y0 + r / px_per_mm).
    """
    x0, y0, x1, y1 = box_mm
    xs = x0 + np.arange(round((x1 - x0) * px_per_mm)) / px_per_mm
    ys = y0 + np.arange(round((y1 - y0) * px_per_mm)) / px_per_mm
    return _Surface(geometry).grid(xs, ys)


def warp_box(
    image: np.ndarray,
    geometry: PageGeometry,
    box_mm: tuple[float, float, float, float],
    px_per_mm: float,
    *,
    interpolation: int = cv2.INTER_LANCZOS4,
    border: tuple[int, int, int] = (255, 255, 255),
) -> tuple[np.ndarray, np.ndarray]:
    """Rectify one page rectangle straight from the original pixels.

    Args:
        image: (H, W) or (H, W, C) picture.
        geometry: Page-to-image map.
        box_mm: (x0, y0, x1, y1) in page mm.
        px_per_mm: Sampling of the result; not below the picture's own, or fine detail aliases.
        interpolation: OpenCV flag; Lanczos keeps the steep strokes sharp.
        border: Colour outside the picture.

    Returns:
        The rectified pixels, and a bool mask that is False outside the picture.
    """
    place = pixel_map(geometry, box_mm, px_per_mm)
    return warp_through(image, place, interpolation=interpolation, border=border), inside(
        image, place
    )


def pixel_map(
    geometry: PageGeometry, box_mm: tuple[float, float, float, float], px_per_mm: float
) -> PixelMap:
    """Return `warp_map` as OpenCV takes it, for several pictures of one size (`warp_through`)."""
    map_x, map_y = warp_map(geometry, box_mm, px_per_mm)
    return map_x.astype(np.float32), map_y.astype(np.float32)


def warp_through(
    image: np.ndarray,
    place: PixelMap,
    *,
    interpolation: int = cv2.INTER_LANCZOS4,
    border: tuple[int, int, int] = (255, 255, 255),
) -> np.ndarray:
    """Take a picture's pixels at the places of a map; arguments as in `warp_box`."""
    return cv2.remap(
        image, *place, interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )


def inside(image: np.ndarray, place: PixelMap) -> np.ndarray:
    """Return a bool mask of the places of a map that lie in the picture."""
    (height, width), (map_x, map_y) = image.shape[:2], place
    return np.asarray(
        (map_x >= -0.5) & (map_x <= width - 0.5) & (map_y >= -0.5) & (map_y <= height - 0.5)
    )
