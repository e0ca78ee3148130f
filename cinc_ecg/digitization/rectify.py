"""From grid seeds to the page's geometry: lock a smooth map to the phase of the printed lines.

The seeds give a first image -> page map. The density map is multiplied by the conjugate of the wave
that this map predicts (demodulation) and averaged over a few millimetres: what is left is the phase
error of the map, that is how far each spot of the grid lies from where the map puts it. A
polynomial takes up the error, first at the 5-mm period, where errors of millimetres are still
unambiguous, then at the 1-mm period, where the phase is five times as sharp. Every line of the
paper takes part, so the result is good to a small fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from scipy.ndimage import binary_closing, label

from cinc_ecg.digitization.grid import GridSeed, clip_ink, through
from cinc_ecg.digitization.phase import PhaseError, demodulate, demodulated
from cinc_ecg.digitization.plane_map import PlaneMap, n_terms, robust_fit, terms
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.errors import GridNotFound
from cinc_ecg.types import FloatArray, PageGeometry

_NODE_PITCH_MM = 5.0
_MAX_DEGREE = 6
#: Lines are seen where their amplitude is this share of its usual one; parts of the seen area count
#: from this share of the largest.
_SEEN = 0.2
_LARGE_PART = 0.2
#: A higher degree must lower the cross-validated error by this factor: paper is flat unless shown
#: otherwise.
_DEGREE_GAIN = 0.93
#: A harmonic counts as seen from this amplitude over the spectrum beside it.
_MIN_CONTRAST = 1.6
#: Scales of pictures that can be read at all; outside, the map has gone astray.
_PX_PER_MM = (0.7, 120.0)
_MOST_ANISOTROPY = 4.0
#: Triples of tiles that are tried for the first map.
_TRIPLES = 300


def seed_map(seed: GridSeed, shape: tuple[int, int]) -> PlaneMap:
    """Integrate the tiles' wave vectors: least squares of a quadratic map's gradient on them."""
    height, width = shape
    centre, scale = np.array([width, height]) / 2, max(shape) / 2
    centres = (np.array([t.centre_px for t in seed.tiles]) - centre) / scale
    weights = np.sqrt([max(t.weight, 0.05) for t in seed.tiles])
    columns = []
    for waves in (np.array([t.across for t in seed.tiles]), np.array([t.down for t in seed.tiles])):
        columns.append(_integrate(centres, waves * seed.period_mm * scale, weights))
    degree = 2
    coefficients = np.vstack([np.zeros(2), np.stack(columns, 1)])
    return PlaneMap(centre, scale, degree, coefficients)


def _integrate(centres: FloatArray, slopes: FloatArray, weights: FloatArray) -> FloatArray:
    """Fit (x, y, x2, xy, y2) coefficients whose gradient passes most of the (n, 2) slopes.

    Least median of squares over triples of tiles first: a tile that fell for a neighbouring
    harmonic or for text must not bend the page.
    """
    n = len(centres)
    design = np.stack([terms(centres, 2, axis)[:, 1:] for axis in (0, 1)], 1)  # (n, 2, 5)
    typical = np.median(slopes, axis=0)
    best = np.linalg.norm(slopes - typical, axis=1)
    if n >= 4:
        rng = np.random.default_rng(0)
        size = np.linalg.norm(typical)
        picks = np.array([rng.choice(n, 3, replace=False) for _ in range(_TRIPLES)])
        solutions = _exact_fits(design[picks].reshape(_TRIPLES, 6, 5), slopes[picks].reshape(-1, 6))
        # No camera sees paper bent more.
        solutions = solutions[np.abs(solutions[:, 2:]).max(axis=1) <= 0.3 * size]
        fields = np.einsum("nij,sj->sni", design, solutions)
        residuals = np.concatenate([best[None], np.linalg.norm(slopes - fields, axis=-1)])
        best = residuals[np.median(residuals, axis=1).argmin()]
    keep = best <= max(3.0 * float(np.median(best)), 0.004 * float(np.linalg.norm(typical)))
    ridge = 0.003 if keep.sum() >= 4 else 10.0
    repeated = np.repeat(weights[keep], 2)
    return robust_fit(
        design[keep].reshape(-1, 5), slopes[keep].ravel(), repeated, ridge=ridge, free=2
    )


def _exact_fits(designs: FloatArray, targets: FloatArray) -> FloatArray:
    """Solve (s, 6, 5) small systems at once by least squares; curvature is shrunk a little."""
    penalty = np.zeros((len(designs), 5, 5))
    shrink = 1e-4 * (designs**2).sum((1, 2)) / 5.0
    penalty[:, range(5), range(5)] = 1e-9
    penalty[:, range(2, 5), range(2, 5)] += shrink[:, None]
    turned = designs.transpose(0, 2, 1)
    solved = np.linalg.solve(turned @ designs + penalty, turned @ targets[..., None])
    return np.asarray(solved[..., 0])


def _grid_mask(
    detail: FloatArray, mask: np.ndarray, plane: PlaneMap, period_mm: float
) -> np.ndarray:
    """True where lines of both families are seen: the printed area without its surroundings."""

    def shown(axis: int) -> np.ndarray:
        field, usable, _ = demodulated(detail, mask, plane, axis, period_mm)
        amplitude = np.abs(field)
        strong = float(np.percentile(amplitude[usable > 0.4], 80))
        here: np.ndarray = (amplitude > _SEEN * strong) & (usable > 0.2)
        return here

    across, down = side_by_side(shown, (0, 1))
    seen = _hull(binary_closing(across & down, iterations=3))
    height, width = mask.shape
    block = height // seen.shape[0] if seen.shape[0] else 1
    full = np.zeros((height, width), bool)
    big = np.repeat(np.repeat(seen, block, 0), block, 1)[:height, :width]
    full[: big.shape[0], : big.shape[1]] = big
    full[big.shape[0] :] = full[big.shape[0] - 1]
    full[:, big.shape[1] :] = full[:, big.shape[1] - 1 : big.shape[1]]
    return full


def _hull(seen: np.ndarray) -> np.ndarray:
    """Fill the convex hull of the large parts of a mask: printed paper has no holes or bays."""
    regions, count = label(seen)
    if count == 0:
        return seen
    sizes = np.bincount(regions.ravel())[1:]
    large = np.isin(regions, 1 + np.flatnonzero(sizes > _LARGE_PART * sizes.max()))
    points = cv2.findNonZero(large.astype(np.uint8))
    filled = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled > 0


def _choose_degree(
    error: PhaseError, plane: PlaneMap, max_degree: int
) -> tuple[int, FloatArray, float]:
    """Fit the displacement by the lowest degree that cross-validation over page regions justifies.

    Returns:
        Degree, coefficients, and the weighted rms of what remains, in mm.
    """
    points = (error.points_px - plane.centre_px) / plane.scale_px
    cell = np.floor((points + 1) * 3.0).astype(int)
    fold = (cell[:, 0] + 2 * cell[:, 1]) % 4
    best: tuple[float, int] | None = None
    for degree in range(1, max_degree + 1):
        if len(points) < 4 * n_terms(degree):
            break
        design = terms(points, degree)
        residual = np.full(len(points), np.nan)
        for k in range(4):
            train, test = fold != k, fold == k
            if train.sum() < 2 * n_terms(degree) or not test.any():
                continue
            solution = robust_fit(
                design[train], error.shift_mm[train], error.weight[train], ridge=1e-7
            )
            residual[test] = np.abs(error.shift_mm[test] - design[test] @ solution)
        score = float(np.nanmean(np.minimum(residual, 1.0) * error.weight))
        if best is None or score < _DEGREE_GAIN * best[0]:
            best = (score, degree)
    degree = best[1] if best else 1
    design = terms(points, degree)
    solution = robust_fit(design, error.shift_mm, error.weight, ridge=1e-8)
    remainder = error.shift_mm - design @ solution
    rms = float(np.sqrt(np.average(np.minimum(remainder**2, 1.0), weights=error.weight)))
    return degree, solution, rms


def _lock(
    detail: FloatArray,
    mask: np.ndarray,
    plane: PlaneMap,
    period_mm: float,
    max_degree: int,
    *,
    unwrap: bool = False,
) -> tuple[PlaneMap, float]:
    """One round: demodulate both families at a period and take the error out of the map."""

    def update(axis: int) -> tuple[int, FloatArray, float]:
        error = demodulate(detail, mask, plane, axis, period_mm, unwrap=unwrap)
        if error is None:
            raise GridNotFound(
                "the grid lines fade out: too few places where their phase can be read"
            )
        degree, solution, remainder = _choose_degree(error, plane, max_degree)
        column = np.zeros((n_terms(degree), 2))
        column[:, axis] = solution
        return degree, column, remainder

    updates, locked = side_by_side(update, (0, 1)), plane
    for degree, column, _ in updates:
        locked = locked.plus(degree, column)
    return locked, max(remainder for _, _, remainder in updates)


def _harmonics(
    detail: FloatArray, mask: np.ndarray, plane: PlaneMap, period_mm: float
) -> list[tuple[int, float, float]]:
    """List the grid's harmonics: order, amplitude, its ratio to that half an order further up.

    Measured on the middle of the page only, which is enough to choose.
    """
    height, width = detail.shape
    top, left = height // 4, width // 4
    window = slice(top, height - top), slice(left, width - left)
    detail, mask = detail[window], mask[window]
    plane = replace(plane, centre_px=plane.centre_px - (left, top))

    def amplitude(axis: int, order: float) -> float | None:
        error = demodulate(detail, mask, plane, axis, period_mm / order, unwrap=False)
        return error.amplitude if error else None

    orders = (1, 2, 3, 4, 5) if period_mm == 5.0 else (1,)
    wanted = [(axis, order + beside) for order in orders for axis in (0, 1) for beside in (0, 0.5)]
    known = dict(zip(wanted, side_by_side(amplitude, *zip(*wanted, strict=True)), strict=True))
    found = []
    for order in orders:
        pairs = [(known[axis, order], known[axis, order + 0.5]) for axis in (0, 1)]
        contrasts = [on / max(off, 1e-9) if on and off is not None else 0.0 for on, off in pairs]
        found.append((order, min(on or 0.0 for on, _ in pairs), min(contrasts)))
    return found


def fit_geometry(
    density: np.ndarray, mask: np.ndarray, seed: GridSeed
) -> tuple[PageGeometry, np.ndarray, float]:
    """Lock the page's geometry to the grid.

    Args:
        density: (H, W, 3) optical density.
        mask: (H, W) bool, True on paper.
        seed: Periods and directions from `grid.find_grid`.

    Returns:
        The geometry, its origin at the image's top left corner and 5-mm lines at multiples of 5 mm
        where the grid has them; (H, W) True where the grid is seen; and the rms in mm of what the
        smooth map leaves of the lines' local displacement.

    Raises:
        GridNotFound: The phase cannot be followed.
    """
    detail = clip_ink(through(density, seed.channel))
    detail[~mask] = 0
    plane = seed_map(seed, density.shape[:2])
    harmonics = _harmonics(detail, mask, plane, seed.period_mm)
    clearest = max(harmonics, key=lambda h: h[2])
    if clearest[2] < _MIN_CONTRAST:
        raise GridNotFound("the grid lines fade out: too few places where their phase can be read")
    plane, rms = _lock(detail, mask, plane, seed.period_mm / clearest[0], 3, unwrap=True)
    # Position is told best by the harmonic with the largest order times amplitude.
    usable = [h for h in _harmonics(detail, mask, plane, seed.period_mm) if h[2] >= _MIN_CONTRAST]
    order = max(usable, key=lambda h: h[0] * h[1], default=clearest)[0]
    for _ in range(2):
        plane, rms = _lock(detail, mask, plane, seed.period_mm / order, _MAX_DEGREE)
    seen = _grid_mask(detail, mask, plane, seed.period_mm / order)
    return _geometry(plane, mask), seen, rms


def _geometry(plane: PlaneMap, mask: np.ndarray) -> PageGeometry:
    """Turn an image -> page map into a node lattice over the paper that is visible."""
    ys, xs = np.nonzero(mask[::16, ::16])
    seen = plane(np.stack([xs, ys], -1) * 16.0)
    low = np.floor((seen.min(0) - 1) / _NODE_PITCH_MM) * _NODE_PITCH_MM
    high = np.ceil((seen.max(0) + 1) / _NODE_PITCH_MM) * _NODE_PITCH_MM
    columns, rows = np.rint((high - low) / _NODE_PITCH_MM).astype(int) + 1
    if columns * rows > 40_000:
        raise GridNotFound(
            "the grid found implies an impossibly large page; crop the picture to the page"
        )
    lattice = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * _NODE_PITCH_MM + low
    target = lattice.reshape(-1, 2)
    jacobian = plane.jacobian(plane.centre_px[None])[0]
    points = plane.centre_px + (target - plane(plane.centre_px[None])) @ np.linalg.inv(jacobian).T
    for _ in range(12):
        # Far outside the paper the polynomial may turn over: steps are kept to a few millimetres.
        step = np.linalg.solve(plane.jacobian(points), (target - plane(points))[..., None])[..., 0]
        limit = 40.0 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 40.0)
        points = points + step * limit
    nodes = points.reshape(rows, columns, 2)
    geometry = PageGeometry(nodes, (0.0, 0.0), (_NODE_PITCH_MM, _NODE_PITCH_MM))
    scales = geometry.px_per_mm
    sane = np.isfinite(nodes).all() and _PX_PER_MM[0] < min(scales) < max(scales) < _PX_PER_MM[1]
    if not sane or max(scales) > _MOST_ANISOTROPY * min(scales):
        raise GridNotFound("the grid lines found do not fit one page; give a flatter picture")
    return geometry
