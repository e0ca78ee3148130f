"""Losses of multi-label classification: one sigmoid per class, unknown labels masked out.

`logits`, `labels`, `mask`: (B, classes). The loss is the mean over known labels, 0 without any.
Twins in `cinc_ecg.metrics.objectives`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def _known_mean(values: Tensor, mask: Tensor) -> Tensor:
    keep = mask.to(values.dtype)
    return (values * keep).sum() / keep.sum().clamp(min=1)


def _clean(logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    keep = mask.bool()
    zero = torch.zeros((), dtype=logits.dtype, device=logits.device)
    return torch.where(keep, logits, zero), torch.where(keep, labels.to(logits.dtype), zero)


def bce_loss(
    logits: Tensor, labels: Tensor, mask: Tensor, *, pos_weight: Tensor | None = None
) -> Tensor:
    """Return binary cross-entropy: -(w y log p + (1 - y) log(1 - p)).

    Args:
        logits, labels, mask: See the module.
        pos_weight: (classes,) w, commonly negatives per positive of the training set.
    """
    logits, labels = _clean(logits, labels, mask)
    values = functional.binary_cross_entropy_with_logits(
        logits, labels, pos_weight=pos_weight, reduction="none"
    )
    return _known_mean(values, mask)


def focal_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """Return the focal loss: -a_t (1 - p_t)^g log p_t (Lin et al., arXiv 1708.02002).

    p_t is the probability of what is true.

    Args:
        logits, labels, mask: See the module.
        gamma: How much the easy cases count less.
        alpha: Weight of positives, 1 - alpha of negatives; None = 1 for both. Beware: the 0.25 of
            the paper weights rare positives down, as its detector needed; diagnoses do not.
    """
    logits, labels = _clean(logits, labels, mask)
    cross = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    p = torch.sigmoid(logits)
    wrong = labels * (1 - p) + (1 - labels) * p
    values = cross * wrong.pow(gamma)
    if alpha is not None:
        values = values * (alpha * labels + (1 - alpha) * (1 - labels))
    return _known_mean(values, mask)


def asymmetric_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
) -> Tensor:
    """Return the asymmetric loss (Ridnik et al., arXiv 2009.14119).

    Positives: -(1 - p)^g+ log p. Negatives: -q^g- log(1 - q) with q = max(p - clip, 0), so that
    easy negatives, of which multi-label data are full, count nothing.

    Args:
        logits, labels, mask: See the module.
        gamma_pos, gamma_neg: Focusing of positives and of negatives.
        clip: Probability by which negatives are shifted.
    """
    logits, labels = _clean(logits, labels, mask)
    p = torch.sigmoid(logits)
    positive = -functional.logsigmoid(logits) * (1 - p).pow(gamma_pos)
    q = (p - clip).clamp(min=0)
    negative = -torch.log1p(-q.clamp(max=1 - 1e-7)) * q.pow(gamma_neg)
    return _known_mean(labels * positive + (1 - labels) * negative, mask)
