"""Polynomial maps from image pixels to page millimetres, and their robust fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinc_ecg.types import FloatArray


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
        return terms(normalised, self.degree) @ self.coefficients

    def jacobian(self, points_px: FloatArray) -> FloatArray:
        """(n, 2, 2): row = page coordinate, column = derivative by image x, image y."""
        normalised = (points_px - self.centre_px) / self.scale_px
        columns = [terms(normalised, self.degree, axis) @ self.coefficients for axis in (0, 1)]
        return np.stack(columns, -1) / self.scale_px

    def plus(self, degree: int, coefficients: FloatArray) -> PlaneMap:
        """Add a polynomial of the same normalisation."""
        top = max(degree, self.degree)
        total = np.zeros((n_terms(top), 2))
        total[: len(self.coefficients)] += self.coefficients
        total[: len(coefficients)] += coefficients
        return PlaneMap(self.centre_px, self.scale_px, top, total)


def _exponents(degree: int) -> list[tuple[int, int]]:
    return [(total - k, k) for total in range(degree + 1) for k in range(total + 1)]


def n_terms(degree: int) -> int:
    """Return the number of monomials of two variables up to a total degree."""
    return (degree + 1) * (degree + 2) // 2


def terms(points: FloatArray, degree: int, derivative: int | None = None) -> FloatArray:
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


def robust_fit(
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
