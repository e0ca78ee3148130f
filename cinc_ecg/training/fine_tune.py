"""Fine-tune a strip network on a folder: strips of its pictures, and strips drawn of its signals.

Drawn strips keep the network from forgetting everything that the pictures do not show. Whether the
result replaces the network it started from is decided on records that were not trained on.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cinc_ecg.data.page_folder import PageRows, read_page_rows, split_groups
from cinc_ecg.data.page_strips import cut_windows, stack
from cinc_ecg.data.recordings import Recording
from cinc_ecg.data.render_torch import StripBatch, render_strips
from cinc_ecg.data.signal_pool import SignalPool, join, pool_of, simulated_pool
from cinc_ecg.data.strip_scene import StripSettings, draw_scene
from cinc_ecg.errors import CincEcgError, ConfigError
from cinc_ecg.models.readers import LearnedStripReader
from cinc_ecg.models.strip_card import load_strip_net, save_strip_net
from cinc_ecg.models.strip_loss import StripLossConfig, StripTargets, strip_loss
from cinc_ecg.models.strip_net import StripNet
from cinc_ecg.training.device import graceful_stop
from cinc_ecg.training.digitizer import read_batch
from cinc_ecg.training.schedule import Ema
from cinc_ecg.types import Signal

log = logging.getLogger(__name__)

#: However short the time, so many steps are made.
_LEAST_STEPS = 2
_REPORT_EVERY = 5
#: Strips per pass when a network is judged.
_JUDGED_AT_ONCE = 4
#: Share of the budget after which no more signals are read.
_SIGNAL_SHARE = 0.1
#: How much worse drawn strips may get where strips of pages get better.
_MAY_FORGET = 0.02


@dataclass(frozen=True, slots=True)
class FineTuneConfig:
    """A run.

    Attributes:
        steps: Most optimizer steps; fewer when the time is over, two at the least.
        budget_s: Time for the whole run, reading the pictures included.
        read_share: Share of it for reading pictures.
        max_pages: Most pictures to read; a page takes about 8 MB of memory.
        max_signals: Most recordings to draw strips from.
        simulated: Recordings to simulate besides them.
        held_out: Share of the patients (records where unknown) that decides.
        batch: Strips per step.
        pages: Share of them from pictures, where there are any.
        judged: Most strips of each kind on which the networks are compared.
        rate: Peak learning rate; it rises over `warmup` and falls over `anneal` (shares of the run,
            by steps or by the clock, whichever is further).
        decay, average, clip, half, seed: As for `cinc-ecg train digitizer`.
        threads: Of the processor, for the command; 0 leaves them as they are.
        loss, strips: Loss, and size and difficulty of strips.
    """

    steps: int = 400
    budget_s: float = 600.0
    read_share: float = 0.35
    max_pages: int = 60
    max_signals: int = 500
    simulated: int = 20
    held_out: float = 0.2
    batch: int = 8
    pages: float = 0.5
    judged: int = 32
    rate: float = 5e-4
    warmup: float = 0.05
    anneal: float = 0.5
    decay: float = 1e-3
    average: float = 0.98
    clip: float = 1.0
    half: bool = True
    seed: int = 1
    threads: int = 1
    loss: StripLossConfig = field(default_factory=StripLossConfig)
    strips: StripSettings = field(default_factory=StripSettings)


@dataclass(frozen=True, slots=True)
class FineTuneResult:
    """How a run ended.

    Attributes:
        folder: The network's.
        steps, elapsed_s: Steps made, and the whole time.
        kept: Whether the fine-tuned network was written; else the one it started from.
        decision: Why, in a sentence.
        before, after: Losses on held-out strips, "pages" and "drawn", of both networks.
        counts: Pages and rows used and left out.
    """

    folder: Path
    steps: int
    elapsed_s: float
    kept: bool
    decision: str
    before: dict[str, float]
    after: dict[str, float]
    counts: dict[str, int]


#: Called with (steps done, steps in all, losses).
Watch = Callable[[int, int, dict[str, float]], None]


def fine_tune(
    start: Path,
    recordings: Sequence[Recording],
    out: Path,
    config: FineTuneConfig = FineTuneConfig(),
    *,
    more: SignalPool | None = None,
    device: str = "cpu",
    watch: Watch | None = None,
) -> FineTuneResult:
    """Fine-tune a network and write it, or the one it started from if that is no worse.

    Args:
        start: Folder of the network to start from.
        recordings: With pictures, signals or both; those without signals are not used.
        out: Gets the network with its card; first the one it started from, so that there is one
            whatever happens.
        config: The run.
        more: Recordings to draw strips from besides.
        device: A torch device.
        watch: Told about the losses every few steps.

    Raises:
        CardError: `start` holds no network.
        ConfigError: There is nothing to learn from.
        OutputError: `out` cannot be written.
    """
    begin = time.monotonic()
    net, card = load_strip_net(start)
    origin = next(iter(card["files"].values()))["sha256"]
    facts = {"started_from": origin, "steps": 0, "kept": False}
    save_strip_net(out, net, {**card["training"], "fine_tuning": facts}, card["figures"])
    run = _Run(net, recordings, config, begin, more, torch.device(device))
    before = run.judge(run.net)
    run.set_out()
    with graceful_stop() as stopped:
        while run.progress() < 1.0 and not stopped.is_set():
            losses = run.advance()
            if watch is not None and (run.step % _REPORT_EVERY == 0 or run.step == config.steps):
                watch(run.step, config.steps, losses)
    tuned = run.tuned()
    after = run.judge(tuned)
    kept, decision = decide(before, after)
    (log.info if kept else log.warning)("fine-tuning: %s", decision)
    counts = dict(run.rows.counts)
    facts = {
        "started_from": origin,
        "steps": run.step,
        "elapsed_s": round(time.monotonic() - begin, 1),
        "kept": kept,
        "decision": decision,
        "recordings": len(recordings),
        "signals": len(run.training),
        "data": _digest(recordings),
        "pages": counts,
        "config": asdict(config),
    }
    figures = {f"{kind}_before": round(v, 4) for kind, v in before.items()}
    figures |= {f"{kind}_after": round(v, 4) for kind, v in after.items()}
    chosen = tuned if kept else load_strip_net(start)[0]
    save_strip_net(out, chosen, {**card["training"], "fine_tuning": facts}, figures)
    elapsed_s = time.monotonic() - begin
    return FineTuneResult(out, run.step, elapsed_s, kept, decision, before, after, counts)


def decide(before: dict[str, float], after: dict[str, float]) -> tuple[bool, str]:
    """Tell whether a fine-tuned network is kept, and why.

    It must not be worse on held-out strips of pages; on drawn ones it may lose a little when there
    are pages to gain on.

    Args:
        before, after: Mean loss on held-out strips by kind, "pages" (may be missing) and "drawn".
    """
    limits = {"pages": 0.0, "drawn": _MAY_FORGET if "pages" in before else 0.0}
    texts = [f"{kind} {before[kind]:.3f} -> {after[kind]:.3f}" for kind in before]
    worse = [k for k in before if not after[k] <= before[k] + limits[k] * abs(before[k])]
    verdict = f"not kept, worse on {' and '.join(worse)}" if worse else "kept"
    return not worse, f"{verdict}; loss on held-out strips: {', '.join(texts)}"


class _Run:
    """The data of a run and everything that changes while training."""

    def __init__(
        self,
        net: StripNet,
        recordings: Sequence[Recording],
        config: FineTuneConfig,
        begin: float,
        more: SignalPool | None,
        device: torch.device,
    ) -> None:
        self.config, self.begin, self.device = config, begin, device
        self.net, self.step = net.to(device), 0
        given = [r for r in recordings if r.has_signal and r.signal is None]
        training, held_out = split_groups(given, config.held_out, config.seed)
        self.training, self.held_out = self._pools(training, held_out, more)
        self.rows = self._rows(training, held_out)
        self.judged = self._judged()
        for parameter in self.net.parameters():
            parameter.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=config.rate, weight_decay=config.decay
        )
        self.ema = Ema(self.net, config.average)
        self.judging_s, self.trained_from = 0.0, self.begin

    def _pools(
        self,
        training: Sequence[Recording],
        held_out: Sequence[Recording],
        more: SignalPool | None,
    ) -> tuple[SignalPool, SignalPool]:
        """Return the signals to draw strips from: to train on, and held out."""
        config = self.config
        end = self.begin + _SIGNAL_SHARE * config.budget_s
        n_held_out = max(1, round(config.held_out * config.max_signals))
        apart = pool_of(_signals(held_out[:n_held_out], end))
        own = pool_of(_signals(training[: config.max_signals], end))
        made = simulated_pool(config.simulated, config.seed) if config.simulated > 0 else None
        pools = [pool for pool in (own, more, made) if pool is not None]
        if not pools:
            raise ConfigError(
                "no record has ten seconds of twelve leads, and simulated=0: nothing to train on"
            )
        return join(pools), apart or simulated_pool(4, config.seed + 1)

    def _rows(self, training: Sequence[Recording], held_out: Sequence[Recording]) -> PageRows:
        config = self.config
        left_s = self.begin + config.read_share * config.budget_s - time.monotonic()
        return read_page_rows(
            training,
            held_out,
            LearnedStripReader(self.net, device=str(self.device)),
            max_pages=config.max_pages,
            budget_s=left_s,
            width_px=config.strips.width_px,
        )

    def _judged(self) -> dict[str, StripBatch]:
        """Make the held-out strips; fewer where the time is short."""
        config = self.config
        n = int(np.clip(config.budget_s / 2.0, 2, config.judged))
        size = (config.strips.height_px, config.strips.width_px)
        scenes = [draw_scene(self.held_out, config.strips, config.seed + 1, k) for k in range(n)]
        judged = {"drawn": render_strips(scenes)}
        if self.rows.held_out:
            rng = np.random.default_rng([config.seed, 2])
            judged = {"pages": cut_windows(self.rows.held_out, size, rng, n), **judged}
        return judged

    def set_out(self) -> None:
        """Begin the steps now."""
        self.trained_from = time.monotonic()

    def progress(self) -> float:
        """Return the share of the run that is over, by steps or by the clock."""
        config = self.config
        if self.step < _LEAST_STEPS:
            return 0.0
        # At the end the strips are judged once more.
        left_s = self.begin + config.budget_s - self.judging_s - self.trained_from
        by_clock = (time.monotonic() - self.trained_from) / max(left_s, 1e-3)
        return max(self.step / max(config.steps, 1), by_clock)

    def advance(self) -> dict[str, float]:
        """Make one step and return its losses."""
        config = self.config
        rate = config.rate * _rate_factor(min(self.progress(), 1.0), config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Batch normalisation keeps the statistics that the network is used with: a batch of two
        # kinds of strips has those of neither.
        self.net.eval()
        total, parts = self._loss(self.net, self._batch(), slice(self.step % 2, None, 2))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.ema.update(self.net)
        self.step += 1
        return {name: float(v.detach()) for name, v in {"total": total, **parts}.items()}

    def _batch(self) -> StripBatch:
        """Return the strips of the present step; they depend on seed and step alone."""
        config = self.config
        rng = np.random.default_rng([config.seed, 3, self.step])
        size = (config.strips.height_px, config.strips.width_px)
        n_pages = round(config.pages * config.batch) if self.rows.training else 0
        batches = []
        if n_pages:
            batches.append(cut_windows(self.rows.training, size, rng, n_pages))
        if n_pages < config.batch:
            first = self.step * config.batch
            numbers = range(first, first + config.batch - n_pages)
            scenes = [draw_scene(self.training, config.strips, config.seed, k) for k in numbers]
            batches.append(render_strips(scenes))
        batch = stack(batches)
        batch = batch.mirrored() if rng.random() < 0.5 else batch
        return batch.turned() if rng.random() < 0.5 else batch

    def _loss(
        self, net: StripNet, batch: StripBatch, nodes: slice
    ) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.half):
            reading = read_batch(net, batch)
        targets = StripTargets(batch.line_px, batch.visible, batch.ink)
        return strip_loss(reading, targets, self.config.loss, nodes=nodes)

    @torch.no_grad()
    def judge(self, net: StripNet) -> dict[str, float]:
        """Return the mean loss on held-out strips, by kind."""
        net.eval()
        began, means = time.monotonic(), {}
        for kind, batch in self.judged.items():
            parts = [
                (len(part), float(self._loss(net, part, slice(None))[0]))
                for part in batch.parts(_JUDGED_AT_ONCE)
            ]
            means[kind] = sum(n * value for n, value in parts) / sum(n for n, _ in parts)
        self.judging_s = time.monotonic() - began
        return means

    def tuned(self) -> StripNet:
        """Return the averaged network."""
        net = StripNet(self.net.config).to(self.device)
        net.load_state_dict(self.ema.average)
        return net.eval()


def _signals(recordings: Sequence[Recording], end: float) -> Iterator[tuple[str, Signal]]:
    """Read signals while there is time, one at the least; those that cannot be read are logged."""
    for number, recording in enumerate(recordings):
        if number and time.monotonic() >= end:
            log.info("[time] %d signals were not read", len(recordings) - number)
            return
        try:
            yield recording.name, recording.read()
        except CincEcgError as error:
            log.warning("[%s] %s", error.reason_code, error)


def _rate_factor(progress: float, config: FineTuneConfig) -> float:
    """Rise linearly, stay, fall linearly."""
    rise = (progress + 1e-3) / max(config.warmup, 1e-3)
    return max(0.01, min(1.0, rise, (1.0 - progress) / config.anneal))


def _digest(recordings: Sequence[Recording]) -> str:
    names = sorted(recording.name for recording in recordings)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
