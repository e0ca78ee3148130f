"""Analysis by synthesis: move the centre line until the stroke drawn along it matches the picture.

Gauss-Newton on the picture's residual, with the exact gradient of `stroke` and a closed-form banded
approximation of the normal equations, a heavy-tailed prior on second differences (it fills what the
picture does not show and does not smooth what it does), and a gate: a stretch of the line keeps a
step only if the residual there falls; elsewhere the step is taken back and the next one is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solveh_banded
from scipy.ndimage import uniform_filter1d

from cinc_ecg.digitization import stroke
from cinc_ecg.digitization.normal import add_prior, add_slope_prior, edges_to_nodes, normal_band
from cinc_ecg.digitization.stroke import NODES_PER_COLUMN, Canvas, Drawing, Edges, Pen, Window

Real = NDArray[np.floating]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


#: A rival's cost per column must be lower by so much.
_RIVAL_HANDICAP = 1.0


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of the re-render correction.

    Attributes:
        iterations: Gauss-Newton steps.
        pen_turns: Steps before which the pen's width, blur and depth are refined too.
        bend_px: Second difference (per node) up to which the prior acts as a spring.
        foreign: Residual darkness beyond which a pixel counts as foreign ink.
        floor: Model error added to the noise, as darkness.
        longest_px: Greatest step of a node.
    """

    iterations: int = 5
    pen_turns: tuple[int, ...] = (1, 3)
    bend_px: float = 0.15
    foreign: float = 0.35
    floor: float = 0.06
    longest_px: float = 15.0


