"""From grid seeds to the page's geometry: lock a smooth map to the phase of the printed lines.

The seeds give a first image -> page map. The density map is multiplied by the conjugate of the wave
that this map predicts (demodulation) and averaged over a few millimetres: what is left is the phase
error of the map, that is how far each spot of the grid lies from where the map puts it. A
polynomial takes up the error, first at the 5-mm period, where errors of millimetres are still
unambiguous, then at the 1-mm period, where the phase is five times as sharp. Every line of the
paper takes part, so the result is good to a small fraction of a pixel.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import binary_closing, gaussian_filter, label

from cinc_ecg.digitization.grid import GridSeed, clip_ink
from cinc_ecg.errors import GridNotFound
from cinc_ecg.types import FloatArray, PageGeometry

_NODE_PITCH_MM = 5.0
#: Side of the blocks over which the demodulated field is averaged first.
_BLOCK_MM = 2.0
#: Gaussian that follows; long against the period, short against the paper's bends.
_SMOOTHING_MM = 4.0
_MAX_DEGREE = 6
#: Every so many blocks the phase is passed on to the fit.
_THINNING = 3
_MIN_SPOTS = 8
#: Lines are seen where their amplitude is this share of its usual one; parts of the seen area count
#: from this share of the largest.
_SEEN = 0.2
_LARGE_PART = 0.2
#: A higher degree must lower the cross-validated error by this factor: paper is flat unless shown
#: otherwise.
_DEGREE_GAIN = 0.93
#: A harmonic counts as seen from this amplitude over the spectrum beside it.
_MIN_CONTRAST = 1.6


@dataclass(frozen=True, slots=True)
class PlaneMap:
    """A polynomial map from image px to page mm.

    Attributes:
        centre_px, scale_px: Image coordinates are normalised as (p - centre) / scale.
        degree: Total degree.
        coefficients: (n_terms, 2) for page x and page y.
    """

    centre_px: FloatArray
    scale_px: float
    degree: int
    coefficients: FloatArray

    def __call__(self, points_px: FloatArray) -> FloatArray:
        """Map (n, 2) image points to page mm."""
        normalised = (points_px - self.centre_px) / self.scale_px
        return _terms(normalised, self.degree) @ self.coefficients

    def jacobian(self, points_px: FloatArray) -> FloatArray:
        """(n, 2, 2): row = page coordinate, column = derivative by image x, image y."""
        normalised = (points_px - self.centre_px) / self.scale_px
        columns = [_terms(normalised, self.degree, axis) @ self.coefficients for axis in (0, 1)]
        return np.stack(columns, -1) / self.scale_px

    def plus(self, degree: int, coefficients: FloatArray) -> PlaneMap:
        """Add a polynomial of the same normalisation."""
        top = max(degree, self.degree)
        total = np.zeros((_n_terms(top), 2))
        total[: len(self.coefficients)] += self.coefficients
        total[: len(coefficients)] += coefficients
        return PlaneMap(self.centre_px, self.scale_px, top, total)


def _exponents(degree: int) -> list[tuple[int, int]]:
    return [(total - k, k) for total in range(degree + 1) for k in range(total + 1)]


def _n_terms(degree: int) -> int:
    return (degree + 1) * (degree + 2) // 2


def _terms(points: FloatArray, degree: int, derivative: int | None = None) -> FloatArray:
    """Monomials x^i y^j by rising total degree, or their derivatives by x (0) or y (1)."""
    x, y = points[..., 0], points[..., 1]
    columns = []
    for i, j in _exponents(degree):
        if derivative == 0:
            columns.append(i * x ** max(i - 1, 0) * y**j)
        elif derivative == 1:
            columns.append(j * x**i * y ** max(j - 1, 0))
        else:
            columns.append(x**i * y**j)
    return np.stack(np.broadcast_arrays(*columns), -1)


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
    design = np.stack([_terms(centres, 2, axis)[:, 1:] for axis in (0, 1)], 1)  # (n, 2, 5)
    typical = np.median(slopes, axis=0)
    best = np.linalg.norm(slopes - typical, axis=1)
    if n >= 4:
        rng = np.random.default_rng(0)
        size = np.linalg.norm(typical)
        for _ in range(300):
            pick = rng.choice(n, 3, replace=False)
            solution = _robust_fit(
                design[pick].reshape(-1, 5),
                slopes[pick].ravel(),
                np.ones(6),
                ridge=1e-4,
                free=2,
                rounds=1,
            )
            if np.abs(solution[2:]).max() > 0.3 * size:  # no camera sees paper bent like that
                continue
            residual = np.linalg.norm(slopes - design @ solution, axis=1)
            if np.median(residual) < np.median(best):
                best = residual
    keep = best <= max(3.0 * float(np.median(best)), 0.004 * float(np.linalg.norm(typical)))
    ridge = 0.003 if keep.sum() >= 4 else 10.0
    repeated = np.repeat(weights[keep], 2)
    return _robust_fit(
        design[keep].reshape(-1, 5), slopes[keep].ravel(), repeated, ridge=ridge, free=2
    )


def _robust_fit(
    design: FloatArray,
    target: FloatArray,
    weights: FloatArray,
    *,
    ridge: float = 0.0,
    free: int = 0,
    rounds: int = 4,
) -> FloatArray:
    """Fit by Huber-reweighted least squares; `ridge` shrinks all but the `free` first terms."""
    penalty = (
        ridge
        * np.eye(design.shape[1])
        * np.linalg.norm(design * weights[:, None]) ** 2
        / design.shape[1]
    )
    penalty[np.arange(free), np.arange(free)] = 0.0
    robust = np.ones(len(target))
    solution = np.zeros(design.shape[1])
    for _ in range(rounds):
        w = (weights * robust)[:, None]
        normal = (design * w).T @ (design * w) + penalty + 1e-9 * np.eye(design.shape[1])
        solution = np.linalg.solve(normal, (design * w).T @ (target * w[:, 0]))
        residual = np.abs(target - design @ solution)
        limit = 2.0 * 1.4826 * np.median(residual) + 1e-9
        robust = np.sqrt(np.minimum(1.0, limit / np.maximum(residual, 1e-12)))
    return solution


@dataclass(frozen=True, slots=True)
class _PhaseError:
    """Demodulated phase at block centres.

    Positions (n, 2) px, displacements (n,) mm, weights (n,), and the amplitude.
    """

    points_px: FloatArray
    shift_mm: FloatArray
    weight: FloatArray
    amplitude: float


def _demodulated(
    detail: FloatArray, mask: np.ndarray, plane: PlaneMap, axis: int, period_mm: float
) -> tuple[np.ndarray, FloatArray, FloatArray]:
    """Multiply with the conjugate wave and average: (complex field, coverage, block centres in px).

    The map is smooth: evaluated block by block, its value and slope give every pixel's phase.
    """
    pitch = 1.0 / np.linalg.norm(plane.jacobian(plane.centre_px[None])[0], axis=-1).max()
    block = max(2, round(_BLOCK_MM * pitch))
    height, width = detail.shape
    rows, columns = height // block, width // block
    h, w = rows * block, columns * block
    coarse_y = (np.arange(rows) + 0.5) * block - 0.5
    coarse_x = (np.arange(columns) + 0.5) * block - 0.5
    centres = np.stack(np.meshgrid(coarse_x, coarse_y), -1).reshape(-1, 2)
    phase = (plane(centres)[:, axis] / period_mm).reshape(rows, columns)
    slope = plane.jacobian(centres)[:, axis] / period_mm
    offset = np.arange(block) - (block - 1) / 2
    step_x = np.exp(-2j * np.pi * slope[:, 0].reshape(rows, columns, 1) * offset)
    step_y = np.exp(-2j * np.pi * slope[:, 1].reshape(rows, columns, 1) * offset)
    blocks = detail[:h, :w].reshape(rows, block, columns, block)
    along = np.einsum("rbck,rck->rbc", blocks, step_x.astype(np.complex64), optimize=True)
    summed = np.einsum("rbc,rcb->rc", along, step_y.astype(np.complex64), optimize=True)
    field = summed * np.exp(-2j * np.pi * phase) / block**2
    coverage = mask[:h, :w].reshape(rows, block, columns, block).mean((1, 3))
    px_per_mm = 1.0 / np.linalg.norm(plane.jacobian(plane.centre_px[None])[0, axis])
    sigma = _SMOOTHING_MM * px_per_mm / block
    smooth = gaussian_filter(field.real, sigma) + 1j * gaussian_filter(field.imag, sigma)
    norm = gaussian_filter(coverage, sigma)
    usable = np.where(coverage > 0.5, norm, 0.0)
    return smooth / np.maximum(norm, 0.05), usable, centres.reshape(rows, columns, 2)


def _demodulate(
    detail: FloatArray,
    mask: np.ndarray,
    plane: PlaneMap,
    axis: int,
    period_mm: float,
    *,
    unwrap: bool,
) -> _PhaseError | None:
    """Measure how far the lines of one family lie from where `plane` puts them.

    With `unwrap` errors of more than half a period are followed from spot to spot; without, they
    are taken modulo the period, which no isolated spot of noise can upset.
    """
    field, usable, centres = _demodulated(detail, mask, plane, axis, period_mm)
    amplitude = np.abs(field)
    good = usable > 0.4
    if good.sum() < _MIN_SPOTS:
        return None
    strong = float(np.percentile(amplitude[good], 80))
    good &= amplitude > 0.25 * strong
    turns = np.angle(field) / (2 * np.pi)
    if unwrap:
        turns = _unwrap(turns, np.where(good, amplitude, 0.0))
    else:  # a common offset goes first, so that it does not split the page at half a period
        common = np.angle(np.sum(field[good])) / (2 * np.pi)
        turns = common + (turns - common + 0.5) % 1.0 - 0.5
    keep = good & np.isfinite(turns)
    thinned = np.zeros_like(keep)  # the smoothing is wider than this: neighbours tell nothing new
    thinned[::_THINNING, ::_THINNING] = True
    keep &= thinned
    if keep.sum() < _MIN_SPOTS:
        return None
    weight = (amplitude / strong)[keep].clip(0, 1.5)
    return _PhaseError(centres[keep], turns[keep] * period_mm, weight, strong)


def _grid_mask(
    detail: FloatArray, mask: np.ndarray, plane: PlaneMap, period_mm: float
) -> np.ndarray:
    """True where lines of both families are seen: the printed area without its surroundings."""
    seen = None
    for axis in (0, 1):
        field, usable, _ = _demodulated(detail, mask, plane, axis, period_mm)
        amplitude = np.abs(field)
        strong = float(np.percentile(amplitude[usable > 0.4], 80))
        here = (amplitude > _SEEN * strong) & (usable > 0.2)
        seen = here if seen is None else seen & here
    assert seen is not None
    seen = _hull(binary_closing(seen, iterations=3))
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


def _unwrap(turns: FloatArray, quality: FloatArray) -> FloatArray:
    """Unwrap a phase field (in turns) from its best spot; NaN where quality is 0 or cut off."""
    result = np.full(turns.shape, np.nan)
    regions, count = label(quality > 0)
    if count == 0:
        return result
    largest = 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    quality = np.where(regions == largest, quality, 0.0)
    start = np.unravel_index(int(quality.argmax()), quality.shape)
    result[start] = turns[start]
    queue: list[tuple[float, int, int, int, int]] = []

    def push(i: int, j: int) -> None:
        for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if (
                0 <= a < turns.shape[0]
                and 0 <= b < turns.shape[1]
                and quality[a, b] > 0
                and np.isnan(result[a, b])
            ):
                heapq.heappush(queue, (-quality[a, b], a, b, i, j))

    push(int(start[0]), int(start[1]))
    while queue:
        _, a, b, i, j = heapq.heappop(queue)
        if np.isnan(result[a, b]):
            result[a, b] = turns[a, b] + np.rint(result[i, j] - turns[a, b])
            push(a, b)
    return result


def _choose_degree(
    error: _PhaseError, plane: PlaneMap, max_degree: int
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
        if len(points) < 4 * _n_terms(degree):
            break
        design = _terms(points, degree)
        residual = np.full(len(points), np.nan)
        for k in range(4):
            train, test = fold != k, fold == k
            if train.sum() < 2 * _n_terms(degree) or not test.any():
                continue
            solution = _robust_fit(
                design[train], error.shift_mm[train], error.weight[train], ridge=1e-7
            )
            residual[test] = np.abs(error.shift_mm[test] - design[test] @ solution)
        score = float(np.nanmean(np.minimum(residual, 1.0) * error.weight))
        if best is None or score < _DEGREE_GAIN * best[0]:
            best = (score, degree)
    degree = best[1] if best else 1
    design = _terms(points, degree)
    solution = _robust_fit(design, error.shift_mm, error.weight, ridge=1e-8)
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
    updates, rms = [], []
    for axis in (0, 1):
        error = _demodulate(detail, mask, plane, axis, period_mm, unwrap=unwrap)
        if error is None:
            raise GridNotFound(
                "the grid lines fade out: too few places where their phase can be read"
            )
        degree, solution, remainder = _choose_degree(error, plane, max_degree)
        column = np.zeros((_n_terms(degree), 2))
        column[:, axis] = solution
        updates.append((degree, column))
        rms.append(remainder)
    for degree, column in updates:
        plane = plane.plus(degree, column)
    return plane, max(rms)


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
    found = []
    for order in (1, 2, 3, 4, 5) if period_mm == 5.0 else (1,):
        amplitudes, contrasts = [], []
        for axis in (0, 1):
            on = _demodulate(detail, mask, plane, axis, period_mm / order, unwrap=False)
            off = _demodulate(detail, mask, plane, axis, period_mm / (order + 0.5), unwrap=False)
            amplitudes.append(on.amplitude if on else 0.0)
            contrasts.append(on.amplitude / max(off.amplitude, 1e-9) if on and off else 0.0)
        found.append((order, min(amplitudes), min(contrasts)))
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
    detail = clip_ink((density @ seed.channel).astype(np.float32))
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
    return PageGeometry(nodes, (0.0, 0.0), (_NODE_PITCH_MM, _NODE_PITCH_MM))
