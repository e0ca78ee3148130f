"""Train the network that looks at whole pages, on pages drawn while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cinc_ecg.data.page_crop import PageCrop, PageFeed
from cinc_ecg.data.page_scene import PageSceneSettings
from cinc_ecg.data.signal_pool import SignalPool
from cinc_ecg.models.page_card import load_page_net, save_page_net
from cinc_ecg.models.page_loss import PageLossConfig, PageTargets, page_loss
from cinc_ecg.models.page_net import PageNet, PageNetConfig
from cinc_ecg.models.readers import PACKAGED_PAGES
from cinc_ecg.training.digitizer_run import (
    DigitizerResult,
    RunConfig,
    Watch,
    start_folder,
    take_weights,
    train_network,
)

#: Steps after which small and large crops come again.
_CYCLE = 3


@dataclass(frozen=True, slots=True)
class PageReaderConfig(RunConfig):
    """A training run of the page reader; `batch` is that of its large crops.

    Attributes:
        net, loss, pages: Network, loss and pages.
    """

    batch: int = 24
    average: float = 0.998
    net: PageNetConfig = field(default_factory=PageNetConfig)
    loss: PageLossConfig = field(default_factory=PageLossConfig)
    pages: PageSceneSettings = field(default_factory=PageSceneSettings)


def train_page_reader(
    pool: SignalPool,
    out: Path,
    config: PageReaderConfig = PageReaderConfig(),
    *,
    device: str = "cpu",
    resume: bool = False,
    stop_after: int | None = None,
    watch: Watch | None = None,
) -> DigitizerResult:
    """Train a page network and write it with its card.

    Args:
        pool: Recordings to draw; the caller has taken out what is held out.
        out, device, resume, stop_after, watch: As in `train_network`, which names the errors.
        config: The run.
    """
    task = PageTask(pool, config)
    return train_network(
        task, out, device=device, resume=resume, stop_after=stop_after, watch=watch
    )


class PageTask:
    """A page network and the crops it learns from."""

    def __init__(self, pool: SignalPool, config: PageReaderConfig) -> None:
        self.pool, self.config = pool, config
        torch.manual_seed(config.seed)
        self.net = PageNet(config.net)
        if config.init:
            take_weights(self.net, load_page_net(start_folder(config.init, PACKAGED_PAGES))[0])
        self.feed = PageFeed(pool, config.pages, config.seed)

    def losses(self, step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a step and its parts."""
        # Which lead a name is takes far longer to learn than anything else: two steps of three are
        # spent on twice as many small crops about names.
        batch = self.config.batch
        first = batch * (5 * (step // _CYCLE) + 2 * (step % _CYCLE))
        names = step % _CYCLE < _CYCLE - 1
        n = 2 * batch if names else batch
        crops = [self.feed.crop(first + k, about_name=names) for k in range(n)]
        pixels, targets = collate(crops, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.half):
            reading = self.net(pixels)
        return page_loss(reading, targets, self.config.loss)

    def export(
        self, out: Path, average: dict[str, Tensor], training: dict[str, Any], figures: Any
    ) -> None:
        """Write the averaged network with its card."""
        net = PageNet(self.config.net)
        net.load_state_dict(average)
        cycles, rest = divmod(training["steps"], _CYCLE)
        crops = self.config.batch * (5 * cycles + 2 * rest)
        drawn = {"crops": crops, "pages": crops // self.config.pages.per_plate}
        save_page_net(out, net, {**drawn, **training}, figures)


def collate(crops: list[PageCrop], device: torch.device) -> tuple[Tensor, PageTargets]:
    """Stack crops: (B, 3, n, n) pixels in 0..1 and their targets."""

    def stacked(name: str) -> Tensor:
        values = np.stack([getattr(crop, name) for crop in crops])
        return torch.from_numpy(values).to(device)

    pixels = stacked("pixels").permute(0, 3, 1, 2).float() / 255.0
    maps = {name: stacked(name).float() for name in ("trace", "page", "pulse", "separator")}
    turn = torch.tensor([crop.turn for crop in crops], device=device)
    return pixels, PageTargets(names=stacked("names"), phase=stacked("phase"), turn=turn, **maps)
