"""Figures of a run: one JSON object per line in `log.jsonl`, TensorBoard and W&B on request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cinc_ecg.config import to_plain
from cinc_ecg.errors import ConfigError
from cinc_ecg.io.atomic import output_error
from cinc_ecg.training.config import TrainConfig

LOG = "log.jsonl"


class Tracker:
    """Writes every figure to the log and to the trackers asked for.

    Args:
        out: Folder of the run.
        config: Says which trackers.
        keep_bytes: Length of the log to keep when a run goes on; what follows belongs to steps
            that will be done again.

    Raises:
        ConfigError: a tracker is wanted whose package is missing (package_missing).
        OutputError: the log cannot be written.
    """

    def __init__(
        self, out: Path, config: TrainConfig, keep_bytes: int = 0, *, active: bool = True
    ) -> None:
        self.path = out / LOG
        self._active = active
        self._board = _tensorboard(out) if active and config.tracking.tensorboard else None
        self._wandb = _wandb(out, config) if active and config.tracking.wandb else None
        if not active:
            return
        try:
            with self.path.open("ab") as file:
                file.truncate(keep_bytes)
        except OSError as error:
            raise output_error(error, self.path) from error

    def write(self, split: str, step: int, figures: Mapping[str, float | int | str]) -> int:
        """Add one line; return the log's length in bytes."""
        if not self._active:
            return 0
        line = json.dumps({"split": split, "step": step, **figures}) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
                length = file.tell()
        except OSError as error:
            raise output_error(error, self.path) from error
        numbers = {f"{split}/{k}": v for k, v in figures.items() if not isinstance(v, str)}
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)
        return length

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        """End the trackers."""
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _tensorboard(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "tracking.tensorboard=true needs the package: pip install tensorboard",
            code="package_missing",
        ) from error
    return SummaryWriter(str(out / "tensorboard"))


def _wandb(out: Path, config: TrainConfig) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            "tracking.wandb=true needs the package: pip install wandb", code="package_missing"
        ) from error
    return wandb.init(
        project=config.tracking.project,
        name=config.tracking.name or out.name,
        dir=str(out),
        config=to_plain(config),
        resume="allow",
    )
