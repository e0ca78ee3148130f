"""What a strip network is trained to: own ink, the line as a distribution, visibility, error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cinc_ecg.models.strip_net import StripReading


@dataclass(frozen=True, slots=True)
class StripLossConfig:
    """Weights of the parts.

    Attributes:
        ink, heat, line, seen, sigma: Of cross entropy per pixel, cross entropy per node, distance
            of the mean from the line, cross entropy of visibility, and likelihood of the error.
        ink_weight: Weight of an inked pixel against a bare one.
        width_px: Standard deviation of the target on a level stretch.
        lean: How much wider it is per pixel of slope (per node).
        widest_px: Its limit.
    """

    ink: float = 2.0
    heat: float = 0.5
    line: float = 0.1
    seen: float = 0.3
    sigma: float = 0.05
    ink_weight: float = 4.0
    width_px: float = 0.7
    lean: float = 0.3
    widest_px: float = 8.0


@dataclass(frozen=True, slots=True)
class StripTargets:
    """The truth about a batch of strips.

    Attributes:
        line_px: (B, N) centre line.
        visible: (B, N) bool.
        ink: (B, H, W) own coverage, 0..1.
    """

    line_px: Tensor
    visible: Tensor
    ink: Tensor


def strip_loss(
    reading: StripReading,
    targets: StripTargets,
    config: StripLossConfig = StripLossConfig(),
    *,
    nodes: slice = slice(None),
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum and its parts.

    Args:
        reading: Of the network.
        targets: Truth.
        config: Weights.
        nodes: Nodes that count; half of them at a time cost half the time.
    """
    height = reading.heat_logit.shape[1]
    seen = targets.visible[:, nodes].float()
    line = targets.line_px[:, nodes]
    n_seen = seen.sum().clamp(min=1.0)
    inside = ((line > -1.0) & (line < height)).float()
    ink = (targets.ink > 0.3).float()
    parts = {"ink": _ink_loss(reading.ink_logit.float(), ink, config.ink_weight)}
    log_share = reading.heat_logit[:, :, nodes].float().log_softmax(1)
    wanted = _heat_target(targets.line_px, height, nodes, config)
    parts["heat"] = -((wanted * log_share).sum(1) * seen).sum() / n_seen
    row = torch.arange(height, device=log_share.device, dtype=torch.float32)
    error = torch.einsum("bhn,h->bn", log_share.exp(), row) - line
    parts["line"] = (F.huber_loss(error, torch.zeros_like(error), reduction="none") * seen).sum()
    parts["line"] = parts["line"] / n_seen
    judged = F.binary_cross_entropy_with_logits(
        reading.visible_logit[:, nodes], seen, reduction="none"
    )
    parts["seen"] = (judged * inside).sum() / inside.sum().clamp(min=1.0)
    away = error.detach().abs().clamp(max=200.0)
    log_sigma = reading.log_sigma[:, nodes]
    likelihood = log_sigma + away * torch.exp(-log_sigma)
    parts["sigma"] = (likelihood * seen).sum() / n_seen
    total = sum((getattr(config, name) * value for name, value in parts.items()), torch.zeros(()))
    return total, parts


def _ink_loss(logit: Tensor, ink: Tensor, weight: float) -> Tensor:
    """Return cross entropy plus one minus the soft overlap (Dice) of each strip."""
    factor = torch.tensor(weight, device=logit.device)
    entropy = F.binary_cross_entropy_with_logits(logit, ink, pos_weight=factor)
    share = logit.sigmoid()
    common = (share * ink).sum((1, 2))
    dice = (2.0 * common + 50.0) / (share.sum((1, 2)) + ink.sum((1, 2)) + 50.0)
    return entropy + 0.1 * (1.0 - dice).mean()


def _heat_target(line: Tensor, height: int, nodes: slice, config: StripLossConfig) -> Tensor:
    """Return a Gaussian over rows per node, wider where the line is steep."""
    slope = torch.zeros_like(line)
    slope[:, 1:-1] = (line[:, 2:] - line[:, :-2]).abs() / 2.0
    width = torch.hypot(torch.full_like(slope, config.width_px), config.lean * slope)
    width = width.clamp(max=config.widest_px)[:, nodes]
    line = line[:, nodes]
    row = torch.arange(height, device=line.device, dtype=torch.float32)[None, :, None]
    share = torch.exp(-0.5 * ((row - line[:, None]) / width[:, None]) ** 2)
    return share / share.sum(1, keepdim=True).clamp(min=1e-6)
