"""Solve windows of time in which several panels show the same voltages.

Limb leads printed at the same time are six views of two voltages (Einthoven, Goldberger), a lead
printed twice is two views of one. Each window gets small offsets in time and level between its
panels, then a least-squares fit per sample with weights 1/sigma^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from cinc_ecg.digitization.assemble import panel_samples
from cinc_ecg.leads import LIMB_COEFFICIENTS
from cinc_ecg.signals import fill_gaps
from cinc_ecg.types import FloatArray, LeadTrace, Panel, Signal

#: Panels belong to one window when they start and end this close together.
_SAME_TIME_S = 0.12
_SHORTEST_S = 0.5
#: Panels are misplaced by about this much (standard deviation) and at most by the limit.
_OFFSET_S, _LARGEST_OFFSET_S = 0.002, 0.010
#: Levels are known to about this much.
_LEVEL_MV = 1.0
#: Errors hold over this long, plus this share of the lead's typical error; a bridged or held
#: sample is wrong by about the lead's own standard deviation.
_SMEAR_S, _COMMON, _GUESS = 0.02, 0.5, 1.0
_SMALLEST_SIGMA_MV, _UNKNOWN_MV = 1e-3, 100.0
_SMOOTHING_S = 0.003
#: Standard error from which there is nothing more to lose.
_LOST_MV = 1e3


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time and the panels that run all through it.

    Attributes:
        panels: Indices of the k panels.
        model: (k, d) coefficients of the panels in d independent voltages.
        first, length: First sample and number of samples, n.
    """

    panels: tuple[int, ...]
    model: FloatArray
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class Fit:
    """A solved window.

    Attributes:
        change: (n, k) what brings each aligned reading onto the fit, in mV.
        error: (n, k) standard error of the fit, in mV.
        chi2, dof: (n,) weighted squared residual of each sample and its degrees of freedom.
        values, sigma: (n, k) readings as they came, and their errors, in mV.
        known: (n, k) True where there was a reading.
        offsets_s: (k,) by how much each panel is late.
    """

    change: FloatArray
    error: FloatArray
    chi2: FloatArray
    dof: FloatArray
    values: FloatArray
    sigma: FloatArray
    known: NDArray[np.bool_]
    offsets_s: FloatArray


def windows_of(panels: Sequence[Panel], fs_hz: float, n_samples: int) -> list[Window]:
    """List the windows in which limb leads, or copies of one lead, say more than needed.

    A column of short panels makes a window; rhythm strips that run through it belong to it.
    """
    spans = np.array([(p.start_s, p.start_s + p.duration_s) for p in panels]).reshape(-1, 2)

    def covers(k: int, span: FloatArray) -> bool:
        return bool(spans[k, 0] < span[0] + _SAME_TIME_S and spans[k, 1] > span[1] - _SAME_TIME_S)

    columns: list[FloatArray] = []
    for k in sorted(range(len(panels)), key=lambda j: panels[j].duration_s):
        if not any(covers(k, column) for column in columns):
            columns.append(spans[k])
    windows = []
    for column in columns:
        groups: dict[str, list[int]] = {}
        for k, panel in enumerate(panels):
            if covers(k, column):
                lead = "limb" if panel.lead in LIMB_COEFFICIENTS else panel.lead
                groups.setdefault(lead, []).append(k)
        for group in groups.values():
            model = common_model([panels[k].lead for k in group])
            first = int(np.ceil(spans[group, 0].max() * fs_hz - 1e-6))
            stop = min(int(np.ceil(spans[group, 1].min() * fs_hz - 1e-6)), n_samples)
            if len(group) > model.shape[1] and stop - first >= _SHORTEST_S * fs_hz:
                windows.append(Window(tuple(group), model, first, stop - first))
    return windows


def common_model(leads: Sequence[str]) -> FloatArray:
    """Return the leads as coefficients (k, d) of d independent voltages, d as small as can be."""
    if not leads:
        return np.zeros((0, 0))
    rows = np.array([LIMB_COEFFICIENTS.get(lead, (1.0, 0.0)) for lead in leads])
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * s[0]])


def solve(
    window: Window, panels: Sequence[Panel], traces: Sequence[LeadTrace], signal: Signal
) -> Fit:
    """Find offsets in time and level, then the fit per sample.

    A panel that is late by dt differs from the others' fit by -dt times its slope, so offsets and
    levels come from linear least squares on what the fit leaves over, twice.
    """
    offsets = np.zeros(len(window.panels))
    values, sigma, known = _read(window, panels, traces, signal, offsets)
    raw, raw_sigma = values, sigma
    for _ in range(2):
        rough = values - np.median(values, 0)
        slope = _slope(window.model, rough, sigma, signal.fs_hz)
        step, _ = _offsets(window.model, rough, sigma, slope)
        offsets = np.clip(offsets - step, -_LARGEST_OFFSET_S, _LARGEST_OFFSET_S)
        values, sigma, known = _read(window, panels, traces, signal, offsets)
    values -= np.median(values, 0)
    _, levels = _offsets(window.model, values, sigma, np.zeros_like(values))
    values -= levels
    hat, error = _hat(window.model, sigma)
    residual = values - np.einsum("nij,nj->ni", hat, values)
    chi2 = (residual**2 / sigma**2).sum(1)
    dof = np.maximum(known.sum(1) - window.model.shape[1], 0).astype(float)
    return Fit(-residual, error, chi2, dof, raw, raw_sigma, known, offsets)


