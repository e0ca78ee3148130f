"""Invertible image warps, applied by one resampling together with the truth's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.geometry import map_nodes
from cinc_ecg.types import FloatArray, PageTruth

Pixels = NDArray[np.uint8]


class Warp(Protocol):
    """A smooth map of the plane and its inverse, both (..., 2) pixels -> (..., 2) pixels."""

    def forward(self, points_px: FloatArray) -> FloatArray:
        """Old picture -> new picture."""

    def backward(self, points_px: FloatArray) -> FloatArray:
        """New picture -> old picture."""


@dataclass(frozen=True, eq=False)
class Homography:
    """A projective map by its 3 x 3 matrix (old -> new)."""

    matrix: FloatArray

    def forward(self, points_px: FloatArray) -> FloatArray:
        """Apply the matrix."""
        return _project(self.matrix, points_px)

    def backward(self, points_px: FloatArray) -> FloatArray:
        """Apply its inverse."""
        return _project(np.linalg.inv(self.matrix), points_px)

    @classmethod
    def from_corners(cls, old_px: FloatArray, new_px: FloatArray) -> Homography:
        """Return the map that takes four points to four others."""
        old, new = np.asarray(old_px, np.float32), np.asarray(new_px, np.float32)
        matrix = cv2.getPerspectiveTransform(old, new)
        return cls(np.asarray(matrix, float))

    @classmethod
    def rotation(cls, angle_deg: float, centre_px: tuple[float, float]) -> Homography:
        """Turn about a point, counter-clockwise as seen, by `angle_deg`."""
        affine = cv2.getRotationMatrix2D(centre_px, angle_deg, 1.0)
        return cls(np.vstack([affine, [0, 0, 1]]))

    @classmethod
    def scaling(cls, factor_x: float, factor_y: float) -> Homography:
        """Resize a picture about the corner of its top-left pixel."""
        return cls(
            np.array(
                [
                    [factor_x, 0, (factor_x - 1) / 2],
                    [0, factor_y, (factor_y - 1) / 2],
                    [0, 0, 1],
                ]
            )
        )

    @classmethod
    def shift(cls, dx_px: float, dy_px: float) -> Homography:
        """Translate."""
        return cls(np.array([[1, 0, dx_px], [0, 1, dy_px], [0, 0, 1.0]]))


@dataclass(frozen=True, eq=False)
class Curl:
    """Bend along one axis: the other coordinate moves by a sum of sines, so the inverse is exact.

    Attributes:
        axis: 0 moves x as a function of y, 1 moves y as a function of x.
        amplitudes_px, periods_px, phases: One per sine.
    """

    axis: int
    amplitudes_px: tuple[float, ...]
    periods_px: tuple[float, ...]
    phases: tuple[float, ...]

    def _offset(self, along: FloatArray) -> FloatArray:
        total = np.zeros_like(along)
        parts = zip(self.amplitudes_px, self.periods_px, self.phases, strict=True)
        for amplitude, period, phase in parts:
            total += amplitude * np.sin(along * (2 * np.pi / period) + phase)
        return total

    def _moved(self, points_px: FloatArray, sign: int) -> FloatArray:
        moved = np.array(points_px)
        moved[..., self.axis] += sign * self._offset(moved[..., 1 - self.axis])
        return moved

    def forward(self, points_px: FloatArray) -> FloatArray:
        """Bend."""
        return self._moved(points_px, 1)

    def backward(self, points_px: FloatArray) -> FloatArray:
        """Unbend."""
        return self._moved(points_px, -1)


def apply_warps(
    pixels: Pixels,
    truth: PageTruth,
    warps: Sequence[Warp],
    size_px: tuple[int, int],
    surroundings: Pixels | tuple[int, int, int],
) -> tuple[Pixels, PageTruth]:
    """Warp picture and truth by a chain of maps with a single interpolation.

    Where the chain shrinks, the picture is low-passed first, so that thin lines do not alias.

    Args:
        pixels: (height, width, 3) uint8.
        truth: Its geometry is pushed through the same maps, node by node.
        warps: Applied first to last.
        size_px: (width, height) of the new picture.
        surroundings: What is seen beside the page: a picture of the new size, or one colour.
    """
    width, height = size_px
    old_height, old_width = pixels.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    points: FloatArray = np.stack([x, y], -1)
    for warp in reversed(warps):
        points = np.asarray(warp.backward(points), np.float32)
    source = _low_passed(pixels, points)
    map_x, map_y = np.ascontiguousarray(points[..., 0]), np.ascontiguousarray(points[..., 1])
    remapped = cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    moved = np.asarray(remapped, np.uint8)
    inside = np.minimum(np.minimum(map_x, old_width - 1 - map_x), map_y)
    inside = np.minimum(inside, old_height - 1 - map_y)
    alpha = np.clip(inside + 1, 0, 1)
    rows, columns = np.nonzero(alpha < 1)
    if len(rows):
        if isinstance(surroundings, tuple):
            beside = np.array(surroundings, np.float32)
        else:
            beside = surroundings[rows, columns].astype(np.float32)
        share = alpha[rows, columns, None]
        mixed = share * moved[rows, columns] + (1 - share) * beside
        moved[rows, columns] = np.rint(mixed).astype(np.uint8)

    def forward(nodes: FloatArray) -> FloatArray:
        for warp in warps:
            nodes = warp.forward(nodes)
        return nodes

    return moved, replace(truth, geometry=map_nodes(truth.geometry, forward))


def _project(matrix: FloatArray, points_px: FloatArray) -> FloatArray:
    x, y = points_px[..., 0], points_px[..., 1]
    m = matrix.astype(points_px.dtype) if points_px.dtype == np.float64 else matrix
    scale = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    return np.stack(
        [
            (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / scale,
            (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / scale,
        ],
        -1,
    )


def _low_passed(pixels: Pixels, points_px: FloatArray) -> Pixels:
    """Blur the source as much as the mean shrinkage asks for (none when the map enlarges)."""
    middle = points_px[points_px.shape[0] // 2, points_px.shape[1] // 4 : -1 : 8]
    step = float(np.median(np.hypot(*np.diff(middle, axis=0).T))) / 8
    if step <= 1.05:
        return pixels
    sigma = 0.5 * float(np.sqrt(step**2 - 1))
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
