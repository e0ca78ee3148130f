"""Readers by name, and the learned strip reader: a network says which ink is the trace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from cinc_ecg.digitization.prior import StripPrior
from cinc_ecg.digitization.read_page import ClassicalPageReader
from cinc_ecg.digitization.read_strips import ClassicalStripReader, StripReaderSettings
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.models.page_card import CARD as PAGE_CARD
from cinc_ecg.models.page_reader import load_page_reader
from cinc_ecg.models.strip_card import CARD as STRIP_CARD
from cinc_ecg.models.strip_card import load_strip_net
from cinc_ecg.models.strip_net import StripNet
from cinc_ecg.types import PageReader, RowTrace, Strip, StripReader

_LOG = logging.getLogger(__name__)
#: Weights that come with the package.
PACKAGED = Path(__file__).resolve().parents[1] / "weights" / "strips"
PACKAGED_PAGES = PACKAGED.with_name("pages")
#: What "default" means, for strips and for pages.
DEFAULT = "learned"
DEFAULT_PAGES = "learned"
#: Level of a neighbour that is not there, in mm.
_NO_NEIGHBOUR_MM = 80.0


class LearnedStripReader:
    """Reads rows with a trained network's help; implements `cinc_ecg.types.StripReader`.

    Strips go through the network one by one, so the result does not depend on how many there are or
    in which order they come.

    Args:
        net: The network.
        settings: Of the classical reader that does the rest.
        device: Where the network runs.
    """

    def __init__(
        self,
        net: StripNet,
        settings: StripReaderSettings | None = None,
        device: str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.net = net.to(self.device).eval()
        self.classical = ClassicalStripReader(settings or StripReaderSettings())

    def read(self, strips: Sequence[Strip]) -> list[RowTrace]:
        """Return one trace per strip, in their order."""
        levels = [strip.baseline_mm for strip in strips]
        priors = side_by_side(lambda strip: self.prior(strip, levels), strips)
        return self.classical.read(strips, priors)

    def prior(self, strip: Strip, levels_mm: Sequence[float]) -> StripPrior:
        """Return what the network says about a strip; on the processor once a GPU's memory is full.

        Args:
            strip: A rectified row.
            levels_mm: Baselines of all rows of the page.
        """
        try:
            return self._prior(strip, levels_mm)
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
            _LOG.warning("the GPU's memory is full; reading on the processor")
            self.device = torch.device("cpu")
            self.net.to(self.device)
            return self._prior(strip, levels_mm)

    @torch.inference_mode()
    def _prior(self, strip: Strip, levels_mm: Sequence[float]) -> StripPrior:
        scale = strip.px_per_mm
        places = levels_px(strip, levels_mm)
        numbers = [torch.tensor([v], device=self.device, dtype=torch.float32) for v in places]
        pixels = torch.from_numpy(np.ascontiguousarray(strip.pixels)).to(self.device)
        pixels = pixels.permute(2, 0, 1)[None]
        scales = torch.tensor([scale], device=self.device, dtype=torch.float32)
        with torch.autocast(self.device.type, torch.bfloat16):
            reading = self.net(pixels, *numbers, scales)
        return StripPrior(
            ink=reading.ink_logit[0].float().sigmoid().cpu().numpy(),
            line_px=reading.line_px()[0].double().cpu().numpy(),
            sigma_px=reading.log_sigma[0].exp().double().cpu().numpy(),
            visible=reading.visible_logit[0].sigmoid().double().cpu().numpy(),
        )


def levels_px(strip: Strip, levels_mm: Sequence[float]) -> tuple[float, float, float]:
    """Return the levels of a strip's row, of the one above and of the one below, in its pixels.

    Args:
        strip: A rectified row.
        levels_mm: Baselines of all rows of the page; a neighbour that is not there is far away.
    """
    own = strip.baseline_mm
    above = max((y for y in levels_mm if y < own - 1.0), default=own - _NO_NEIGHBOUR_MM)
    below = min((y for y in levels_mm if y > own + 1.0), default=own + _NO_NEIGHBOUR_MM)
    own, above, below = ((y - strip.y0_mm) * strip.px_per_mm for y in (own, above, below))
    return own, above, below


def load_strip_reader(
    folder: Path, settings: StripReaderSettings | None = None, device: str = "cpu"
) -> LearnedStripReader:
    """Load a learned strip reader from the folder of its card.

    Raises:
        CardError: Card or weights are missing, damaged or do not fit; names the file.
    """
    net, _ = load_strip_net(folder)
    return LearnedStripReader(net, settings, device)


def named_strip_reader(name: str = "default") -> StripReader:
    """Return a strip reader: "classical", "learned" (the packaged weights), "default", or a folder.

    Raises:
        CardError: Card or weights are missing, damaged or do not fit; names the file.
    """
    name = DEFAULT if name == "default" else name
    if name == "classical":
        return ClassicalStripReader()
    folder = PACKAGED if name == "learned" else Path(name)
    return _strip_reader(folder, _written_ns(folder / STRIP_CARD))


@lru_cache(maxsize=4)
def _strip_reader(folder: Path, written_ns: int) -> LearnedStripReader:
    return load_strip_reader(folder)


def _written_ns(card: Path) -> int:
    """Return when a card was written: a model trained again is loaded again."""
    return card.stat().st_mtime_ns if card.is_file() else 0


def named_page_reader(name: str = "default") -> PageReader:
    """Return a page reader: "classical", "learned" (the packaged weights), "default", or a folder.

    Raises:
        CardError: Card or weights are missing, damaged or do not fit; names the file.
    """
    name = DEFAULT_PAGES if name == "default" else name
    if name == "classical":
        return ClassicalPageReader()
    folder = PACKAGED_PAGES if name == "learned" else Path(name)
    return _page_reader(folder, _written_ns(folder / PAGE_CARD))


@lru_cache(maxsize=4)
def _page_reader(folder: Path, written_ns: int) -> PageReader:
    return load_page_reader(folder)


def set_threads(n: int) -> None:
    """Fix the number of threads of the networks, once per process, before anything is read."""
    torch.set_num_threads(max(1, n))
