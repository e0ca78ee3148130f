"""Report on a trained model: figures per class, per page condition, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.config import load_config, to_plain
from cinc_ecg.data.datasets import EcgDataset, EpochBatches, make_loader
from cinc_ecg.data.dx import printed, read_samples
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import CardError, ConfigError
from cinc_ecg.metrics.classification import (
    best_threshold,
    bootstrap,
    class_aucs,
    class_counts,
    f_g_beta,
    interval,
    macro_auc,
    macro_f1,
)
from cinc_ecg.models.card import Card, card_from_dict, load_model, read_card
from cinc_ecg.models.dx import load_dx, probabilities
from cinc_ecg.models.losses import TotalLoss
from cinc_ecg.training.config import TrainConfig
from cinc_ecg.training.measure import Measured, class_areas, measure
from cinc_ecg.training.tasks import split_records

#: Name -> settings of the pages or signals it stands for.
PAGE_CONDITIONS: dict[str, tuple[str, ...]] = {
    "clean": ("data.pages.style=clean",),
    "varied": ("data.pages.style=vary", "data.pages.severity=0"),
    "worn": ("data.pages.style=vary", "data.pages.severity=0.5"),
    "bad": ("data.pages.style=vary", "data.pages.severity=1"),
    "coarse": ("data.pages.style=vary", "data.pages.severity=0", "data.pages.dpi=[60,75]"),
}
SIGNAL_CONDITIONS: dict[str, tuple[str, ...]] = {
    "whole": ("data.signals.windows=0",),
    **{
        layout: ("data.signals.windows=1", f'data.signals.layouts=["{layout}"]')
        for layout in ("3x4+1", "3x4", "6x2")
    },
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: how many have it of how many known, area with interval, decisions.

    `confusion` is (TP, FP, FN, TN).
    """

    name: str
    n_with: int
    n_known: int
    confusion: tuple[int, int, int, int]
    auc: float
    auc_low: float
    auc_high: float
    threshold: float
    precision: float
    recall: float
    f1: float
    g_beta: float


@dataclass(frozen=True, slots=True)
class DxReport:
    """Figures over classes; intervals are 95 % over resampled records."""

    rows: tuple[ClassRow, ...]
    macro_auc: float
    macro_auc_95: tuple[float, float]
    macro_f1: float
    micro_f1: float
    weighted_f1: float


@dataclass(frozen=True, slots=True)
class Condition:
    """The figures of one condition; `snr_db_95` and `dx` where the model has that head."""

    name: str
    measured: Measured
    snr_db_95: tuple[float, float] | None
    dx: DxReport | None


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to evaluate, and how.

    Attributes:
        data: Challenge folder; empty = simulated records.
        simulated: Number of those.
        source: "rendered" or "images" for views of pages.
        conditions: Names; empty = all that fit the model; "as trained" changes nothing.
        fold: Only this fold of the records, cut as in training; None = all records.
        thresholds: "card", "fixed", "f1", "youden" or "g_beta"; the last three are fitted on one
            half of the records and applied to the other.
        draws: Bootstrap draws.
        batch_size: Samples per forward pass.
        device: A torch device, or "auto".
        seed: Of simulated records and pages.
    """

    data: str = ""
    simulated: int = 0
    source: str = "rendered"
    conditions: tuple[str, ...] = ()
    fold: int | None = None
    thresholds: str = "card"
    draws: int = 1000
    batch_size: int = 8
    device: str = "auto"
    seed: int = 0


AS_TRAINED = "as trained"


def evaluate_model(folder: Path, options: EvaluateOptions) -> Iterator[Condition]:
    """Yield the figures of each condition.

    Args:
        folder: Model folder of `cinc-ecg train`, or of a diagnosis model.
        options: What and how.

    Raises:
        CardError: no readable model.
        ConfigError: an unknown condition, or nothing to evaluate on.
        RecordError: no record can be used.
    """
    values = read_card(folder)
    card = card_from_dict(values, str(folder))
    ensemble = "members" in card.extra
    known = SIGNAL_CONDITIONS if ensemble or card.config.view == "signal" else PAGE_CONDITIONS
    names = options.conditions or tuple(known)
    for name in names:
        if name not in known and name != AS_TRAINED:
            raise ConfigError(f"unknown condition {name!r}; choose {', '.join(known)}")
    config = run_config(card, options)
    records = _records(config, options)
    for name in names:
        if ensemble:
            measured = _measure_ensemble(folder, records, name)
        else:
            setting = load_config(
                TrainConfig, values=to_plain(config), overrides=known.get(name, ())
            )
            measured = measure_model(folder, setting, records, options)
        yield Condition(
            name,
            measured,
            snr_interval(measured, options.draws),
            dx_report(measured, card, options),
        )


def run_config(card: Card, options: EvaluateOptions) -> TrainConfig:
    """Return the settings of the training that a card tells of, on other data."""
    settings: dict[str, Any] = dict(card.training.get("settings") or {})
    parts = ("data", "loss", "cv")
    groups: dict[str, Any] = {name: settings[name] for name in parts if name in settings}
    config: TrainConfig = load_config(TrainConfig, values=groups)
    data = replace(
        config.data,
        folder=options.data,
        simulated=options.simulated,
        source="images" if options.source == "images" else "rendered",
        max_records=0,
    )
    seed = int(settings.get("training", {}).get("seed", 0))
    loop = replace(config.training, batch_size=options.batch_size, seed=seed)
    return replace(config, model=card.config, data=data, training=loop)


def measure_model(
    folder: Path, config: TrainConfig, records: Sequence[Recording], options: EvaluateOptions
) -> Measured:
    """Run a saved network over records."""
    device = torch.device(_device(options.device))
    network, card = load_model(folder, device=str(device))
    head = card.config.head
    loss = TotalLoss(config.loss, heat_cell=(head.heat_stride_y, head.heat_stride_x)).to(device)
    data = EcgDataset(records, card.config, config.data, training=False, seed=options.seed)
    order = EpochBatches(len(data), options.batch_size, shuffle=False)
    loader = make_loader(data, order, workers=config.data.workers)
    return measure(network, loss, loader, card.classes, device)


def dx_report(measured: Measured, card: Card, options: EvaluateOptions) -> DxReport | None:
    """Return the table of classes, or None without labelled samples."""
    if not len(measured.logits) or not measured.known.any():
        return None
    p = probabilities(measured.logits.astype(np.float64), card.temperature)
    targets, known = measured.labels > 0.5, measured.known > 0
    limits = _thresholds(p, targets, known, card, options)
    predicted = p >= limits
    draws = {name: np.array([np.nan]) for name in ("all", *card.classes)}
    if options.draws and len(p) > 1:
        draws["all"] = bootstrap(p, targets, known, n=options.draws, seed=options.seed)
        for k, name in enumerate(card.classes):
            column = p[:, k : k + 1], targets[:, k : k + 1], known[:, k : k + 1]
            both = targets[known[:, k], k]
            if both.any() and not both.all():
                draws[name] = bootstrap(*column, n=options.draws, seed=options.seed)
    counts = class_counts(predicted, targets, known)
    areas = class_aucs(p, targets, known)
    _, g_beta = f_g_beta(predicted & known, targets & known)
    rows = []
    for k, name in enumerate(card.classes):
        low, high = _interval(draws[name])
        entry = counts[k]
        rows.append(
            ClassRow(
                name=name,
                n_with=int((targets[:, k] & known[:, k]).sum()),
                n_known=int(known[:, k].sum()),
                confusion=(entry.tp, entry.fp, entry.fn, entry.tn),
                auc=float(areas[k]),
                auc_low=low,
                auc_high=high,
                threshold=float(np.mean(limits[:, k])),
                precision=entry.precision,
                recall=entry.recall,
                f1=entry.f1,
                g_beta=float(g_beta[k]),
            )
        )
    wrong = sum(entry.fp + entry.fn for entry in counts)
    right = sum(entry.tp for entry in counts)
    return DxReport(
        rows=tuple(rows),
        macro_auc=macro_auc(p, targets, known),
        macro_auc_95=_interval(draws["all"]),
        macro_f1=macro_f1(predicted, targets, known),
        micro_f1=2 * right / (2 * right + wrong) if right + wrong else float("nan"),
        weighted_f1=_weighted([row.f1 for row in rows], [row.n_with for row in rows]),
    )


def snr_interval(measured: Measured, draws: int, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean SNR over resampled samples."""
    values = np.array([_finite_mean(sample.snr_db) for sample in measured.samples])
    values = values[np.isfinite(values)]
    if len(values) < 2 or not draws:
        return None
    pick = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    return _interval(values[pick].mean(axis=1))


