"""The training loop: one function, read from top to bottom, on `accelerate`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor

from cinc_ecg.config import to_yaml
from cinc_ecg.data.datasets import Batch, EpochBatches, make_loader
from cinc_ecg.errors import ConfigError, TrainingError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.models.card import save_model
from cinc_ecg.models.network import NetworkOutput
from cinc_ecg.training.checkpoint import LATEST, Progress, Trained, load_latest, save_latest
from cinc_ecg.training.device import graceful_stop, make_accelerator
from cinc_ecg.training.measure import Measured, measure
from cinc_ecg.training.schedule import Ema, averaged, make_optimizer, rate_factor, set_rate
from cinc_ecg.training.tasks import Task, sample_weights
from cinc_ecg.training.tracking import Tracker

_LOG = logging.getLogger(__name__)
#: So many steps in a row without a finite loss end the run.
_MAX_BAD_STEPS = 20
Stop = Literal["epochs", "patience", "budget", "interrupted"]
#: Called with (steps done, steps in all, text) after every step.
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a run ended.

    Attributes:
        folder: Holds the best model (card and weights), `latest.pt`, `log.jsonl`, `config.yaml`.
        stopped: Why.
        epochs, steps: Done in all.
        best_epoch: Epoch whose model was kept, -1 = none yet.
        figures: Held-out figures of the model that was kept.
        skipped: Records whose samples could not be made.
        elapsed_s: Time spent in all.
    """

    folder: Path
    stopped: Stop
    epochs: int
    steps: int
    best_epoch: int
    figures: dict[str, float]
    skipped: tuple[str, ...]
    elapsed_s: float


def train(
    task: Task,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    watch: Watch | None = None,
) -> TrainResult:
    """Train, evaluate after each epoch, keep the best model and the latest state.

    A run that is stopped (Ctrl-C, a full disk, a power cut) continues from its latest state and,
    on a CPU and without a time budget, ends with the same bits as one that was not.

    Args:
        task: What to train.
        out: Output folder; made when missing.
        resume: Continue the run in `out` if there is one.
        device: "auto", "cpu", "cuda" or "mps".
        watch: Told about every step.

    Raises:
        ConfigError: the device is not there, or `out` holds another run (folder_not_empty).
        TrainingError: the loss is no number for many steps (diverged), no sample can be made
            (no_samples), or the state cannot be resumed (checkpoint).
        OutputError: the disk is full; the state before is intact.
    """
    config = task.config
    loop = config.training
    run = _Run(task, out, make_accelerator(config, device), resume=resume)
    begin = time.monotonic() - run.progress.elapsed_s
    saved_at = time.monotonic()
    stopped: Stop = "epochs"
    with graceful_stop() as wanted, run.tracker:
        while run.progress.epoch < loop.epochs and stopped == "epochs":
            for batch in run.batches():
                run.forward_backward(batch)
                if not run.at_step_end():
                    continue
                run.step()
                if watch is not None:
                    watch(run.progress.step, run.n_steps, run.text())
                run.progress.elapsed_s, stop = run.agreed(time.monotonic() - begin, wanted.is_set())
                if time.monotonic() - saved_at > loop.checkpoint_s:
                    run.save()
                    saved_at = time.monotonic()
                if stop:
                    stopped = "interrupted"
                    break
                if run.out_of_time():
                    stopped = "budget"
                    break
            if stopped != "interrupted":
                last = stopped == "budget" or run.progress.epoch + 1 == loop.epochs
                evaluated = run.end_epoch(last=last)
                run.progress.elapsed_s, stop = run.agreed(time.monotonic() - begin, wanted.is_set())
                if loop.patience and run.epochs_without_gain() >= loop.patience:
                    stopped = "patience"
                if evaluated and not last and run.out_of_time():
                    stopped = "budget"
                if stop:
                    stopped = "interrupted"
            run.save()
            saved_at = time.monotonic()
    progress = run.progress
    return TrainResult(
        folder=out,
        stopped=stopped,
        epochs=progress.epoch,
        steps=progress.step,
        best_epoch=progress.best_epoch,
        figures=progress.best_figures,
        skipped=tuple(progress.skipped),
        elapsed_s=progress.elapsed_s,
    )


