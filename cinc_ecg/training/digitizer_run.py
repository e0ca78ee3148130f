"""Train one network of the digitizer on samples that are drawn while it trains.

What step `s` learns from depends on the seed and `s` alone, so a run that was killed goes on from
its last state and ends with the same bits (on a CPU, with the same number of threads). What is
special about a network stands in its `NetworkTask`.
"""

from __future__ import annotations

import logging
import pickle
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import cv2
import torch
from torch import Tensor, nn

from cinc_ecg.data.signal_pool import SignalPool, join, read_pool, simulated_pool
from cinc_ecg.errors import ConfigError, TrainingError
from cinc_ecg.io.atomic import make_folder, write_bytes
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


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How long and how fast a network is trained.

    Attributes:
        steps: Optimizer steps, also for a run that goes on; 0 plans them from `budget_s`.
        budget_s: Time for the whole run.
        batch: Samples per step.
        rate: Peak learning rate; it rises over `warmup` and falls over `anneal` (shares of the
            run).
        decay: Weight decay.
        average: Share of the averaged weights that stays at each step.
        clip: Greatest norm of the gradient.
        half: Convolutions in bfloat16.
        seed: Decides weights, samples and simulated recordings.
        simulated: Recordings to simulate besides those given; all that there are without a folder.
        threads: Of the processor, set once.
        checkpoint_s: Time between two states on disk.
        init: Folder of a reader of the same kind whose weights are the start, or "packaged"; empty
            starts from random ones.
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
    init: str = ""


@dataclass(frozen=True, slots=True)
class DigitizerResult:
    """How a run ended: its folder, steps done, seconds, and the mean losses of its last steps."""

    folder: Path
    steps: int
    elapsed_s: float
    losses: dict[str, float]


#: Called with (steps done, steps in all, losses).
Watch = Callable[[int, int, dict[str, float]], None]


class NetworkTask(Protocol):
    """A network and what it learns from."""

    @property
    def config(self) -> Any:
        """A `RunConfig`."""

    @property
    def net(self) -> nn.Module:
        """The network."""

    @property
    def pool(self) -> SignalPool:
        """Its recordings."""

    def losses(self, step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a step and its parts."""

    def export(
        self, out: Path, average: dict[str, Tensor], training: dict[str, Any], figures: Any
    ) -> None:
        """Write the averaged network with its card."""


def train_network(
    task: NetworkTask,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    stop_after: int | None = None,
    watch: Watch | None = None,
) -> DigitizerResult:
    """Train a network and write it with its card.

    Args:
        task: The network; its `config` is a `RunConfig`.
        out: Gets the state and, at the end, the model.
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
    run = _Run(task, device)
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
        if time.monotonic() - saved > task.config.checkpoint_s:
            run.save(out / LATEST)
            saved = time.monotonic()
    run.save(out / LATEST)
    run.export(out)
    return DigitizerResult(out, run.step, run.elapsed_s, run.means())


def collect_signals(folder: Path | None, config: RunConfig) -> SignalPool:
    """Return the recordings to draw: the training part of a folder, and simulated ones.

    Raises:
        InputError: The folder holds no usable recording.
        ConfigError: There would be no recording at all.
    """
    pools = [] if folder is None else [read_pool(folder)]
    if config.simulated > 0:
        pools.append(simulated_pool(config.simulated, config.seed))
    if not pools:
        raise ConfigError(
            "simulated=0 and no --data: there is nothing to draw pages or strips from"
        )
    return join(pools)


def set_threads(n: int) -> None:
    """Fix the number of threads; results are the same bits only for the same number."""
    torch.set_num_threads(max(1, n))
    cv2.setNumThreads(1)


def start_folder(init: str, packaged: Path) -> Path:
    """Return the folder that `RunConfig.init` names."""
    return packaged if init == "packaged" else Path(init)


def take_weights(net: nn.Module, start: nn.Module) -> None:
    """Begin with another network's weights.

    Raises:
        ConfigError: It is of another size.
    """
    try:
        net.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            "init: that network is of another size; leave out `net` settings or give those of its "
            "card"
        ) from error


class _Run:
    """Everything that changes while training."""

    def __init__(self, task: NetworkTask, device: str) -> None:
        self.task, self.config = task, task.config
        self.device = torch.device(device)
        self.net = task.net.to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=self.config.rate, weight_decay=self.config.decay
        )
        self.ema = Ema(self.net, self.config.average)
        self.n_steps, self.step, self.elapsed_s = self.config.steps, 0, 0.0
        self.sums: dict[str, float] = {}

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
        rate = self.config.rate * _rate_factor(self.step / self.n_steps, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.net.train()
        total, parts = self.task.losses(self.step, self.device)
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

    def means(self) -> dict[str, float]:
        """Return running means of the losses."""
        return dict(self.sums)

    def _state(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "config": asdict(self.config),
            "names": list(self.task.pool.names[:: max(1, len(self.task.pool) // 50)]),
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
        # More or fewer steps than planned are no other run; the rate follows the new length.
        self.n_steps = self.config.steps or self.n_steps

    def export(self, out: Path) -> None:
        """Write the averaged network with its card."""
        names = self.task.pool.names
        training = {
            "steps": self.step,
            "elapsed_s": round(self.elapsed_s),
            "recordings": len(names),
            "sources": sorted({name.split("/", maxsplit=1)[0] for name in names}),
            "config": asdict(self.config),
        }
        figures = {name: round(value, 4) for name, value in self.sums.items()}
        self.task.export(out, self.ema.average, training, figures)


def _rate_factor(progress: float, config: RunConfig) -> float:
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