@dataclass(frozen=True, slots=True)
class Picture:
    """The pixels to be matched.

    Attributes:
        pixels: Window of columns.
        cover: Observed darkness less the backdrop.
        free: Share of the pixel that the backdrop leaves free.
        noise: Standard deviation of `cover`.
    """

    pixels: Window
    cover: Real
    free: Real
    noise: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted centre line at the nodes.

    Attributes:
        line: (n,) rows.
        precision: (n,) inverse variance of each node as the picture alone gives it, in 1/px^2.
        misfit: (columns,) rms residual over noise near the stroke.
        pen: The pen as refined.
    """

    line: F64
    precision: F64
    misfit: F64
    pen: Pen


@dataclass(frozen=True, slots=True)
class _State:
    line: F64
    edge: Edges
    drawing: Drawing
    model: Real
    residual: Real
    weight: Real
    cost: F64  # per column


@dataclass(frozen=True, slots=True)
class _Problem:
    picture: Picture
    paper: Canvas
    pen: Pen
    cut: Mask
    noise: float
    settings: FitSettings


def refine(
    picture: Picture,
    line: F64,
    pen: Pen,
    cut: Mask,
    settings: FitSettings = FitSettings(),
) -> Fit:
    """Fit the centre line to the picture.

    Args:
        picture: Pixels near the stroke.
        line: (n,) first guess at the nodes, finite.
        pen: Pen and blur.
        cut: (n,) True at nodes where one lead ends and the next begins.
        settings: See `FitSettings`.

    Returns:
        The fitted line; nowhere worse in its picture than the first guess.
    """
    noise = float(np.hypot(picture.noise, settings.floor))
    paper = stroke.canvas(picture.pixels, pen.blur)
    problem = _Problem(picture, paper, pen, cut, noise, settings)
    best_line, best_cost = line, np.full(len(picture.pixels.first), np.inf)
    damping = np.full(len(line), 1e-2)
    trial, band = line, np.zeros((1, len(line)))
    for turn in range(settings.iterations + 1):
        state = _evaluate(problem, trial)
        kept = _fell(best_cost, state.cost)
        best_line = np.where(kept, state.line, best_line)
        best_cost = np.where(kept[::NODES_PER_COLUMN], state.cost, best_cost)
        if turn == settings.iterations:
            break
        damping = np.where(kept, damping * 0.3, damping * 10.0)
        if turn in settings.pen_turns:
            problem = replace(problem, pen=_better_pen(problem, state))
        if turn in (0, 1, 3):  # the normal matrix changes slowly, the gradient is exact every time
            band = normal_band(state.edge, problem.pen, _worth(problem, state))
        trial = best_line + np.where(kept, _step(problem, state, damping, band), 0.0)
    return _summary(problem, state, best_line)


def better_guess(
    picture: Picture,
    line: F64,
    rival: F64,
    pen: Pen,
    cut: Mask,
    settings: FitSettings = FitSettings(),
) -> F64:
    """Of two first guesses take, stretch by stretch, the one whose stroke explains the picture.

    Args:
        picture, line, pen, cut, settings: As for `refine`.
        rival: (n,) the other guess.
    """
    noise = float(np.hypot(picture.noise, settings.floor))
    paper = stroke.canvas(picture.pixels, pen.blur)
    problem = _Problem(picture, paper, pen, cut, noise, settings)
    costs = [_evaluate(problem, guess).cost for guess in (line, rival)]
    return np.where(_fell(costs[0], costs[1] + _RIVAL_HANDICAP), rival, line)


def _evaluate(problem: _Problem, line: F64) -> _State:
    """Draw the line and compare it with the picture."""
    picture, settings, noise = problem.picture, problem.settings, problem.noise
    edge = stroke.edges(line, problem.pen.half)
    drawing = stroke.draw(edge, problem.paper, problem.pen.blur)
    model = stroke.render(drawing, problem.paper)
    residual = picture.cover - picture.free * np.float32(problem.pen.depth) * model
    limit = np.float32(max(settings.foreign, 3.0 * noise))
    odd = (residual / limit) ** 2
    weight = 1.0 / (1.0 + odd)
    loss = (limit / np.float32(noise)) ** 2 * np.log1p(odd)
    n_columns = len(picture.pixels.first)
    cost = np.bincount(picture.pixels.owner, weights=loss, minlength=n_columns)
    prior = np.zeros(NODES_PER_COLUMN * n_columns)
    prior[1 : len(line) - 1] = np.log1p((_bend(line, problem.cut) / settings.bend_px) ** 2)
    cost += prior.reshape(n_columns, NODES_PER_COLUMN).sum(axis=1)
    return _State(line, edge, drawing, model, residual, weight, cost.astype(np.float64))


def _bend(line: F64, cut: Mask) -> F64:
    """Return the second differences, 0 across cuts."""
    bend = np.diff(line, 2)
    bend[cut[:-2] | cut[1:-1] | cut[2:]] = 0.0
    return bend


def _fell(old: F64, new: F64) -> Mask:
    """Return per node whether the cost near it (over about a millimetre) fell."""
    change = uniform_filter1d(np.where(np.isfinite(old), new - old, -1.0), 9)
    nodes = np.repeat(change <= 0.0, NODES_PER_COLUMN)
    return nodes[: len(nodes) - NODES_PER_COLUMN + 1]


def _step(problem: _Problem, state: _State, damping: F64, matrix: F64) -> F64:
    """Solve the damped, banded normal equations."""
    scale = np.float32(problem.pen.depth / problem.noise**2)
    pull = state.residual * state.weight * problem.picture.free * scale
    on_edges = stroke.back_project(state.drawing, problem.paper, pull)
    gradient = edges_to_nodes(state.edge, on_edges)
    band = matrix.copy()
    data = matrix[0]
    bend = _bend(state.line, problem.cut)
    stiff = np.where(bend == 0.0, 0.0, 1.0) / (problem.settings.bend_px**2 + bend**2)
    add_prior(band, gradient, stiff, bend)
    seen = np.repeat(problem.picture.pixels.count > 0, NODES_PER_COLUMN)[1 : len(state.line)]
    blind = ~seen & ~problem.cut[1:] & ~problem.cut[:-1]
    add_slope_prior(band, gradient, np.where(blind, 1.0, 0.0), state.line)
    band[0] += damping * (data + 0.1 * np.median(data)) + 1e-6
    step = _solve(band, gradient, data)
    return np.clip(step, -problem.settings.longest_px, problem.settings.longest_px)


def _better_pen(problem: _Problem, state: _State) -> Pen:
    """Refine the pen's half-width, blur and depth by one damped least-squares step."""
    pen, paper = problem.pen, problem.paper
    wider = stroke.edges(state.line, pen.half + 0.1).at
    by_half = stroke.render_change(state.drawing, paper, (wider - state.edge.at) / 0.1)
    softer = stroke.draw(state.edge, paper, pen.blur + 0.05)
    by_blur = (stroke.render(softer, paper) - state.model) / np.float32(0.05)
    depth = np.float32(pen.depth)
    columns = np.stack([depth * by_half, depth * by_blur, state.model]) * problem.picture.free
    weighted = columns * state.weight
    normal = (weighted @ columns.T).astype(np.float64)
    right = (weighted @ state.residual).astype(np.float64)
    normal[np.diag_indices(3)] *= 1.05
    normal[np.diag_indices(3)] += 0.02 * len(state.residual) / 100.0
    step = np.clip(np.linalg.solve(normal, right), -0.3, 0.3)
    return Pen(
        float(np.clip(pen.half + step[0], 0.4, 6.0)),
        float(np.clip(pen.blur + step[1], 0.35, 3.5)),
        float(np.clip(pen.depth + step[2], 0.3, 1.8)),
    )


def _solve(band: F64, gradient: F64, data: F64) -> F64:
    """Solve, with more damping where the approximation is not positive definite."""
    for extra in (0.01, 0.3, 3.0):
        band[0] += extra * data
        try:
            step: F64 = solveh_banded(band, gradient, lower=True, check_finite=False)
        except LinAlgError:
            continue
        return step
    return np.zeros_like(gradient)


def _worth(problem: _Problem, state: _State) -> F64:
    """Return per node the mean weight of the pixels in its column (0 where there are none)."""
    pixels = problem.picture.pixels
    weights = state.weight * problem.picture.free**2
    total = np.bincount(pixels.owner, weights=weights, minlength=len(pixels.first))
    mean = total / np.maximum(pixels.count, 1) / problem.noise**2
    return np.repeat(mean, NODES_PER_COLUMN)[: len(state.line)]


def _summary(problem: _Problem, state: _State, line: F64) -> Fit:
    """Return the line with its precision and misfit (of the last state, close to the best)."""
    band = normal_band(state.edge, problem.pen, _worth(problem, state))
    pixels = problem.picture.pixels
    weights = state.residual.astype(np.float64) ** 2
    square = np.bincount(pixels.owner, weights=weights, minlength=len(pixels.first))
    misfit = np.sqrt(square / np.maximum(pixels.count, 1)) / problem.noise
    return Fit(line, band[0], misfit, problem.pen)
