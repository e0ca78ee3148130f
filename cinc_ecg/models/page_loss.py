"""What a page network is trained to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cinc_ecg.models.page_net import PageReading


@dataclass(frozen=True, slots=True)
class PageLossConfig:
    """Weights of the parts, and of what is rare against what is common.

    Attributes:
        trace, names, leads, page, marks, phase, turn: Of traces, whether a lead name is there,
            which one it is (over the cells of names alone), paper, pulses and ticks, lattice phase,
            orientation.
        trace_weight, name_weight, mark_weight: Of a cell that holds the thing against one that
            does not.
    """

    trace: float = 1.0
    names: float = 2.0
    leads: float = 0.6
    page: float = 0.3
    marks: float = 0.5
    phase: float = 1.0
    turn: float = 0.4
    trace_weight: float = 3.0
    name_weight: float = 10.0
    mark_weight: float = 5.0


@dataclass(frozen=True, slots=True)
class PageTargets:
    """The truth about pages; shapes as in `PageReading`.

    Attributes:
        trace: (B, 2 h, 2 w) 0 or 1.
        names: (B, h, w) class, -1 where it does not count.
        page, pulse, separator: (B, h, w) 0 or 1.
        phase: (B, 4, h, w), zero where there is no grid.
        turn: (B,) class of the orientation.
    """

    trace: Tensor
    names: Tensor
    page: Tensor
    pulse: Tensor
    separator: Tensor
    phase: Tensor
    turn: Tensor


def page_loss(
    reading: PageReading, targets: PageTargets, config: PageLossConfig = PageLossConfig()
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum and its parts."""
    parts = {
        "trace": _mask_loss(reading.trace_logit, targets.trace, config.trace_weight),
        **_name_losses(reading.name_logit, targets.names, config.name_weight),
        "page": _mask_loss(reading.page_logit, targets.page, 1.0),
        "marks": _mask_loss(reading.pulse_logit, targets.pulse, config.mark_weight)
        + _mask_loss(reading.separator_logit, targets.separator, config.mark_weight),
        "phase": F.mse_loss(reading.phase, targets.phase),
        "turn": F.cross_entropy(reading.orientation_logit, targets.turn),
    }
    total = sum((getattr(config, name) * value for name, value in parts.items()), torch.zeros(()))
    return total, parts


def _mask_loss(logit: Tensor, wanted: Tensor, weight: float) -> Tensor:
    factor = torch.tensor(weight, device=logit.device)
    return F.binary_cross_entropy_with_logits(logit, wanted.float(), pos_weight=factor)


def _name_losses(logit: Tensor, wanted: Tensor, weight: float) -> dict[str, Tensor]:
    """Return the cross entropies of "a name" and of "which lead"; zero where no cell counts.

    One cross entropy over all classes would hardly tell leads apart: few cells hold a name.
    """
    some = logit[:, 1:].logsumexp(1) - logit[:, 0]
    named = (wanted > 0).float()
    counts = (wanted >= 0).float()
    factor = torch.tensor(weight, device=logit.device)
    there = F.binary_cross_entropy_with_logits(some, named, pos_weight=factor, reduction="none")
    which = F.cross_entropy(logit[:, 1:], (wanted - 1).clamp(min=0), reduction="none")
    return {
        "names": (there * counts).sum() / counts.sum().clamp(min=1.0),
        "leads": (which * named).sum() / named.sum().clamp(min=1.0),
    }
