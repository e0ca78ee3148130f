"""Everything a training run of a diagnosis model can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cinc_ecg.config import load_config
from cinc_ecg.data.dx import DxVariation
from cinc_ecg.data.labels import CHALLENGE_CLASSES
from cinc_ecg.training.config import OptimizerConfig, ScheduleConfig


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """One kind of network.

    Attributes:
        backbone: `cinc:NAME?option=value`.
        epochs: Passes over the training part; 0 leaves this kind out.
        dropout: In the head.
    """

    backbone: str = "cinc:ecg_resnet1d"
    epochs: int = 24
    dropout: float = 0.4


def _strip() -> MemberConfig:
    return MemberConfig(
        "cinc:ecg_resnet1d?width=34&blocks=1&stages=4&growth=1.4&kernel=5&stem_kernel=9", epochs=11
    )


def _beat() -> MemberConfig:
    return MemberConfig(
        "cinc:ecg_resnet1d?width=56&blocks=1&stages=3&growth=1.35&kernel=5&stem_kernel=5", epochs=12
    )


@dataclass(frozen=True, slots=True)
class DxSourceConfig:
    """Where the labels are.

    Attributes:
        table: PTB-XL's `ptbxl_database.csv` or a table with its columns; "" = the headers' labels.
        statements: Its `scp_statements.csv`.
        folds: Folds of PTB-XL to train on; its other recordings are left out.
        snomed: Also use recordings that are not of PTB-XL: their "# Labels:" or "# Dx:" lines.
    """

    table: str = ""
    statements: str = ""
    folds: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    snomed: bool = True


@dataclass(frozen=True, slots=True)
class DxTrainConfig:
    """A training run of a diagnosis model.

    Attributes:
        source: Where the labels are.
        strip, beat: The networks of the two input kinds.
        classes: Those the networks learn, in the order of their outputs.
        reported: Of these, the ones that may be given as labels if there is data enough.
        least: Fewest known records with a class, and without it, for a class to be reported.
        least_f: Smallest F on held-out records for a class to be reported.
        n_folds: Parts of the data, each held out once.
        folds_used: Train only so many of them, 0 = all.
        batch_size: Records per step.
        smoothing: Targets are this far from 0 and 1.
        layout: What held-out records are cut to for temperature and thresholds.
        objective: Of the thresholds: "f1", "youden", "g_beta" or "fixed".
        seed: Start of all chance.
    """

    source: DxSourceConfig = field(default_factory=DxSourceConfig)
    strip: MemberConfig = field(default_factory=_strip)
    beat: MemberConfig = field(default_factory=_beat)
    classes: tuple[str, ...] = (
        *("NORM", "MI", "Old MI", "STTC", "CD", "HYP"),
        *("PAC", "PVC", "AFIB/AFL", "TACHY", "BRADY"),
    )
    reported: tuple[str, ...] = CHALLENGE_CLASSES
    least: int = 20
    least_f: float = 0.2
    n_folds: int = 4
    folds_used: int = 0
    batch_size: int = 32
    smoothing: float = 0.02
    layout: str = "3x4+1"
    objective: str = "f1"
    seed: int = 0
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=2e-3, weight_decay=0.05)
    )
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(warmup=0.25))
    variation: DxVariation = field(default_factory=DxVariation)


def load_dx_config(path: Path | None = None, overrides: Sequence[str] = ()) -> DxTrainConfig:
    """Load a run's configuration: defaults, then a YAML file, then `key=value`.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind.
    """
    return load_config(DxTrainConfig, path=path, overrides=overrides)
