"""Train the network that reads strips, on strips drawn while it trains.

Strip `i` of step `s` depends on the seed, `s` and `i` alone, so a run that was killed goes on from
its last state and ends with the same bits (on a CPU, with the same number of threads).
"""

from __future__ import annotations

import logging
import pickle
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import torch

from cinc_ecg.data.render_torch import StripBatch, render_strips
from cinc_ecg.data.signal_pool import SignalPool, join, read_pool, simulated_pool
from cinc_ecg.data.strip_scene import StripSettings, draw_scene
from cinc_ecg.errors import ConfigError, TrainingError
from cinc_ecg.io.atomic import make_folder, write_bytes
from cinc_ecg.models.strip_card import save_strip_net
from cinc_ecg.models.strip_loss import StripLossConfig, StripTargets, strip_loss
from cinc_ecg.models.strip_net import StripNet, StripNetConfig, StripReading
from cinc_ecg.training.schedule import Ema

log = logging.getLogger(__name__)

LATEST = "digitizer.pt"
_VERSION = 1
#: Steps timed to plan a run, after one that does not count.
_TRIAL_STEPS = 4
#: So many steps in a row without a finite loss end the run.
_MAX_BAD_STEPS = 20
_REPORT_EVERY = 50
#: What reading a damaged state may raise.
_DAMAGED = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    EOFError,
    struct.error,
    pickle.UnpicklingError,
)
#: Mirror images of a batch.
_IMAGES = 4


@dataclass(frozen=True, slots=True)
class DigitizerConfig:
    """A training run.

    Attributes:
        steps: Optimizer steps; 0 plans them from `budget_s`.
        budget_s: Time for the whole run.
        batch: Strips per step. Every batch is used four times: as it is, mirrored, turned, both.
        rate: Peak learning rate; it rises over `warmup` and falls over `anneal` (shares of the
            run).
        decay: Weight decay.
        average: Share of the averaged weights that stays at each step.
        clip: Greatest norm of the gradient.
        half: Convolutions in bfloat16.
        seed: Decides weights, strips and simulated recordings.
        simulated: Recordings to simulate besides those given; all that there are without a folder.
        threads: Of the processor, set once.
        checkpoint_s: Time between two states on disk.
        net, loss, strips: Network, loss and strips.
    """

    steps: int = 0
    budget_s: float = 3600.0
    batch: int = 12
    rate: float = 3e-3
    warmup: float = 0.03
    anneal: float = 0.4
    decay: float = 1e-3
    average: float = 0.995
    clip: float = 1.0
    half: bool = True
    seed: int = 1
    simulated: int = 400
    threads: int = 1
    checkpoint_s: float = 600.0
    net: StripNetConfig = field(default_factory=StripNetConfig)
    loss: StripLossConfig = field(default_factory=StripLossConfig)
    strips: StripSettings = field(default_factory=StripSettings)


@dataclass(frozen=True, slots=True)
class DigitizerResult:
    """How a run ended: its folder, steps done, seconds, and the mean losses of its last steps."""

    folder: Path
    steps: int
    elapsed_s: float
    losses: dict[str, float]


