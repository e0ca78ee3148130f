"""Losses between signals and between heat maps and traces.

Common rules. `estimate`, `target`: (..., T) mV; `mask`: same shape, true where a sample counts.
Each signal (the last axis) gives one number; the loss is the mean over the signals that have any
sample, 0 without any, its gradient then 0 and never NaN. What stands under a false mask, NaN
included, changes nothing. Each has its NumPy twin in `cinc_ecg.metrics.objectives`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from cinc_ecg.models.soft_dtw import soft_dtw

#: Power below which nothing is a signal, mV^2 (the square of 1 uV).
POWER_FLOOR_MV2 = 1e-6
#: Smallest tolerance of the ASCI, mV.
TOLERANCE_FLOOR_MV = 1e-3


def _clean(estimate: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return signals in at least float32 that are 0 outside the mask, and the mask as numbers."""
    dtype = torch.promote_types(torch.promote_types(estimate.dtype, target.dtype), torch.float32)
    keep = mask.bool()
    # `where` before any arithmetic: 0 * NaN would be NaN, forwards and backwards
    zero = torch.zeros((), dtype=dtype, device=estimate.device)
    clean = [torch.where(keep, x.to(dtype), zero) for x in (estimate, target)]
    return clean[0], clean[1], keep.to(dtype)


