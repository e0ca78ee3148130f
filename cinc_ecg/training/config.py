"""Everything a training run can be told, in one dataclass tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cinc_ecg.config import load_config
from cinc_ecg.data import config as data_config
from cinc_ecg.data.config import DataConfig
from cinc_ecg.errors import ConfigError
from cinc_ecg.models import config as model_config
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.models.losses import LossConfig

_FOLDER = Path(__file__).parent / "configs"
#: A class list of this one word means: the classes found in the training data.
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """AdamW.

    Attributes:
        lr: Peak learning rate.
        weight_decay: Not applied to biases and normalisation weights.
        betas: Averaging of gradient and its square.
        backbone_lr: Factor on the learning rate of the backbone.
        clip_norm: Largest norm of the gradient, 0 = any.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    backbone_lr: float = 1.0
    clip_norm: float = 1.0


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """The learning rate over the run, which ends at the last epoch or with the time budget.

    Attributes:
        kind: "onecycle" (cosine up and down), "cosine" (linear warm-up, cosine down), "constant".
        warmup: Share of the run spent going up.
        final: Last learning rate over the peak.
    """

    kind: Literal["onecycle", "cosine", "constant"] = "onecycle"
    warmup: float = 0.2
    final: float = 0.01


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """The loop.

    Attributes:
        epochs: Passes over the training samples.
        batch_size: Samples per forward pass and process.
        accumulate: Forward passes per optimizer step.
        amp: Mixed precision: "auto" is bf16 on a GPU that has it, else none.
        ema: Decay of the averaged weights that are evaluated and kept; 0 = none.
        patience: Epochs without a better monitored value before stopping, 0 = never.
        monitor: What decides which epoch is best: "loss", "snr_db" or "auc" of the held-out fold.
        eval_every: Epochs between evaluations.
        checkpoint_s: Seconds between checkpoints within an epoch.
        budget_s: Stop in good order after that many seconds, 0 = no limit.
        seed: Start of all chance.
        balance: Draw records with rare labels more often.
        threads: CPU threads, 0 = as PyTorch decides.
        init: Model folder whose weights are the start; shapes that differ are left fresh.
    """

    epochs: int = 30
    batch_size: int = 8
    accumulate: int = 1
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    ema: float = 0.0
    patience: int = 0
    monitor: Literal["loss", "snr_db", "auc"] = "loss"
    eval_every: int = 1
    checkpoint_s: float = 300.0
    budget_s: float = 0.0
    seed: int = 0
    balance: bool = False
    threads: int = 0
    init: str = ""


@dataclass(frozen=True, slots=True)
class CvConfig:
    """Folds; the held-out one is `val_fold`. See `data.splits`.

    Attributes:
        n_folds: Number of folds, no patient in two of them.
        val_fold: Fold that is held out, -1 = train on everything and evaluate on it.
        method: "stratified" by labels, or "hash" of the patient or record.
    """

    n_folds: int = 5
    val_fold: int = 0
    method: Literal["stratified", "hash"] = "stratified"


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Where the figures go beside `log.jsonl`.

    Attributes:
        name: Name of the run.
        tensorboard, wandb: Also write there; the package must be installed.
        project: W&B project.
    """

    name: str = ""
    tensorboard: bool = False
    wandb: bool = False
    project: str = "cinc_ecg"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: LoopConfig = field(default_factory=LoopConfig)
    cv: CvConfig = field(default_factory=CvConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def named_configs() -> dict[str, Path]:
    """Return the configurations that come with the package by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def load_train_config(name: str | Path | None = None, overrides: Sequence[str] = ()) -> TrainConfig:
    """Load and check a run's configuration.

    Args:
        name: A name of `named_configs`, a YAML file, or None for the defaults.
        overrides: "key=value" each.

    Raises:
        ConfigError: see `cinc_ecg.config`, or values that contradict each other.
    """
    config = load_config(TrainConfig, path=name, overrides=overrides, presets=named_configs())
    check(config)
    return config


def check(config: TrainConfig) -> None:
    """Refuse what cannot be trained, before any data are read.

    Raises:
        ConfigError: names the key.
    """
    model_config.check(config.model)
    picture_rows = config.model.head.n_rows if config.model.view in ("page", "rows") else None
    data_config.check(config.data, picture_rows)
    loop = config.training
    positive = {
        "training.epochs": loop.epochs,
        "training.batch_size": loop.batch_size,
        "training.accumulate": loop.accumulate,
        "training.eval_every": loop.eval_every,
        "optimizer.lr": config.optimizer.lr,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(f"{name} must be positive, not {value}")
    if not 0 <= loop.ema < 1:
        raise ConfigError(f"training.ema must be at least 0 and below 1, not {loop.ema}")
    if not -1 <= config.cv.val_fold < config.cv.n_folds:
        raise ConfigError(f"cv.val_fold must be -1 or below cv.n_folds={config.cv.n_folds}")
    if loop.monitor == "snr_db" and config.model.head.kind == "none":
        raise ConfigError("training.monitor=snr_db needs a digitization head")
    if loop.monitor == "auc" and not config.model.dx.classes:
        raise ConfigError("training.monitor=auc needs model.dx.classes")
