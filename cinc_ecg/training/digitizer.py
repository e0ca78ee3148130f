"""Train the network that reads strips, on strips drawn while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cinc_ecg.data.render_torch import StripBatch, render_strips
from cinc_ecg.data.signal_pool import SignalPool
from cinc_ecg.data.strip_scene import StripSettings, draw_scene
from cinc_ecg.models.readers import PACKAGED
from cinc_ecg.models.strip_card import load_strip_net, save_strip_net
from cinc_ecg.models.strip_loss import StripLossConfig, StripTargets, strip_loss
from cinc_ecg.models.strip_net import StripNet, StripNetConfig, StripReading
from cinc_ecg.training.digitizer_run import (
    LATEST,
    DigitizerResult,
    RunConfig,
    Watch,
    check_device,
    collect_signals,
    set_threads,
    start_folder,
    take_weights,
    train_network,
)

__all__ = [
    "LATEST",
    "DigitizerConfig",
    "DigitizerResult",
    "check_device",
    "collect_signals",
    "read_batch",
    "set_threads",
    "train_digitizer",
]
#: Mirror images of a batch.
_IMAGES = 4


@dataclass(frozen=True, slots=True)
class DigitizerConfig(RunConfig):
    """A training run of the strip reader; every batch is used as it is, mirrored, turned, and both.

    Attributes:
        net, loss, strips: Network, loss and strips.
    """

    net: StripNetConfig = field(default_factory=StripNetConfig)
    loss: StripLossConfig = field(default_factory=StripLossConfig)
    strips: StripSettings = field(default_factory=StripSettings)


def train_digitizer(
    pool: SignalPool,
    out: Path,
    config: DigitizerConfig = DigitizerConfig(),
    *,
    device: str = "cpu",
    resume: bool = False,
    stop_after: int | None = None,
    watch: Watch | None = None,
) -> DigitizerResult:
    """Train a strip network and write it with its card.

    Args:
        pool: Recordings to draw; the caller has taken out what is held out.
        out, device, resume, stop_after, watch: As in `train_network`, which names the errors.
        config: The run.
    """
    task = StripTask(pool, config)
    return train_network(
        task, out, device=device, resume=resume, stop_after=stop_after, watch=watch
    )


class StripTask:
    """A strip network and the strips it learns from."""

    def __init__(self, pool: SignalPool, config: DigitizerConfig) -> None:
        self.pool, self.config = pool, config
        torch.manual_seed(config.seed)
        self.net = StripNet(config.net)
        if config.init:
            take_weights(self.net, load_strip_net(start_folder(config.init, PACKAGED))[0])
        self._drawn: tuple[int, StripBatch] | None = None

    def losses(self, step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a step and its parts."""
        batch = self._batch(step, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.half):
            reading = read_batch(self.net, batch)
        targets = StripTargets(batch.line_px, batch.visible, batch.ink)
        half = slice((step + step // _IMAGES) % 2, None, 2)
        return strip_loss(reading, targets, self.config.loss, nodes=half)

    def _batch(self, step: int, device: torch.device) -> StripBatch:
        """Return the strips of a step; each batch is used in its four mirror images."""
        number, image = divmod(step, _IMAGES)
        if self._drawn is None or self._drawn[0] != number:
            first = number * self.config.batch
            scenes = [
                draw_scene(self.pool, self.config.strips, self.config.seed, first + k)
                for k in range(self.config.batch)
            ]
            self._drawn = (number, render_strips(scenes, device))
        batch = self._drawn[1]
        batch = batch.mirrored() if image % 2 else batch
        return batch.turned() if image >= _IMAGES // 2 else batch

    def export(
        self, out: Path, average: dict[str, Tensor], training: dict[str, Any], figures: Any
    ) -> None:
        """Write the averaged network with its card."""
        net = StripNet(self.config.net)
        net.load_state_dict(average)
        strips = -(-training["steps"] // _IMAGES) * self.config.batch
        save_strip_net(out, net, {"strips": strips, **training}, figures)


def read_batch(net: StripNet, batch: StripBatch) -> StripReading:
    """Run the network on rendered strips."""
    reading: StripReading = net(
        batch.pixels, batch.baseline_px, batch.above_px, batch.below_px, batch.px_per_mm
    )
    return reading