class _Run:
    """The objects of a run and the small steps that the loop is written in."""

    def __init__(self, task: Task, out: Path, accelerator: Accelerator, *, resume: bool) -> None:
        config = task.config
        self.task, self.config, self.accelerator = task, config, accelerator
        self.out = make_folder(out)
        torch.manual_seed(config.training.seed)
        optimizer = make_optimizer(task.network, task.network.backbone, task.loss, config.optimizer)
        task.loss.to(accelerator.device)
        self.network, self.optimizer = accelerator.prepare(task.network, optimizer)
        ema = Ema(task.network, config.training.ema) if config.training.ema else None
        self.trained = Trained(task.network, task.loss, optimizer, ema, accelerator.scaler)
        self.progress = Progress()
        if (out / LATEST).exists():
            if not resume:
                raise ConfigError(
                    f"{out}: holds an earlier run; continue it with --resume auto, "
                    "or name another folder",
                    code="folder_not_empty",
                )
            self.progress = load_latest(out, self.trained, config)
        accelerator.wait_for_everyone()
        self.tracker = Tracker(
            out, config, self.progress.log_bytes, active=accelerator.is_main_process
        )
        if accelerator.is_main_process:
            write_text(out / "config.yaml", to_yaml(config))
        self.order, self.loader = self._training_batches()
        per_epoch = math.ceil(self.order.n_batches / config.training.accumulate)
        self.n_steps = per_epoch * config.training.epochs
        self.evaluation_s = 0.0
        self._epoch_started = time.monotonic()
        self._pending = 0
        self._bad_steps = 0
        self._terms: dict[str, float] = {}
        self._before: dict[str, Tensor] | None = None

    def agreed(self, *values: float) -> tuple[float, ...]:
        """Return the largest of each value over all processes, so that all decide alike."""
        if self.accelerator.num_processes == 1:
            return values
        mine = torch.tensor([values], dtype=torch.float64, device=self.accelerator.device)
        together: Tensor = self.accelerator.gather(mine)
        return tuple(float(value) for value in together.amax(dim=0))

    def _training_batches(self) -> tuple[EpochBatches, Iterable[Batch]]:
        data, loop = self.task.train_set, self.config.training
        weights = None
        if loop.balance:
            weights = sample_weights(data.recordings, len(data) // len(data.recordings))
        share = (self.accelerator.process_index, self.accelerator.num_processes)
        order = EpochBatches(
            len(data), loop.batch_size, seed=loop.seed, weights=weights, share=share
        )
        pin = self.accelerator.device.type == "cuda"
        loader = make_loader(data, order, workers=self.config.data.workers, pin=pin)
        return order, loader

    def batches(self) -> Iterator[Batch]:
        """Yield the rest of this epoch."""
        self.task.train_set.epoch = self.progress.epoch
        self.order.epoch, self.order.start = self.progress.epoch, self.progress.batch
        self.network.train()
        self.optimizer.zero_grad()
        self._pending = 0
        self._epoch_started = time.monotonic()
        yield from self.loader

    def forward_backward(self, batch: Batch) -> None:
        """Add a batch's gradient; samples that could not be made are named once."""
        self._pending += 1
        self.task.loss.progress = self._share_done()
        for skipped in batch.skipped:
            if skipped.name not in self.progress.skipped:
                self.progress.skipped.append(skipped.name)
                _LOG.warning("[%s] %s is left out: %s", skipped.code, skipped.name, skipped.text)
        tensors: dict[str, Tensor] | None = batch.to(self.accelerator.device).tensors
        weight = 1.0 / self.config.training.accumulate
        if not len(batch):  # the other processes wait for a gradient: give them none of weight
            tensors, weight = self._before, 0.0
        if tensors is None or (weight == 0 and self.accelerator.num_processes == 1):
            return
        self._before = tensors if self.accelerator.num_processes > 1 else None
        with nullcontext() if self.at_step_end() else self.accelerator.no_sync(self.network):
            with self.accelerator.autocast():
                output = self.network(tensors)
            total, terms = self.task.loss(as_float(output), tensors)
            self.accelerator.backward(total * weight)
        if weight == 0:
            return
        terms = {name: value for name, value in terms.items() if name != "total"}
        for name, value in {**terms, "loss": float(total.detach())}.items():
            self._terms[name] = self._terms.get(name, 0.0) + value * len(batch)
        self._terms["n"] = self._terms.get("n", 0.0) + len(batch)

    def at_step_end(self) -> bool:
        """Tell whether the batch just taken completes an optimizer step."""
        full = self._pending >= self.config.training.accumulate
        return full or self.progress.batch + self._pending >= self.order.n_batches

    def step(self) -> None:
        """Update the weights, unless the loss was no number.

        Raises:
            TrainingError: that happened too often in a row (diverged).
        """
        rate = self.config.optimizer.lr * rate_factor(self.config.schedule, self._share_done())
        set_rate(self.optimizer, rate)
        (broken,) = self.agreed(float(not math.isfinite(self._terms.get("loss", 0.0))))
        finite = not broken
        if finite and self._terms:
            if self.config.optimizer.clip_norm:
                parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
                self.accelerator.clip_grad_norm_(parameters, self.config.optimizer.clip_norm)
            self.optimizer.step()
            if self.trained.ema is not None:
                self.trained.ema.update(self.task.network)
            for name, value in self._terms.items():
                self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
        else:
            bad = self.progress.sums.get("bad_steps", 0.0)
            self.progress.sums["bad_steps"] = bad + (0 if finite else 1)
        self._bad_steps = 0 if finite else self._bad_steps + 1
        if self._bad_steps >= _MAX_BAD_STEPS:
            raise TrainingError(
                f"the loss was no number for {self._bad_steps} steps in a row; "
                "lower optimizer.lr or look at the data",
                code="diverged",
            )
        self.optimizer.zero_grad()
        self.progress.step += 1
        self.progress.batch += self._pending
        self._pending, self._terms = 0, {}

    def _share_done(self) -> float:
        """Return how much of the run is over, by steps or by time, whichever is further."""
        share = self.progress.step / max(self.n_steps, 1)
        budget = self.config.training.budget_s
        if budget:
            share = max(share, self.progress.elapsed_s / max(budget - self._reserve_s(), 1e-3))
        return share

    def _reserve_s(self) -> float:
        """Return the time that the last evaluation will need."""
        if self.evaluation_s:
            return 1.2 * self.evaluation_s
        per_sample = self.progress.elapsed_s / max(self.progress.sums.get("n", 0.0), 1.0)
        return 0.6 * per_sample * len(self.task.held_out_set)

    def out_of_time(self) -> bool:
        """Tell whether the time budget leaves no more than the last evaluation."""
        budget = self.config.training.budget_s
        return bool(budget) and self.progress.elapsed_s + self._reserve_s() >= budget

    def end_epoch(self, *, last: bool) -> bool:
        """Log the epoch, evaluate if due, keep the model if it is the best.

        Returns:
            Whether it was evaluated.

        Raises:
            TrainingError: not one sample could be made (no_samples).
        """
        progress = self.progress
        n, bad = progress.sums.pop("n", 0.0), progress.sums.pop("bad_steps", 0.0)
        if not n and not bad:
            raise TrainingError(
                "not one training sample could be made; the log names the reasons",
                code="no_samples",
            )
        figures: dict[str, float | int] = {"epoch": progress.epoch, "n": int(n)}
        figures |= {"bad_steps": int(bad)} if bad else {}
        figures |= {name: value / n for name, value in progress.sums.items()}
        figures["lr"] = self.optimizer.param_groups[0]["lr"]
        seconds = time.monotonic() - self._epoch_started
        progress.log_bytes = self.tracker.write(
            "train", progress.step, {**figures, "samples_per_s": round(n / seconds, 3)}
        )
        due = last or (progress.epoch + 1) % self.config.training.eval_every == 0
        if due:
            self._evaluate()
        progress.epoch, progress.batch, progress.sums = progress.epoch + 1, 0, {}
        return due

    def _evaluate(self) -> None:
        started = time.monotonic()
        with averaged(self.task.network, self.trained.ema):
            measured = evaluate_held_out(self.task, self.accelerator.device)
            self.evaluation_s = time.monotonic() - started
            figures = measured.figures()
            value = monitored(figures, self.config.training.monitor)
            line = {"epoch": self.progress.epoch, **figures}
            self.progress.log_bytes = self.tracker.write("held_out", self.progress.step, line)
            first = self.progress.best_epoch < 0
            if value > self.progress.best or first:
                self.progress.best = value if math.isfinite(value) else float("-inf")
                self.progress.best_epoch = self.progress.epoch
                self.progress.best_figures = figures
                if self.accelerator.is_main_process:
                    self._keep(figures)

    def _keep(self, figures: dict[str, float]) -> None:
        split = "training" if self.task.split.held_out_is_training else "held_out"
        facts = {"epochs": self.progress.epoch + 1, "steps": self.progress.step}
        card = replace(
            self.task.card,
            metrics={split: figures},
            training={**self.task.card.training, **facts},
        )
        save_model(self.out, self.task.network, card)

    def epochs_without_gain(self) -> int:
        """Return how many epochs ago the best model was found."""
        return self.progress.epoch - 1 - self.progress.best_epoch

    def save(self) -> None:
        """Write the latest state."""
        if self.accelerator.is_main_process:
            save_latest(self.out, self.trained, self.progress, self.config)

    def text(self) -> str:
        """Say in a few words how it goes."""
        n = self.progress.sums.get("n", 0.0)
        parts = [f"epoch {self.progress.epoch + 1}/{self.config.training.epochs}"]
        if n:
            parts.append(f"loss {self.progress.sums.get('loss', 0.0) / n:.3f}")
        held_out = self.progress.best_figures
        for name, unit in (("snr_db", " dB"), ("auc", "")):
            if name in held_out:
                parts.append(f"best {name.removesuffix('_db')} {held_out[name]:.2f}{unit}")
        return ", ".join(parts)


def evaluate_held_out(task: Task, device: torch.device) -> Measured:
    """Measure a task's network on its held-out samples."""
    batches = EpochBatches(len(task.held_out_set), task.config.training.batch_size, shuffle=False)
    loader = make_loader(task.held_out_set, batches, workers=task.config.data.workers)
    classes = tuple(task.config.model.dx.classes)
    return measure(task.network, task.loss, loader, classes, device)


def monitored(figures: dict[str, float], name: str) -> float:
    """Return the figure that decides, larger being better; the loss counts negative."""
    value = figures.get(name, float("nan"))
    return -value if name == "loss" else value


def as_float(output: NetworkOutput) -> NetworkOutput:
    """Return the output in single precision: the losses' logarithms need it."""
    return NetworkOutput(*(part if part is None else part.float() for part in output))
