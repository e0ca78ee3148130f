"""What a network is worth on held-out data: loss, signal-to-noise ratio, area under the curve."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cinc_ecg.data.datasets import Batch, Skipped
from cinc_ecg.metrics.classification import class_aucs
from cinc_ecg.models.network import NetworkOutput

FloatArray = NDArray[np.floating]
_SNR_LIMIT_DB = 60.0


@dataclass(frozen=True, slots=True)
class SampleResult:
    """One sample: its record and the ratio in dB of each lead (NaN = nothing to compare)."""

    name: str
    snr_db: FloatArray


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures over a set of samples.

    Attributes:
        n_samples: Samples evaluated.
        loss: Mean total loss; NaN without samples.
        terms: Mean of each term of the loss.
        snr_db: Mean over samples of the mean over leads; None without a digitization head.
        auc: Mean area under the curve of the classes that have both kinds; None without any.
        class_auc: The same per class.
        samples: One entry per sample with a signal.
        names, logits, labels, known: Diagnosis per sample, (n, classes).
        skipped: Samples that could not be made.
    """

    n_samples: int
    loss: float
    terms: dict[str, float]
    snr_db: float | None
    auc: float | None
    class_auc: dict[str, float]
    samples: tuple[SampleResult, ...] = ()
    names: tuple[str, ...] = ()
    logits: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    labels: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    known: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    skipped: tuple[Skipped, ...] = ()

    def figures(self) -> dict[str, float]:
        """Return the figures for a log line or a card, those that are numbers."""
        values = {"n": float(self.n_samples), "loss": self.loss}
        values |= {f"loss_{name}": value for name, value in self.terms.items() if name != "total"}
        if self.snr_db is not None:
            values["snr_db"] = self.snr_db
        if self.auc is not None:
            values["auc"] = self.auc
        return {name: round(value, 6) for name, value in values.items() if np.isfinite(value)}


Loss = Callable[[NetworkOutput, dict[str, Tensor]], tuple[Tensor, dict[str, float]]]


@torch.no_grad()
def measure(
    network: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    classes: tuple[str, ...],
    device: torch.device,
) -> Measured:
    """Run a network over batches in evaluation mode.

    Args:
        network: Left in the mode it was in.
        loss: The total loss of the run.
        batches: Held-out data.
        classes: Of the diagnosis head.
        device: Where the network is.
    """
    was_training = network.training
    network.eval()
    totals: dict[str, float] = {}
    results: list[SampleResult] = []
    names: list[str] = []
    rows: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    skipped: list[Skipped] = []
    n_samples = 0
    try:
        for on_host in batches:
            skipped += on_host.skipped
            if not len(on_host):
                continue
            batch = on_host.to(device)
            output = network(batch.tensors)
            total, terms = loss(output, batch.tensors)
            n_samples += len(batch)
            for key, value in {"": float(total), **terms}.items():
                totals[key] = totals.get(key, 0.0) + float(value) * len(batch)
            if output.signal_mv is not None:
                results += _signal_results(output, batch)
            if output.logits is not None:
                names += batch.names
                rows.append(_dx_rows(output.logits, batch.tensors))
    finally:
        network.train(was_training)
    means = {key: value / n_samples for key, value in totals.items()}
    logits, labels, known = (
        (np.concatenate(part) for part in zip(*rows, strict=True))
        if rows
        else (np.zeros((0, len(classes))) for _ in range(3))
    )
    class_auc = class_areas(logits, labels, known, classes)
    return Measured(
        n_samples=n_samples,
        loss=means.pop("", float("nan")),
        terms=means,
        snr_db=_mean([_mean(list(result.snr_db)) for result in results]) if results else None,
        auc=_mean(list(class_auc.values())) if class_auc else None,
        class_auc=class_auc,
        samples=tuple(results),
        names=tuple(names),
        logits=logits,
        labels=labels,
        known=known,
        skipped=tuple(skipped),
    )


def lead_snr_db(estimate: FloatArray, target: FloatArray, visible: NDArray[np.bool_]) -> float:
    """Return 10 log10 of the target's power over the error's, means removed, within +-60 dB.

    Both are taken about their means, as the Challenge's scorer aligns the level. NaN where fewer
    than two samples are visible or the target is flat.
    """
    if visible.sum() < 2:
        return float("nan")
    wanted = target[visible].astype(float)
    wanted = wanted - wanted.mean()
    error = estimate[visible].astype(float)
    error = error - error.mean() - wanted
    power = float(wanted @ wanted)
    if power <= 0:
        return float("nan")
    noise = max(float(error @ error), 1e-12 * power)
    return float(np.clip(10 * np.log10(power / noise), -_SNR_LIMIT_DB, _SNR_LIMIT_DB))


def class_areas(
    logits: FloatArray, labels: FloatArray, known: FloatArray, classes: tuple[str, ...]
) -> dict[str, float]:
    """Return the area under the ROC curve of each class with known examples of both kinds."""
    areas = class_aucs(logits, labels, known)
    pairs = zip(classes, areas, strict=True)
    return {name: float(area) for name, area in pairs if np.isfinite(area)}


def _signal_results(output: NetworkOutput, batch: Batch) -> list[SampleResult]:
    assert output.signal_mv is not None
    estimates = output.signal_mv.float().cpu().numpy()
    targets = batch.tensors["signal_mv"].cpu().numpy()
    visible = batch.tensors["visible"].cpu().numpy().astype(bool)
    return [
        SampleResult(
            name,
            np.array(
                [
                    lead_snr_db(estimates[k, lead], targets[k, lead], visible[k, lead])
                    for lead in range(targets.shape[1])
                ]
            ),
        )
        for k, name in enumerate(batch.names)
    ]


def _dx_rows(
    logits: Tensor, tensors: dict[str, Tensor]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    return (
        logits.float().cpu().numpy(),
        tensors["labels"].cpu().numpy(),
        tensors["label_mask"].cpu().numpy(),
    )


def _mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