#: Called with (steps done, steps in all, losses).
Watch = Callable[[int, int, dict[str, float]], None]


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
        out: Gets the state and, at the end, the model.
        config: The run.
        device: A torch device.
        resume: Go on from the state in `out` if there is one.
        stop_after: Stop (with a state on disk) after this many steps in all; None runs to the end.
        watch: Told about the losses every few steps.

    Raises:
        TrainingError: The state is of another run (checkpoint), or the loss is no number
            (diverged).
        OutputError: The folder cannot be written.
    """
    make_folder(out)
    run = _Run(pool, config, device)
    if resume and (out / LATEST).exists():
        run.restore(out / LATEST)
    if run.n_steps == 0:
        run.plan()
    started, saved = time.monotonic() - run.elapsed_s, time.monotonic()
    last = min(run.n_steps, stop_after or run.n_steps)
    bad = 0
    while run.step < last:
        bad = 0 if run.advance() else bad + 1
        if bad >= _MAX_BAD_STEPS:
            raise TrainingError(
                f"the loss was no number for {bad} steps in a row; lower the learning rate",
                code="diverged",
            )
        run.elapsed_s = time.monotonic() - started
        if watch is not None and (run.step % _REPORT_EVERY == 0 or run.step == last):
            watch(run.step, run.n_steps, run.means())
        if time.monotonic() - saved > config.checkpoint_s:
            run.save(out / LATEST)
            saved = time.monotonic()
    run.save(out / LATEST)
    run.export(out)
    return DigitizerResult(out, run.step, run.elapsed_s, run.means())


def collect_signals(folder: Path | None, config: DigitizerConfig) -> SignalPool:
    """Return the recordings to draw: the training part of a folder, and simulated ones.

    Raises:
        InputError: The folder holds no usable recording.
        ConfigError: There would be no recording at all.
    """
    pools = [] if folder is None else [read_pool(folder)]
    if config.simulated > 0:
        pools.append(simulated_pool(config.simulated, config.seed))
    if not pools:
        raise ConfigError("simulated=0 and no --data: there is nothing to draw strips from")
    return join(pools)


def set_threads(n: int) -> None:
    """Fix the number of threads; results are the same bits only for the same number."""
    torch.set_num_threads(max(1, n))
    cv2.setNumThreads(1)


class _Run:
    """Everything that changes while training."""

    def __init__(self, pool: SignalPool, config: DigitizerConfig, device: str) -> None:
        self.pool, self.config = pool, config
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        self.net = StripNet(config.net).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=config.rate, weight_decay=config.decay
        )
        self.ema = Ema(self.net, config.average)
        self.n_steps, self.step, self.elapsed_s = config.steps, 0, 0.0
        self.sums: dict[str, float] = {}
        self._drawn: tuple[int, StripBatch] | None = None

    def plan(self) -> None:
        """Choose the number of steps that fits the budget, by trial steps that are undone."""
        before = self._state()
        kept = pickle.dumps(before)
        begin = 0.0
        for k in range(1 + _TRIAL_STEPS):
            if k == 1:
                begin = time.monotonic()
            self.n_steps = 100
            self.advance()
        per_step = (time.monotonic() - begin) / _TRIAL_STEPS
        self._take(pickle.loads(kept))
        self.n_steps = max(20, int(self.config.budget_s / per_step))
        log.info("%.2f s per step: %d steps planned", per_step, self.n_steps)

    def advance(self) -> bool:
        """Make one step; return whether its loss was a number."""
        batch = self._batch()
        rate = self.config.rate * _rate_factor(self.step / self.n_steps, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.half):
            reading = read_batch(self.net, batch)
        targets = StripTargets(batch.line_px, batch.visible, batch.ink)
        half = slice((self.step + self.step // _IMAGES) % 2, None, 2)
        total, parts = strip_loss(reading, targets, self.config.loss, nodes=half)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
            self.ema.update(self.net)
            share = min(0.98, self.step / (self.step + 10.0))
            for name, value in {"total": total, **parts}.items():
                number = float(value.detach())
                self.sums[name] = share * self.sums.get(name, number) + (1 - share) * number
        self.step += 1
        return finite

    def _batch(self) -> StripBatch:
        """Return the strips of the present step; each batch is used in its four mirror images."""
        number, image = divmod(self.step, _IMAGES)
        if self._drawn is None or self._drawn[0] != number:
            first = number * self.config.batch
            scenes = [
                draw_scene(self.pool, self.config.strips, self.config.seed, first + k)
                for k in range(self.config.batch)
            ]
            self._drawn = (number, render_strips(scenes, self.device))
        batch = self._drawn[1]
        batch = batch.mirrored() if image % 2 else batch
        return batch.turned() if image >= _IMAGES // 2 else batch

    def means(self) -> dict[str, float]:
        """Return running means of the losses."""
        return dict(self.sums)

    def _state(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "config": asdict(self.config),
            "names": list(self.pool.names[:: max(1, len(self.pool) // 50)]),
            "n_steps": self.n_steps,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state(),
            "sums": self.sums,
        }

    def _take(self, state: dict[str, Any]) -> None:
        self.n_steps, self.step = int(state["n_steps"]), int(state["step"])
        self.elapsed_s, self.sums = float(state["elapsed_s"]), dict(state["sums"])
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.restore(state["ema"])

    def save(self, path: Path) -> None:
        """Write the state; the one before stays until this one is whole."""
        buffer = BytesIO()
        torch.save(self._state(), buffer)
        write_bytes(path, buffer.getvalue())

    def restore(self, path: Path) -> None:
        """Continue from a state.

        Raises:
            TrainingError: It is damaged or of another run (checkpoint).
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            if state["version"] != _VERSION:
                raise KeyError(f"version {state['version']}")
        except _DAMAGED as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise TrainingError(
                f"{path}: cannot be resumed ({first}); start again in another folder",
                code="checkpoint",
            ) from error
        own = self._state()
        free = ("budget_s", "checkpoint_s", "steps", "threads")
        before, now = (
            {k: v for k, v in s["config"].items() if k not in free} for s in (state, own)
        )
        if before != now or state["names"] != own["names"]:
            raise TrainingError(
                f"{path}: is of a run with other settings or recordings; give the same ones or "
                "another output folder",
                code="checkpoint",
            )
        self._take(state)

    def export(self, out: Path) -> None:
        """Write the averaged network with its card."""
        net = StripNet(self.config.net)
        net.load_state_dict(self.ema.average)
        sources = sorted({name.split("/", maxsplit=1)[0] for name in self.pool.names})
        training = {
            "steps": self.step,
            "strips": -(-self.step // _IMAGES) * self.config.batch,
            "elapsed_s": round(self.elapsed_s),
            "recordings": len(self.pool),
            "sources": sources,
            "config": asdict(self.config),
        }
        save_strip_net(out, net, training, {k: round(v, 4) for k, v in self.sums.items()})


def read_batch(net: StripNet, batch: StripBatch) -> StripReading:
    """Run the network on rendered strips."""
    reading: StripReading = net(
        batch.pixels, batch.baseline_px, batch.above_px, batch.below_px, batch.px_per_mm
    )
    return reading


def _rate_factor(progress: float, config: DigitizerConfig) -> float:
    """Rise linearly, stay, fall linearly."""
    if progress < config.warmup:
        return (progress + 1e-3) / config.warmup
    return max(0.01, min(1.0, (1.0 - progress) / config.anneal))


def check_device(device: str) -> str:
    """Resolve "auto".

    Raises:
        ConfigError: The device is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"--device {device}: is not there; use --device cpu")
    return device