def _average(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over signals with any sample."""
    there = (mask.sum(-1) > 0).to(values.dtype)
    return (values * there).sum() / there.sum().clamp(min=1)


def _per_sample(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over a signal's samples."""
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def snr_loss(estimate: Tensor, target: Tensor, mask: Tensor, *, cap_db: float = 30.0) -> Tensor:
    """Return the negative signal-to-noise ratio in dB, which approaches -cap_db at best.

    -10 log10((S + e) / (N + t S + e)), S the mean target^2, N the mean (target - estimate)^2,
    t = 10^(-cap/10), e = 1e-6 mV^2. Without t S the gradient of a nearly perfect lead drowns all
    others. S is the target's power, as in the Challenge's evaluator (`metrics.official`); no mean
    is removed.
    """
    x, y, keep = _clean(estimate, target, mask)
    signal = _per_sample(y.square(), keep)
    noise = _per_sample((x - y).square(), keep)
    floor = POWER_FLOOR_MV2
    ratio = (signal + floor) / (noise + 10 ** (-cap_db / 10) * signal + floor)
    return _average(-10 * torch.log10(ratio), keep)


def mse_loss(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error in mV^2."""
    x, y, keep = _clean(estimate, target, mask)
    return _average(_per_sample((x - y).square(), keep), keep)


def rmse_loss(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the root mean square error in mV, smoothed near 0: sqrt(N + e) - sqrt(e).

    e = 1e-6 mV^2; the plain root has an infinite slope at a perfect fit.
    """
    x, y, keep = _clean(estimate, target, mask)
    power = _per_sample((x - y).square(), keep)
    root = torch.sqrt(power + POWER_FLOOR_MV2) - math.sqrt(POWER_FLOOR_MV2)
    return _average(root, keep)


def mae_loss(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute error in mV."""
    x, y, keep = _clean(estimate, target, mask)
    return _average(_per_sample((x - y).abs(), keep), keep)


def ks_loss(estimate: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the largest distance of the normalised cumulative sums of |x| over time, 0..1.

    1 minus the Challenge's KS metric (`metrics.official_extra.compute_ks_metric`): a curve over
    time, not a distribution of values. The gradient is that of the sample with the largest
    distance; through the normalisation it reaches all others.
    """
    x, y, keep = _clean(estimate, target, mask)
    curves = [torch.cumsum(z.abs(), -1) for z in (x, y)]
    totals = [curve[..., -1:] for curve in curves]
    shares = [
        curve / torch.where(total > 0, total, torch.ones_like(total))
        for curve, total in zip(curves, totals, strict=True)
    ]
    return _average((shares[0] - shares[1]).abs().amax(-1), keep)


def asci_loss(
    estimate: Tensor, target: Tensor, mask: Tensor, *, beta: float = 0.05, sharpness: float = 1.0
) -> Tensor:
    """Return 1 minus a soft ASCI, 0..2: mean of tanh(k (th - |e|) / th), th = beta * std(target).

    The Challenge's ASCI is the mean of +1 where |e| <= th, else -1
    (`metrics.official_extra.compute_asci_metric`; the idea is the adaptive signed correlation index
    of Lian et al., Signal Processing 2010). tanh saturates far from th, so start with beta near 1
    and anneal it to 0.05.

    Args:
        estimate, target, mask: See the module.
        beta: Tolerance in standard deviations.
        sharpness: k; the hard metric is its limit.
    """
    x, y, keep = _clean(estimate, target, mask)
    mean = _per_sample(y, keep)[..., None]
    std = _per_sample((y - mean).square(), keep).sqrt().detach()
    tolerance = (beta * std).clamp(min=TOLERANCE_FLOOR_MV)[..., None]
    closeness = torch.tanh(sharpness * (tolerance - (x - y).abs()) / tolerance)
    return _average(1 - _per_sample(closeness, keep), keep)


def soft_dtw_loss(
    estimate: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    gamma: float = 0.01,
    band: int = 25,
    max_samples: int = 1000,
) -> Tensor:
    """Return the soft-DTW divergence per sample in mV^2: 0 for equal signals, never below.

    D = sdtw(x, y) - (sdtw(x, x) + sdtw(y, y)) / 2, over the number of samples; plain soft-DTW can
    be negative and is not least where x = y (Blondel et al., AISTATS 2021, arXiv 2010.08354).
    Samples outside the mask are cut out, which joins what stands on either side.

    Args:
        estimate, target, mask: See the module.
        gamma: Softness in mV^2.
        band: Largest shift in samples, after thinning.
        max_samples: Longer signals are averaged in bins of equal size until they fit.
    """
    x, y, keep = _clean(estimate, target, mask)
    x, y, keep = (z.reshape(-1, z.shape[-1]) for z in (x, y, keep))
    bin_size = -(-x.shape[-1] // max_samples)
    if bin_size > 1:
        x, y, keep = _in_bins(x, y, keep, bin_size)
    # what counts moves to the front, in order
    order = torch.argsort(1 - keep, dim=-1, stable=True)
    x, y = x.gather(-1, order), y.gather(-1, order)
    lengths = keep.sum(-1).long()
    pairs = torch.cat([x, x, y.detach()]), torch.cat([y, x, y.detach()])
    cross, own, fixed = soft_dtw(*pairs, lengths.repeat(3), gamma=gamma, band=band).chunk(3)
    divergence = (cross - (own + fixed) / 2) / lengths.clamp(min=1)
    return _average(divergence, keep)


def _in_bins(x: Tensor, y: Tensor, keep: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    padded = [functional.pad(z, (0, -z.shape[-1] % size)) for z in (x, y, keep)]
    sums = [z.unflatten(-1, (-1, size)).sum(-1) for z in padded]
    count = sums[2].clamp(min=1)
    return sums[0] / count, sums[1] / count, (sums[2] > 0).to(keep.dtype)


def column_ce(
    heat: Tensor,
    row_y_px: Tensor,
    mask: Tensor,
    *,
    cell: tuple[int, int],
    sigma_px: float = 1.0,
    slope_share: float = 1 / math.sqrt(12),
) -> Tensor:
    """Return the Kullback-Leibler divergence of heat maps from a Gaussian about the trace, in nat.

    Per column the target is a Gaussian over the heat's cells with
    sigma^2 = (s + cell_y / 2)^2 + (slope_share * |dy/dx| * cell_x)^2: a column of a steep stroke
    holds ink over |dy/dx| pixels, and a uniform distribution of that height has a standard
    deviation of 1/sqrt(12) of it. Cross-entropy minus the target's entropy, so that 0 is best.

    Args:
        heat: (..., H', W') logits.
        row_y_px: (..., W) true y in picture pixels, W columns of cell_x-th of W'.
        mask: (..., W) true where the row is printed.
        cell: (y, x) picture pixels per heat cell.
        sigma_px: s.
        slope_share: Share of the slope that widens the target.
    """
    y_px, slope, keep = _columns(row_y_px, mask, cell[1], heat.shape[-1])
    heat = heat.to(torch.promote_types(heat.dtype, torch.float32))
    centres = (torch.arange(heat.shape[-2], device=heat.device, dtype=heat.dtype) + 0.5) * cell[0]
    sigma = ((sigma_px + cell[0] / 2) ** 2 + (slope_share * slope * cell[1]) ** 2).sqrt()
    away = (centres[:, None] - 0.5 - y_px[..., None, :]) / sigma[..., None, :]
    wanted = torch.log_softmax(-0.5 * away.square(), dim=-2)
    given = torch.log_softmax(heat, dim=-2)
    divergence = (wanted.exp() * (wanted - given)).sum(-2)
    return (divergence * keep).sum() / keep.sum().clamp(min=1)


def _columns(
    row_y_px: Tensor, mask: Tensor, cell_x: int, n_columns: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, |dy/dx| and presence per heat column: means over the columns that are masked in."""
    keep = mask.bool()
    y = torch.where(keep, row_y_px, torch.zeros_like(row_y_px))
    both = keep[..., 1:] & keep[..., :-1]
    step = torch.where(both, (y[..., 1:] - y[..., :-1]).abs(), torch.zeros_like(y[..., 1:]))
    number = both.to(y.dtype)
    # the mean of the steps on either side
    slope = functional.pad(step, (1, 0)) + functional.pad(step, (0, 1))
    slope = slope / (functional.pad(number, (1, 0)) + functional.pad(number, (0, 1))).clamp(min=1)
    shown = keep.to(y.dtype)
    fill = n_columns * cell_x - y.shape[-1]
    sums = [
        functional.pad(z, (0, max(fill, 0)))[..., : n_columns * cell_x]
        .unflatten(-1, (n_columns, cell_x))
        .sum(-1)
        for z in (y * shown, slope * shown, shown)
    ]
    count = sums[2].clamp(min=1)
    return sums[0] / count, sums[1] / count, (sums[2] > 0).to(y.dtype)


def row_y_loss(row_y_px: Tensor, target_px: Tensor, mask: Tensor, *, cell_x: int) -> Tensor:
    """Return the mean absolute error of the rows' y in pixels, over all columns printed.

    Args:
        row_y_px: (..., W') as read.
        target_px: (..., W) truth.
        mask: (..., W) true where the row is printed.
        cell_x: Picture columns per cell.
    """
    y_px, _, keep = _columns(target_px, mask, cell_x, row_y_px.shape[-1])
    return ((row_y_px - y_px).abs() * keep).sum() / keep.sum().clamp(min=1)


def row_visible_target(mask: Tensor, *, cell_x: int, n_columns: int) -> Tensor:
    """Return (..., W') 1 where at least half of a cell's columns (..., W) are printed."""
    fill = n_columns * cell_x - mask.shape[-1]
    shown = functional.pad(mask.to(torch.float32), (0, max(fill, 0)))[..., : n_columns * cell_x]
    return (shown.unflatten(-1, (n_columns, cell_x)).mean(-1) >= 0.5).to(torch.float32)