def _records(config: TrainConfig, options: EvaluateOptions) -> tuple[Recording, ...]:
    whole = options.fold is None
    cv = replace(config.cv, val_fold=-1 if options.fold is None else options.fold)
    split = split_records(replace(config, cv=cv))
    return split.training if whole else split.held_out


def _measure_ensemble(folder: Path, records: Sequence[Recording], condition: str) -> Measured:
    """Measure a diagnosis model of several networks on signals cut to a layout."""
    model = load_dx(folder)
    samples = read_samples(records, model.classes)
    if not len(samples):
        raise CardError(f"{folder}: no labelled record to evaluate on", code="no_labels")
    shown = printed("3x4+1" if condition == AS_TRAINED else condition)
    strips = [np.where(shown, strip.astype(float), np.nan) for strip in samples.strips]
    logits = model.logits(strips)
    areas = class_areas(logits, samples.targets, samples.known, model.classes)
    return Measured(
        n_samples=len(samples),
        loss=float("nan"),
        terms={},
        snr_db=None,
        auc=float(np.mean(list(areas.values()))) if areas else None,
        class_auc=areas,
        names=samples.names,
        logits=logits,
        labels=samples.targets,
        known=samples.known,
    )


def _thresholds(
    p: NDArray[np.float64],
    targets: NDArray[np.bool_],
    known: NDArray[np.bool_],
    card: Card,
    options: EvaluateOptions,
) -> NDArray[np.float64]:
    """Return (n, classes) limits; fitted ones come from the other half of the records."""
    if options.thresholds == "card":
        row = [card.thresholds.get(name, 0.5) for name in card.classes]
        return np.tile(row, (len(p), 1))
    half = np.random.default_rng(options.seed).permutation(len(p)) % 2
    limits = np.empty(p.shape)
    for part in (0, 1):
        other = half != part
        for k in range(p.shape[1]):
            use = other & known[:, k]
            limits[half == part, k] = best_threshold(p[use, k], targets[use, k], options.thresholds)
    return limits


def _weighted(values: Sequence[float], weights: Sequence[int]) -> float:
    """Return the mean weighted by how often each class occurs."""
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if w and np.isfinite(v)]
    total = sum(w for _, w in pairs)
    return sum(v * w for v, w in pairs) / total if total else float("nan")


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    return interval(values) if np.isfinite(values).any() else (float("nan"), float("nan"))


def _finite_mean(values: NDArray[np.floating]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
