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
    x, y = (_powers(points[..., k], degree) for k in (0, 1))
    result = np.empty((*points.shape[:-1], n_terms(degree)))
    for k, (i, j) in enumerate(_exponents(degree)):
        if derivative == 0:
            result[..., k] = i * x[max(i - 1, 0)] * y[j]
        elif derivative == 1:
            result[..., k] = j * x[i] * y[max(j - 1, 0)]
        else:
            result[..., k] = x[i] * y[j]
    return result


def _powers(values: FloatArray, degree: int) -> list[FloatArray]:
    """Return values to the power of 0 to `degree`: products are many times faster than powers."""
    powers = [np.ones_like(values)]
    for _ in range(degree):
        powers.append(powers[-1] * values)
    return powers


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
    n_columns = design.shape[1]
    penalty: FloatArray = np.zeros((n_columns, n_columns))
    if ridge:
        size = np.linalg.norm(design * weights[:, None]) ** 2
        penalty = ridge * np.eye(n_columns) * size / n_columns
    penalty[np.arange(free), np.arange(free)] = 0.0
    penalty += 1e-9 * np.eye(n_columns)
    robust = np.ones(len(target))
    solution: FloatArray = np.zeros(n_columns)
    for _ in range(rounds):
        w = weights * robust
        weighed = design * w[:, None]
        normal = weighed.T @ weighed + penalty
        solution = np.linalg.solve(normal, weighed.T @ (target * w))
        residual = np.abs(target - design @ solution)
        limit = 2.0 * 1.4826 * np.median(residual) + 1e-9
        robust = np.sqrt(np.minimum(1.0, limit / np.maximum(residual, 1e-12)))
    return solution