def _read(
    window: Window,
    panels: Sequence[Panel],
    traces: Sequence[LeadTrace],
    signal: Signal,
    offsets_s: FloatArray,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Sample the window's panels `offsets_s` later; gaps are bridged and hardly count.

    Returns:
        Values, standard errors, and which of them are readings at all, each (n, k).
    """
    values, errors = np.zeros((2, window.length, len(window.panels)))
    known, seen = np.zeros((2, *values.shape), bool)
    for column, (k, offset) in enumerate(zip(window.panels, offsets_s, strict=True)):
        panel = panels[k]
        moved = (panel.box_mm[0] + offset * panel.mm_per_s, *panel.box_mm[1:])
        first, level, error = panel_samples(
            replace(panel, box_mm=moved), traces[k], signal.fs_hz, len(signal.samples_mv)
        )
        inside = slice(window.first - first, window.first - first + window.length)
        level, error = level[inside], error[inside]
        known[: len(level), column] = np.isfinite(level)
        seen[: len(level), column] = (
            np.isfinite(level + error)
            & _visible(traces[k], panel, window, signal.fs_hz)[: len(level)]
        )
        values[: len(level), column] = fill_gaps(level)
        errors[: len(level), column] = error
    width = max(round(_SMEAR_S * signal.fs_hz), 1)
    typical = np.sqrt(np.mean(np.where(seen, errors, 0.0) ** 2, 0) / np.maximum(seen.mean(0), 1e-9))
    smeared = uniform_filter1d(np.where(seen, errors, typical) ** 2, width, axis=0)
    sigma = np.sqrt(smeared + (_COMMON * typical) ** 2 + _SMALLEST_SIGMA_MV**2)
    # A lead that is all gaps never moves.
    guess = np.where(known, np.maximum(_GUESS * values.std(0), _SMALLEST_SIGMA_MV), _UNKNOWN_MV)
    return values, np.where(seen, sigma, guess), known


def _visible(trace: LeadTrace, panel: Panel, window: Window, fs_hz: float) -> NDArray[np.bool_]:
    """Tell for each sample of a window whether its ink was seen."""
    time = (window.first + np.arange(window.length)) / fs_hz - panel.start_s
    at = (panel.box_mm[0] + time * panel.mm_per_s - trace.x0_mm) / trace.step_mm
    return trace.visible[np.clip(np.rint(at).astype(int), 0, len(trace.visible) - 1)]


def _hat(model: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return per sample the matrix that fits readings (n, k, k), and the fit's standard errors."""
    # Neither a lead that is lost nor one that never moves may make the normal equations singular.
    bounded = np.clip(sigma, _SMALLEST_SIGMA_MV, _LOST_MV)
    weighted = model[None] / bounded[:, :, None] ** 2
    covariance = np.linalg.inv(np.einsum("ki,nkj->nij", model, weighted))
    spread = np.einsum("ki,nij->nkj", model, covariance)
    hat = np.einsum("nki,nji->nkj", spread, weighted)
    return hat, np.sqrt(np.einsum("nki,ki->nk", spread, model))


def _slope(model: FloatArray, values: FloatArray, sigma: FloatArray, fs_hz: float) -> FloatArray:
    """Return the fit's slope in mV/s, lightly smoothed."""
    fitted = np.einsum("nij,nj->ni", _hat(model, sigma)[0], values)
    return np.gradient(gaussian_filter1d(fitted, _SMOOTHING_S * fs_hz, axis=0), axis=0) * fs_hz


def _offsets(
    model: FloatArray, values: FloatArray, sigma: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return each panel's offset in seconds and level in mV from linear least squares.

    What all panels share cannot be seen; the priors leave it at zero. Samples that fit badly count
    less (Huber's weights).
    """
    k = values.shape[1]
    hat, _ = _hat(model, sigma)
    leftover = (np.eye(k) - hat) / sigma[:, :, None]
    design = np.concatenate([leftover * slope[:, None, :], leftover], 2)
    data = np.einsum("nij,nj->ni", leftover, values)
    prior = np.repeat([_OFFSET_S**-2.0, _LEVEL_MV**-2.0], k)
    solution = np.zeros(2 * k)
    for _ in range(4):
        misfit = np.sqrt(((data - design @ solution) ** 2).sum(1))
        weight = 1.0 / np.maximum(misfit / max(float(np.median(misfit)), 1e-12) / 2.0, 1.0)
        normal = np.einsum("n,nij,nik->jk", weight, design, design, optimize=True)
        wanted = np.einsum("n,nij,ni->j", weight, design, data, optimize=True)
        solution = np.linalg.solve(normal + np.diag(prior), wanted)
    return solution[:k], solution[k:]
