"""The learning rate as a function of how much of the run is over, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cinc_ecg.training.config import OptimizerConfig, ScheduleConfig

_ONECYCLE_START = 0.04


def rate_factor(config: ScheduleConfig, progress: float) -> float:
    """Return the learning rate over its peak.

    A function of progress alone, so that a run with a time budget anneals in time and a resumed
    run continues exactly.

    Args:
        config: Kind and ends.
        progress: Share of the run that is over, 0..1.
    """
    progress = min(max(progress, 0.0), 1.0)
    if config.kind == "constant":
        return 1.0
    warmup = config.warmup
    if progress < warmup:
        share = progress / warmup
        if config.kind == "cosine":
            return max(share, _ONECYCLE_START)
        return _between(_ONECYCLE_START, 1.0, share)
    return _between(1.0, config.final, (progress - warmup) / max(1 - warmup, 1e-9))


def _between(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def make_optimizer(
    network: nn.Module, backbone: nn.Module, loss: nn.Module, config: OptimizerConfig
) -> torch.optim.AdamW:
    """Return AdamW; biases, normalisation and loss weights do not decay."""
    in_backbone = {id(parameter) for parameter in backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module, is_loss in ((network, False), (loss, True)):
        for parameter in module.parameters():
            if parameter.requires_grad:
                factor = config.backbone_lr if id(parameter) in in_backbone else 1.0
                decay = 0.0 if is_loss or parameter.ndim < 2 else config.weight_decay
                groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": decay, "lr": config.lr * factor, "factor": factor}
            for (factor, decay), members in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, each with its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


class Ema:
    """An exponential average of a network's weights.

    Args:
        network: Whose weights are averaged.
        decay: Share of the average that stays at each step; smaller during the first steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.average = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the network's present weights into the average."""
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value.detach(), 1 - decay)
            else:
                self.average[key].copy_(value)

    def state(self) -> dict[str, object]:
        """Return what `restore` takes."""
        return {"n_updates": self.n_updates, "average": self.average}

    def restore(self, state: dict[str, object]) -> None:
        """Continue from `state`."""
        self.n_updates = int(state["n_updates"])  # type: ignore[call-overload]
        average: dict[str, Tensor] = state["average"]  # type: ignore[assignment]
        for key, value in average.items():
            self.average[key].copy_(value)


@contextmanager
def averaged(network: nn.Module, ema: Ema | None) -> Iterator[None]:
    """Let the network hold the averaged weights for a while."""
    if ema is None:
        yield
        return
    own = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.load_state_dict(ema.average)
    try:
        yield
    finally:
        network.load_state_dict(own)
