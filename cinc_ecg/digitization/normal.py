"""The banded normal equations of the re-render correction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.stroke import NODES_PER_COLUMN, Edges, Pen

F64 = NDArray[np.float64]


def edges_to_nodes(edge: Edges, values: F64) -> F64:
    """Pass a gradient by the edges (2, n) on to the nodes that carry them (n,)."""
    n = values.shape[1]
    node = np.concatenate([edge.node.ravel(), edge.node.ravel() + 1])
    share = np.concatenate([1.0 - edge.share.ravel(), edge.share.ravel()])
    weights = np.concatenate([values.ravel(), values.ravel()]) * share
    return np.bincount(node, weights=weights, minlength=n).astype(np.float64)


def normal_band(edge: Edges, pen: Pen, worth: F64) -> F64:
    """Approximate J'WJ of the picture by the nodes, in lower banded form.

    The derivative of the picture by an edge at node k is a bump: a Gaussian of width `blur` about
    node k in x, and about the edge's row in y (broadened where the edge is steep). Two bumps
    overlap by a Gaussian of their distance, so no sum over pixels is needed.

    Args:
        edge: The stroke's edges.
        pen: Pen and blur.
        worth: (n,) weight of a pixel near each node, 1 / variance; 0 where there are none.

    Returns:
        (bandwidth + 1, n) array for `scipy.linalg.solveh_banded(lower=True)`.
    """
    n = len(worth)
    spread = pen.blur * NODES_PER_COLUMN
    lags = int(np.ceil(2.5 * spread))
    width = lags + int(np.ceil(2.0 * pen.half * NODES_PER_COLUMN)) + 3
    scale = pen.depth**2 / (2.0 * spread * np.sqrt(np.pi) * NODES_PER_COLUMN)
    worth = np.sqrt(worth)
    steep = np.gradient(edge.at, axis=1) ** 2 / 12.0
    entries: list[NDArray[np.intp]] = []
    values: list[F64] = []
    for lag in range(lags + 1):
        fade = scale * np.exp(-0.25 * (lag / spread) ** 2)
        for k, m in ((0, 0), (1, 1), (0, 1), (1, 0)):
            if lag == 0 and k > m:
                continue
            here, there = (k, slice(0, n - lag)), (m, slice(lag, n))
            var = 2.0 * pen.blur**2 + steep[here] + steep[there]
            overlap = np.exp(-0.5 * (edge.at[here] - edge.at[there]) ** 2 / var)
            overlap *= fade * worth[: n - lag] * worth[lag:] / np.sqrt(2.0 * np.pi * var)
            if k != m:
                overlap = -overlap
            elif lag == 0:
                overlap = 0.5 * overlap
            _spread(edge, here, there, overlap, entries, values)
    flat = np.bincount(
        np.concatenate(entries), weights=np.concatenate(values), minlength=(width + 1) * n
    )
    return flat.reshape(width + 1, n).astype(np.float64)


def _spread(
    edge: Edges,
    here: tuple[int, slice],
    there: tuple[int, slice],
    value: F64,
    entries: list[NDArray[np.intp]],
    values: list[F64],
) -> None:
    """List the band entries of value * (e e'' + e'' e'), e and e'' two edges in terms of nodes."""
    n = edge.at.shape[1]
    keep = np.abs(value) > 1e-3 * np.abs(value).max(initial=0.0)
    for side_a in range(2):
        node_a = edge.node[here][keep] + side_a
        share_a = edge.share[here][keep] if side_a else 1.0 - edge.share[here][keep]
        for side_b in range(2):
            node_b = edge.node[there][keep] + side_b
            share_b = edge.share[there][keep] if side_b else 1.0 - edge.share[there][keep]
            distance = np.abs(node_a - node_b)
            entries.append(distance * n + np.minimum(node_a, node_b))
            values.append(value[keep] * share_a * share_b * np.where(distance == 0, 2.0, 1.0))


def add_prior(band: F64, gradient: F64, pull: F64, bend: F64) -> None:
    """Add springs on second differences: sum of pull * bend^2 / 2, to band and gradient in place.

    Args:
        band: Lower banded matrix.
        gradient: (n,) descent direction before solving.
        pull: (n - 2,) stiffness.
        bend: (n - 2,) second differences.
    """
    stencil = (1.0, -2.0, 1.0)
    n = len(gradient)
    for i in range(3):
        gradient[i : n - 2 + i] -= pull * bend * stencil[i]
        for j in range(i + 1):
            band[i - j, j : n - 2 + j] += pull * stencil[i] * stencil[j]


def add_slope_prior(band: F64, gradient: F64, pull: F64, line: F64) -> None:
    """Add springs on first differences (n - 1 of them) in place, as `add_prior` does."""
    rise = np.diff(line)
    gradient[1:] -= pull * rise
    gradient[:-1] += pull * rise
    band[0, 1:] += pull
    band[0, :-1] += pull
    band[1, :-1] -= pull
