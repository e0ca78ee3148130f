"""Phase of the printed lines against a map: demodulation, smoothing, unwrapping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from cinc_ecg.digitization.plane_map import PlaneMap
from cinc_ecg.types import FloatArray

#: Side of the blocks over which the demodulated field is averaged first.
_BLOCK_MM = 2.0
#: Gaussian that follows; long against the period, short against the paper's bends.
_SMOOTHING_MM = 4.0
#: Every so many blocks the phase is passed on to the fit.
_THINNING = 3
_MIN_SPOTS = 8


@dataclass(frozen=True, slots=True)
class PhaseError:
    """Demodulated phase at block centres.

    Positions (n, 2) px, displacements (n,) mm, weights (n,), and the amplitude.
    """

    points_px: FloatArray
    shift_mm: FloatArray
    weight: FloatArray
    amplitude: float


def demodulated(
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
    offset = 2 * np.pi * (np.arange(block) - (block - 1) / 2)
    step_x, step_y = (_wave(slope[:, k].reshape(rows, columns, 1) * offset) for k in (0, 1))
    blocks = detail[:h, :w].reshape(rows, block, columns, block).transpose(0, 2, 1, 3)
    # Real pixels times real and imaginary part: half the work of a complex product.
    along = blocks @ step_x.view(np.float32).reshape(*step_x.shape, 2)
    along = np.ascontiguousarray(along, np.float32)
    summed = np.einsum("rcb,rcb->rc", along.view(np.complex64)[..., 0], step_y)
    field = summed * np.exp(-2j * np.pi * phase) / block**2
    # Row by row in bytes, then across: a mean over both axes at once takes ten times as long.
    upright = mask[:h, :w].reshape(rows, block, w).sum(axis=1, dtype=np.uint16)
    coverage = upright.reshape(rows, columns, block).sum(axis=2) / block**2
    px_per_mm = 1.0 / np.linalg.norm(plane.jacobian(plane.centre_px[None])[0, axis])
    sigma = _SMOOTHING_MM * px_per_mm / block
    smooth = gaussian_filter(field.real, sigma) + 1j * gaussian_filter(field.imag, sigma)
    norm = gaussian_filter(coverage, sigma)
    usable = np.where(coverage > 0.5, norm, 0.0)
    return smooth / np.maximum(norm, 0.05), usable, centres.reshape(rows, columns, 2)


def _wave(angle: FloatArray) -> np.ndarray:
    """Return exp(-i angle), complex64; of a few turns at most, for they are rounded to float32."""
    angle = angle.astype(np.float32)
    wave = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=wave.real)
    np.sin(-angle, out=wave.imag)
    return wave


def demodulate(
    detail: FloatArray,
    mask: np.ndarray,
    plane: PlaneMap,
    axis: int,
    period_mm: float,
    *,
    unwrap: bool,
) -> PhaseError | None:
    """Measure how far the lines of one family lie from where `plane` puts them.

    With `unwrap` errors of more than half a period are followed from spot to spot; without, they
    are taken modulo the period, which no isolated spot of noise can upset.
    """
    field, usable, centres = demodulated(detail, mask, plane, axis, period_mm)
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
    return PhaseError(centres[keep], turns[keep] * period_mm, weight, strong)


def _unwrap(turns: FloatArray, quality: FloatArray) -> FloatArray:
    """Unwrap a phase field (in turns) from its best spot; NaN where quality is 0 or cut off.

    Whole turns are counted along the tree that joins all spots by their best neighbours: every step
    is as good as the worse of the two spots it joins.
    """
    result = np.full(turns.shape, np.nan)
    regions, count = label(quality > 0)
    if count == 0:
        return result
    largest = regions == 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    parents, order = _best_tree(np.where(largest, quality, 0.0))
    flat = turns.ravel()
    jump = np.zeros(flat.size)
    jump[order[1:]] = np.round(flat[parents[order[1:]]] - flat[order[1:]])
    # Every spot looks twice as far up the tree in each round, and adds what lies between.
    ahead = np.where(parents < 0, np.arange(flat.size), parents)
    while (jump[ahead] != 0).any() or (ahead[ahead] != ahead).any():
        jump, ahead = jump + jump[ahead], ahead[ahead]
    inside = largest.ravel()
    result.ravel()[inside] = (flat + jump)[inside]
    return result


def _best_tree(quality: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Return each spot's parent in the best spanning tree of a map, and the spots from its root.

    Args:
        quality: (h, w), 0 where there is nothing to join; the best spot is the root.

    Returns:
        (h * w,) parents, negative for the root and outside; the connected spots, parents first.
    """
    spots = np.arange(quality.size).reshape(quality.shape)
    ends, costs = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        worse = np.minimum(quality[one], quality[other])
        joined = worse > 0
        ends.append(np.stack([spots[one][joined], spots[other][joined]]))
        # The best step costs least; none may cost nothing, for that would be no step.
        costs.append(2.0 * quality.max() - worse[joined])
    rows, columns = np.concatenate(ends, axis=1)
    shape = (quality.size, quality.size)
    steps = coo_matrix((np.concatenate(costs), (rows, columns)), shape)
    tree = minimum_spanning_tree(steps.tocsr())
    order, parents = breadth_first_order(tree, int(quality.argmax()), directed=False)
    return parents, order
