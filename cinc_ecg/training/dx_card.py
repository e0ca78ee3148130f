"""What held-out records decide about a diagnosis model: temperature, thresholds, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from cinc_ecg.config import to_plain
from cinc_ecg.data.dx import DxSamples
from cinc_ecg.data.labels import SUPERCLASSES
from cinc_ecg.data.recordings import Recording, fingerprint
from cinc_ecg.metrics.classification import (
    best_threshold,
    bootstrap,
    class_aucs,
    count,
    interval,
    macro_auc,
    macro_f1,
)
from cinc_ecg.models.card import Card
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.models.dx import BEAT_SHARE, blend, probabilities
from cinc_ecg.models.dx_input import FS_HZ
from cinc_ecg.training.dx_config import DxTrainConfig

SUMMARY = (
    "Diagnosis from a digitized 12-lead signal: a blend of small 1-D networks on strips and median "
    "beats. For research; not a medical device."
)


#: Shares of the beats' networks that are tried; an even one wins ties.
_SHARES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Records as seen by the networks that were not trained on them.

    Attributes:
        by_kind: Input kind -> (n, classes) logits.
        targets, known: (n, classes) of 0 and 1.
    """

    by_kind: dict[str, NDArray[np.float64]]
    targets: NDArray[np.float32]
    known: NDArray[np.float32]


def fit_shares(held_out: HeldOut, classes: Sequence[str]) -> dict[str, float]:
    """Return each class's share of the beats' networks: the smallest cross-entropy of eleven."""
    if len(held_out.by_kind) < 2:
        return {}
    shares = {}
    for k, name in enumerate(classes):
        use = held_out.known[:, k] > 0
        targets = held_out.targets[use, k]
        beat, strip = (held_out.by_kind[kind][use, k] for kind in ("beat", "strip"))
        losses = [_entropy(share * beat + (1 - share) * strip, targets) for share in _SHARES]
        shares[name] = _SHARES[int(np.argmin(losses))]
    return shares


def fit_temperature(
    logits: NDArray[np.float64], targets: NDArray[np.float32], known: NDArray[np.float32]
) -> float:
    """Return the temperature with the smallest cross-entropy over what is known."""
    use = known > 0
    found = minimize_scalar(
        lambda log_t: _entropy(logits[use] / np.exp(log_t), targets[use]),
        bounds=(np.log(0.2), np.log(5.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _entropy(logits: NDArray[np.float64], targets: NDArray[np.float32]) -> float:
    """Return the mean of log(1 + exp(logit)) - target * logit."""
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))


def fit_thresholds(
    p: NDArray[np.float64], held_out: HeldOut, config: DxTrainConfig
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the thresholds of the classes that can be reported, and why the others cannot."""
    thresholds: dict[str, float] = {}
    refused: dict[str, str] = {}
    for name in config.reported:
        if name not in config.classes:
            refused[name] = "not learned: too few recordings of which it is known"
            continue
        k = config.classes.index(name)
        use = held_out.known[:, k] > 0
        positive = held_out.targets[use, k] > 0
        if min(positive.sum(), (~positive).sum()) < config.least:
            refused[name] = f"{int(positive.sum())} of {len(positive)} known recordings have it"
            continue
        limit = round(best_threshold(p[use, k], positive, config.objective), 4)
        f = count(p[use, k] >= limit, positive).f1
        if f < config.least_f:
            refused[name] = f"F of {f:.2f} on held-out recordings at the best threshold"
            continue
        thresholds[name] = limit
    return thresholds, refused


def make_card(
    config: DxTrainConfig,
    samples: DxSamples,
    recordings: Sequence[Recording],
    held_out: HeldOut,
    first: ModelConfig,
) -> Card:
    """Fit temperature and thresholds on held-out records and describe the model.

    Args:
        config: The run.
        samples: What it was trained on.
        recordings: Where those come from.
        held_out: Each record as seen by the networks that were not trained on it.
        first: Configuration of the first network.
    """
    shares = fit_shares(held_out, config.classes)
    logits = blend(held_out.by_kind, config.classes, shares)
    temperature = fit_temperature(logits, held_out.targets, held_out.known)
    p = probabilities(logits, temperature)
    thresholds, refused = fit_thresholds(p, held_out, config)
    names = set(samples.names)
    source = to_plain(config.source)
    source |= {key: Path(source[key]).name for key in ("table", "statements")}
    counts = {
        name: {
            "with": int((samples.targets[:, k] * samples.known[:, k]).sum()),
            "known": int(samples.known[:, k].sum()),
        }
        for k, name in enumerate(config.classes)
    }
    return Card(
        config=first,
        task="diagnosis",
        thresholds=thresholds,
        temperature=round(temperature, 4),
        preprocessing={
            "fs_hz": FS_HZ,
            "strip": "10 s of each lead about its median, 0 where not printed, with a mask",
            "beat": "median beat of each lead about its level before the QRS, with a mask",
        },
        training={
            "n_records": len(samples),
            "n_left_out": len(samples.left_out),
            "classes": counts,
            "fingerprint": fingerprint(r for r in recordings if r.name in names),
            "settings": to_plain(config) | {"source": source},
        },
        metrics={"held out": held_out_figures(p, held_out, config, thresholds)},
        summary=SUMMARY,
        extra={"not_predicted": refused, BEAT_SHARE: shares},
    )


def held_out_figures(
    p: NDArray[np.float64],
    held_out: HeldOut,
    config: DxTrainConfig,
    thresholds: dict[str, float],
) -> dict[str, object]:
    """Return the figures of the folds' held-out records; thresholds were fitted on the same."""
    aucs = class_aucs(p, held_out.targets, held_out.known)
    five = [config.classes.index(name) for name in SUPERCLASSES if name in config.classes]
    part = p[:, five], held_out.targets[:, five], held_out.known[:, five]
    low, high = interval(bootstrap(*part, n=1000, seed=config.seed))
    named = [config.classes.index(name) for name in thresholds]
    limits = np.array([thresholds[name] for name in thresholds])
    f = macro_f1(p[:, named] >= limits, held_out.targets[:, named], held_out.known[:, named])
    return {
        "n": len(p),
        "layout": config.layout,
        "auc": {name: round(float(a), 4) for name, a in zip(config.classes, aucs, strict=True)},
        "macro_auc_superclasses": round(macro_auc(*part), 4),
        "macro_auc_superclasses_95": [round(low, 4), round(high, 4)],
        "macro_f_reported_same_records": round(f, 4),
    }
