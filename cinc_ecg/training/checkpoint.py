"""The state of a run on disk: all that the next step depends on, in one file, replaced at once."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cinc_ecg.config import to_plain
from cinc_ecg.errors import TrainingError
from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.training.config import TrainConfig
from cinc_ecg.training.schedule import Ema

LATEST = "latest.pt"
_VERSION = 1
#: Settings that may change between a run and its continuation.
_FREE = ("training.budget_s", "training.checkpoint_s", "training.threads", "data.workers")


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch, batch: The next batch to take.
        step: Optimizer steps done.
        elapsed_s: Time spent, earlier parts of the run included.
        best: Best monitored value so far (larger is better), with its epoch.
        log_bytes: Length of the log that belongs to this state.
        sums: Running sums of this epoch's figures.
        skipped: Names of samples that could not be made.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    best: float = float("-inf")
    best_epoch: int = -1
    log_bytes: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    best_figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trained:
    """The objects whose state changes while training."""

    network: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Ema | None
    scaler: Any = None


def save_latest(out: Path, trained: Trained, progress: Progress, config: TrainConfig) -> None:
    """Write the state; a full disk leaves the one before.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    state = {
        "version": _VERSION,
        "config": to_plain(config),
        "progress": asdict(progress),
        "network": trained.network.state_dict(),
        "loss": trained.loss.state_dict(),
        "optimizer": trained.optimizer.state_dict(),
        "ema": trained.ema.state() if trained.ema else None,
        "scaler": trained.scaler.state_dict() if trained.scaler else None,
        "chance": torch.get_rng_state(),
        "cuda_chance": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(out / LATEST, buffer.getvalue())


def load_latest(out: Path, trained: Trained, config: TrainConfig) -> Progress:
    """Bring everything into the state of `out`/latest.pt; nothing is unpickled but tensors.

    Raises:
        TrainingError: the file is damaged or of a run with other settings (checkpoint).
    """
    path = out / LATEST
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        before = state["config"]
        if state["version"] != _VERSION:
            raise KeyError(f"version {state['version']}")
    except (OSError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"{path}: cannot be resumed ({first}); start again in another folder",
            code="checkpoint",
        ) from error
    changed = [
        f"{name} was {_at(before, name)}, is {_at(now, name)}"
        for now in (to_plain(config),)
        for name in _differing(before, now)
    ]
    if changed:
        raise TrainingError(
            f"{path}: is of a run with other settings ({'; '.join(changed[:3])}); "
            "give the same ones or another output folder",
            code="checkpoint",
        )
    trained.network.load_state_dict(state["network"])
    trained.loss.load_state_dict(state["loss"])
    trained.optimizer.load_state_dict(state["optimizer"])
    if trained.ema and state["ema"]:
        trained.ema.restore(state["ema"])
    if trained.scaler and state["scaler"]:
        trained.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["chance"])
    if state["cuda_chance"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_chance"])
    return Progress(**state["progress"])


def _differing(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key in {**before, **now}:
        name = f"{prefix}{key}"
        left, right = before.get(key), now.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            names += _differing(left, right, f"{name}.")
        elif left != right and name not in _FREE:
            names.append(name)
    return names


def _at(values: dict[str, Any], name: str) -> Any:
    entry: Any = values
    for part in name.split("."):
        entry = entry.get(part) if isinstance(entry, dict) else None
    return entry
