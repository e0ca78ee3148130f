"""Banded soft dynamic time warping with a backward pass of its own.

Soft-DTW replaces the minimum in dynamic time warping by softmin_g(a) = -g log sum exp(-a / g), so
that the cost of the best alignment becomes differentiable (Cuturi and Blondel, ICML 2017,
arXiv 1703.01541):

    R[i, j] = (x_i - y_j)^2 + softmin_g(R[i-1, j-1], R[i-1, j], R[i, j-1])

The value is R[n-1, n-1], its derivative by the cost of a cell is the expected number of visits E.
Cells of one anti-diagonal k = i + j do not depend on each other, so both passes walk over the
anti-diagonals with all signals and all offsets o = i - j in [-band, band] at once. The softmin's
weights, needed by the backward pass, are found for all cells in one stroke from the stored R.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Stands for infinity: far above any cost, far below what float32 overflows on.
_FAR = 1e10


def soft_dtw(x: Tensor, y: Tensor, lengths: Tensor, *, gamma: float, band: int) -> Tensor:
    """Return the soft-DTW cost of aligning each x with its y, in squared units; may be negative.

    Args:
        x, y: (B, T); samples from a signal's length on are ignored.
        lengths: (B,) number of samples of both, at most T; 0 gives cost 0.
        gamma: Softness, in squared units.
        band: Largest |i - j| of an alignment (Sakoe-Chiba).

    Returns:
        (B,) costs, differentiable in x and y.
    """
    n_samples = x.shape[-1]
    band = min(band, n_samples - 1)
    k = torch.arange(2 * n_samples - 1, device=x.device)[:, None]
    offset = torch.arange(-band, band + 1, device=x.device)[None]
    i, j = (k + offset) // 2, (k - offset) // 2
    exists = ((k + offset) % 2 == 0) & (i >= 0) & (j >= 0) & (i < n_samples) & (j < n_samples)
    i, j = i.clamp(0, n_samples - 1), j.clamp(0, n_samples - 1)
    # (cells of a diagonal lie together: K, B, O)
    cost = (x.T[i] - y.T[j]).square().movedim(-1, 1)
    cost = torch.where(exists[:, None], cost, _FAR)
    value: Tensor = _AlignmentCost.apply(cost, lengths, gamma)
    return value


class _AlignmentCost(torch.autograd.Function):
    """R[n-1, n-1] as a function of the banded costs (K, B, O), o = 0 in the middle."""

    @staticmethod
    def forward(ctx: Any, cost: Tensor, lengths: Tensor, gamma: float) -> Tensor:
        """Fill S = -R / g diagonal after diagonal: S = -cost / g + log sum exp of three."""
        n_diagonals, n_batch, n_offsets = cost.shape
        score = cost / -gamma
        # two diagonals and one offset of padding on each side: no case at the borders
        table = cost.new_full((n_diagonals + 2, n_batch, n_offsets + 2), -_FAR / gamma)
        middle = n_offsets // 2
        table[2, :, middle + 1] = score[0, :, middle]
        for k in range(1, n_diagonals):
            before, last = table[k], table[k + 1]
            # torch.logsumexp and exp start threads, which costs more than it saves here
            total = torch.logaddexp(last[:, :-2], last[:, 2:])
            total = torch.logaddexp(total, before[:, 1:-1])
            torch.add(score[k], total, out=table[k + 2, :, 1:-1])
        table.clamp_(min=-_FAR / gamma)
        end = (2 * lengths - 2).clamp(min=0)
        value = table[end + 2, torch.arange(n_batch, device=cost.device), middle + 1] * -gamma
        ctx.save_for_backward(table, end, lengths)
        return torch.where(lengths > 0, value, torch.zeros_like(value))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Walk back: a cell is visited as often as its successors, times their share of it."""
        table, end, lengths = ctx.saved_tensors
        n_batch, n_offsets = table.shape[1], table.shape[2] - 2
        n_diagonals = table.shape[0] - 2
        middle = n_offsets // 2
        ways = torch.stack([table[:-2, :, 1:-1], table[1:-1, :, :-2], table[1:-1, :, 2:]])
        share = torch.softmax(ways, 0)
        # the first cell has no predecessor
        share[:, 0] = 0.0
        visits = table.new_zeros(n_diagonals + 2, n_batch, n_offsets + 2)
        seed = table.new_zeros(n_diagonals, n_batch)
        seed[end, torch.arange(n_batch, device=table.device)] = (lengths > 0).to(table.dtype)
        pad = functional.pad(share, (1, 1))
        for k in range(n_diagonals - 1, -1, -1):
            here = visits[k, :, 1:-1]
            here[:, middle] = seed[k]
            if k + 2 < n_diagonals:
                here.addcmul_(visits[k + 2, :, 1:-1], pad[0, k + 2, :, 1:-1])
            if k + 1 < n_diagonals:
                # own offset o is the (o+1)-cell's "one i less" and the (o-1)-cell's "one j less"
                here.addcmul_(visits[k + 1, :, 2:], pad[1, k + 1, :, 2:])
                here.addcmul_(visits[k + 1, :, :-2], pad[2, k + 1, :, :-2])
        return visits[:n_diagonals, :, 1:-1] * grad[:, None], None, None
