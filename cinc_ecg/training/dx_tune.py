"""Go on training a diagnosis model on other data, within a time budget.

Classes that the model knows keep their outputs; labels it has never seen get new ones. Only labels
that occur in the data are reported afterwards, unless the data are too few to say.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cinc_ecg.config import to_plain
from cinc_ecg.data.dx import DxSamples, DxVariation, batch, printed, read_samples
from cinc_ecg.data.labels import CHALLENGE_CLASSES, count_classes
from cinc_ecg.data.recordings import Recording, fingerprint
from cinc_ecg.data.splits import assign_folds
from cinc_ecg.errors import TrainingError
from cinc_ecg.metrics.classification import best_threshold, class_aucs
from cinc_ecg.models.card import Card
from cinc_ecg.models.dx import DxModel, Member, probabilities
from cinc_ecg.models.network import EcgNetwork, build_network
from cinc_ecg.training.config import OptimizerConfig, ScheduleConfig
from cinc_ecg.training.dx import DxTrainConfig, masked_bce, model_config
from cinc_ecg.training.schedule import make_optimizer, rate_factor, set_rate

_LOG = logging.getLogger(__name__)
#: Class of a network whose outputs are all to be replaced.
_NOBODY = "nobody"
#: New outputs start no surer than this.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class DxTuneConfig:
    """How to go on.

    Attributes:
        epochs: Most passes over the data for a model that was trained before.
        fresh_epochs: The same for one that was not.
        lr, fresh_lr: Peak learning rates likewise; a trained backbone takes 0.3 of it.
        batch_size: Records per step.
        smoothing: Targets are this far from 0 and 1.
        hold_out: Share of the records that thresholds are fitted on.
        least: Fewest held-out records with a class, and without it, for a threshold of its own.
        least_seen: The same over all records, for classes that had no threshold before.
        few: With fewer labelled records than this, classes that do not occur are still reported.
        threshold: Of classes for which there is no better one.
        layout: What held-out records are cut to.
        seed: Start of all chance.
    """

    epochs: int = 6
    fresh_epochs: int = 24
    lr: float = 5e-4
    fresh_lr: float = 2e-3
    batch_size: int = 32
    smoothing: float = 0.02
    hold_out: float = 0.2
    least: int = 10
    least_seen: int = 3
    few: int = 50
    threshold: float = 0.4
    layout: str = "3x4+1"
    seed: int = 0


def tune_dx(
    model: DxModel | None,
    recordings: Sequence[Recording],
    *,
    budget_s: float,
    config: DxTuneConfig | None = None,
) -> DxModel:
    """Train a diagnosis model further, or a first one.

    Args:
        model: Where to start; None = random weights.
        recordings: With signals and labels; those without are left out.
        budget_s: Time for the training; one step per network is always done.
        config: Settings.

    Raises:
        TrainingError: no record has both a signal and labels (no_labels).
    """
    config = config or DxTuneConfig()
    found = tuple(count_classes(recording.labels for recording in recordings))
    known = model.classes if model else ()
    classes = known + tuple(name for name in found if name not in known)
    classes = classes or CHALLENGE_CLASSES
    samples = read_samples(recordings, classes)
    if not len(samples):
        raise TrainingError("no record has both a signal and labels", code="no_labels")
    shares = dict(zip(classes, _shares(samples), strict=True))
    members = [
        Member(member.kind, with_outputs(member.network, classes, shares))
        for member in (model.members if model else _fresh())
    ]
    held = _held_out(samples, config)
    training = samples.take(np.flatnonzero(~held))
    begin = time.monotonic()
    steps = 0
    for number, member in enumerate(members):
        end = begin + budget_s * (number + 1) / len(members)
        steps += _tune(member, training, config, end, number, fresh=model is None)
    tuned = DxModel(tuple(members), _card(model, members, recordings, samples, steps, config))
    return _with_thresholds(tuned, model, samples, held, config)


def with_outputs(
    network: EcgNetwork, classes: tuple[str, ...], shares: Mapping[str, float]
) -> EcgNetwork:
    """Return the network with outputs for `classes`, those it had keeping their weights.

    A new output starts at the class's share in the data, whatever the input: a random one would
    call half of all records.
    """
    before = tuple(network.config.dx.classes)
    if before == classes:
        return network
    dx = replace(network.config.dx, classes=classes)
    backbone = replace(network.config.backbone, weights="none")
    wider = build_network(replace(network.config, dx=dx, backbone=backbone))
    old, new = _last_layer(network), _last_layer(wider)
    kept = {id(old.weight), id(old.bias)}
    given = {k: v for k, v in network.state_dict(keep_vars=True).items() if id(v) not in kept}
    wider.load_state_dict({**wider.state_dict(), **given})
    with torch.no_grad():
        for row, name in enumerate(classes):
            if name in before:
                new.weight[row] = old.weight[before.index(name)]
                new.bias[row] = old.bias[before.index(name)]
            else:
                share = min(max(shares.get(name, 0.0), _LEAST_SHARE), 1 - _LEAST_SHARE)
                new.weight[row] = 0.0
                new.bias[row] = math.log(share / (1 - share))
    return wider


def _last_layer(network: EcgNetwork) -> nn.Linear:
    layers = [module for module in network.view.modules() if isinstance(module, nn.Linear)]
    last = [layer for layer in layers if layer.out_features == len(network.config.dx.classes)][-1]
    return last


def _fresh() -> list[Member]:
    config = DxTrainConfig(classes=(_NOBODY,))
    return [
        Member(kind, build_network(model_config(config, entry, kind)))
        for kind, entry in (("strip", config.strip), ("beat", config.beat))
    ]


def _shares(samples: DxSamples) -> list[float]:
    """Return the share of each class among the records where it is known."""
    known = np.maximum(samples.known.sum(axis=0), 1)
    return [float(x) for x in (samples.targets * samples.known).sum(axis=0) / known]


def _held_out(samples: DxSamples, config: DxTuneConfig) -> NDArray[np.bool_]:
    """Hold records out for the thresholds if there are enough to spare them."""
    if len(samples) * config.hold_out < 2 * config.least:
        return np.zeros(len(samples), bool)
    labels = [tuple(np.flatnonzero(row)) for row in samples.targets]
    folds = assign_folds(
        samples.groups, labels, n_folds=max(round(1 / config.hold_out), 2), seed=config.seed
    )
    held: NDArray[np.bool_] = folds == 0
    return held if 0 < held.sum() < len(held) else np.zeros(len(samples), bool)


def _tune(
    member: Member,
    samples: DxSamples,
    config: DxTuneConfig,
    end: float,
    number: int,
    *,
    fresh: bool,
) -> int:
    """Train one network until its epochs are done or its time is over; return its steps."""
    torch.manual_seed(config.seed + number)
    rng = np.random.default_rng([config.seed, number])
    network = member.network
    rate = config.fresh_lr if fresh else config.lr
    optimizer = make_optimizer(
        network,
        network.backbone,
        nn.Identity(),
        OptimizerConfig(lr=rate, weight_decay=0.05, backbone_lr=1.0 if fresh else 0.3),
    )
    begin = time.monotonic()
    schedule = ScheduleConfig(warmup=0.25)
    per_epoch = max(1, len(samples) // config.batch_size)
    total = per_epoch * (config.fresh_epochs if fresh else config.epochs)
    order = rng.permutation(len(samples))
    network.train()
    done = 0
    while done < total and (done == 0 or time.monotonic() < end):
        if done and done % per_epoch == 0:
            order = rng.permutation(len(samples))
        first = done % per_epoch * config.batch_size
        indices = order[first : first + config.batch_size]
        if len(indices) == 1:  # batch normalisation needs two
            indices = np.repeat(indices, 2)
        values, masks = batch(samples, indices, member.kind, how=DxVariation(), rng=rng)
        output = network(
            {"signal": torch.from_numpy(values), "signal_mask": torch.from_numpy(masks)}
        )
        loss = masked_bce(
            output.logits,
            torch.from_numpy(samples.targets[indices]),
            torch.from_numpy(samples.known[indices]),
            config.smoothing,
        )
        elapsed = (time.monotonic() - begin) / max(end - begin, 1e-3)
        set_rate(optimizer, rate * rate_factor(schedule, max(done / total, elapsed)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        done += 1
    network.eval()
    _LOG.info("%s network %d: %d of %d steps", member.kind, number + 1, done, total)
    return done


def _card(
    model: DxModel | None,
    members: Sequence[Member],
    recordings: Sequence[Recording],
    samples: DxSamples,
    steps: int,
    config: DxTuneConfig,
) -> Card:
    network = members[0].network.config
    card = model.card if model else Card(network, task="diagnosis")
    names = set(samples.names)
    training = {
        "n_records": len(samples),
        "n_left_out": len(samples.left_out),
        "labels": count_classes(recording.labels for recording in recordings),
        "fingerprint": fingerprint(entry for entry in recordings if entry.name in names),
        "steps": steps,
        "settings": to_plain(config),
        "started_from": card.training if model else None,
    }
    return replace(card, config=network, training=training, metrics={}, files={})


def _with_thresholds(
    tuned: DxModel,
    before: DxModel | None,
    samples: DxSamples,
    held: NDArray[np.bool_],
    config: DxTuneConfig,
) -> DxModel:
    """Choose the classes to report and their thresholds; measure on what was held out."""
    old = before.card.thresholds if before else {}
    p = _probabilities(tuned, samples, config)
    thresholds = {}
    for name in _reported(tuned, samples, old, config):
        k = tuned.classes.index(name)
        known, truth = samples.known[:, k] > 0, samples.targets[:, k] > 0
        fits = [
            (held & known, config.least),  # best: records the networks have not seen
            (known, len(samples) + 1 if name in old else config.least_seen),
        ]
        for use, least in fits:
            positive = truth[use]
            if min(positive.sum(), (~positive).sum()) >= least:
                thresholds[name] = round(best_threshold(p[use, k], positive, "f1"), 4)
                break
        else:
            thresholds[name] = old.get(name, config.threshold)
    refused = {
        name: "does not occur in the training data"
        for name in tuned.classes
        if name not in thresholds
    }
    card = replace(
        tuned.card,
        thresholds=thresholds,
        metrics=_figures(tuned.classes, p[held], samples.take(np.flatnonzero(held))),
        extra={**tuned.card.extra, "not_predicted": refused},
    )
    return replace(tuned, card=card)


def _reported(
    tuned: DxModel, samples: DxSamples, old: Mapping[str, float], config: DxTuneConfig
) -> list[str]:
    """Return the classes that occur; with few records also those that were reported before."""
    occurs = (samples.targets * samples.known).sum(axis=0) > 0
    used = set(tuned.card.training["labels"])  # acute and old MI also train the output "MI"
    few = len(samples) < config.few
    return [
        name
        for name, there in zip(tuned.classes, occurs, strict=True)
        if (there and (name in used or name in old)) or (few and name in old)
    ]


def _figures(
    classes: tuple[str, ...], p: NDArray[np.float64], held: DxSamples
) -> dict[str, object]:
    if not len(held):
        return {}
    areas = zip(classes, class_aucs(p, held.targets, held.known), strict=True)
    auc = {name: round(float(area), 4) for name, area in areas if np.isfinite(area)}
    return {"held out": {"n": len(held), "auc": auc}}


def _probabilities(model: DxModel, samples: DxSamples, config: DxTuneConfig) -> NDArray[np.float64]:
    shown = printed(config.layout)
    strips = [np.where(shown, strip.astype(float), np.nan) for strip in samples.strips]
    return probabilities(model.logits(strips), model.card.temperature)
