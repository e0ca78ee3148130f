"""From a configuration to what the loop needs: records in two parts, data sets, network, loss."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.config import to_plain
from cinc_ecg.data.datasets import EcgDataset
from cinc_ecg.data.labels import count_classes, read_label_table, trainable_classes
from cinc_ecg.data.recordings import (
    Recording,
    fingerprint,
    read_folder,
    relabelled,
    report_notes,
    simulated,
)
from cinc_ecg.data.splits import assign_folds
from cinc_ecg.errors import ConfigError, RecordError, TrainingError
from cinc_ecg.models.card import Card, load_model
from cinc_ecg.models.losses import TotalLoss
from cinc_ecg.models.network import EcgNetwork, build_network
from cinc_ecg.training.config import AUTO, TrainConfig
from cinc_ecg.types import Note

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Split:
    """Records to train on and records held out.

    Attributes:
        training, held_out: The two parts.
        held_out_is_training: True when there was nothing to hold out.
        notes: What was left out and why.
    """

    training: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    held_out_is_training: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What a run trains.

    Attributes:
        config: Resolved: class names are those of the data.
        split: Records.
        network, loss: To be trained.
        train_set, held_out_set: Samples.
        card: The model's card before any figures.
    """

    config: TrainConfig
    split: Split
    network: EcgNetwork
    loss: TotalLoss
    train_set: EcgDataset
    held_out_set: EcgDataset
    card: Card


def build_task(config: TrainConfig, recordings: Sequence[Recording] | None = None) -> Task:
    """Read the data and build the network.

    Args:
        config: The run.
        recordings: Used instead of the records of `config.data.folder`.

    Raises:
        RecordError: no record can be used (no_records).
        TrainingError: classes are to be learned but no record has labels (no_labels).
        ConfigError, PluginError, CardError: the network cannot be built.
    """
    split = split_records(config, recordings)
    config = with_classes(config, split.training)
    torch.manual_seed(config.training.seed)
    network = build_network(config.model)
    if config.training.init:
        warm_start(network, Path(config.training.init))
    sets = [
        EcgDataset(part, config.model, config.data, training=training, seed=config.training.seed)
        for part, training in ((split.training, True), (split.held_out, False))
    ]
    head = config.model.head
    return Task(
        config=config,
        split=split,
        network=network,
        loss=TotalLoss(config.loss, heat_cell=(head.heat_stride_y, head.heat_stride_x)),
        train_set=sets[0],
        held_out_set=sets[1],
        card=describe(config, split),
    )


def split_records(config: TrainConfig, recordings: Sequence[Recording] | None = None) -> Split:
    """Read the data folder and part it into training and held-out records.

    Raises:
        RecordError: nothing to train on (no_records).
        ConfigError: neither a folder nor simulated records.
    """
    data, cv = config.data, config.cv
    notes: list[Note] = []
    if recordings is None and data.folder:
        recordings, notes = read_folder(Path(data.folder))
    if recordings is None and not data.simulated:
        raise ConfigError("data.folder is not set; name a folder of records, or data.simulated=N")
    if data.label_table:
        table = read_label_table(Path(data.label_table))
        recordings = relabelled(recordings or (), table, data.dataset)
    usable, unusable = _usable(recordings or (), config)
    notes += unusable
    report_notes(notes)
    if data.max_records:
        usable = usable[: data.max_records]
    invented = simulated(data.simulated, config.training.seed)
    if not usable and not invented:
        where = f"{data.folder}: " if data.folder else ""
        raise RecordError(f"{where}no record can be used for training", code="no_records")
    pool = usable or invented
    added = tuple(invented) if usable else ()
    groups = [recording.group for recording in pool]
    if cv.val_fold < 0 or len(set(groups)) < 2:
        return Split((*pool, *added), tuple(pool), True, tuple(notes))
    folds = assign_folds(
        groups,
        [recording.labels for recording in pool],
        n_folds=min(cv.n_folds, len(set(groups))),
        seed=config.training.seed,
        method=cv.method,
    )
    fold = cv.val_fold % min(cv.n_folds, len(set(groups)))
    inside = [r for r, k in zip(pool, folds, strict=True) if k == fold]
    outside = [r for r, k in zip(pool, folds, strict=True) if k != fold]
    if not inside or not outside:  # a hash may leave a fold of few records empty
        return Split((*pool, *added), tuple(pool), True, tuple(notes))
    return Split((*outside, *added), tuple(inside), False, tuple(notes))


def _usable(
    recordings: Sequence[Recording], config: TrainConfig
) -> tuple[list[Recording], list[Note]]:
    """Keep the records that have what the view needs."""
    pictures = config.model.view != "signal" and config.data.source == "images"
    kept, notes = [], []
    for recording in recordings:
        if recording.images if pictures else recording.has_signal:
            kept.append(recording)
        else:
            code = "no_images" if pictures else "record_missing"
            what = "pictures" if pictures else "samples"
            notes.append(Note(code, "warning", recording.name, f"{recording.name}: no {what}"))
    return kept, notes


def with_classes(config: TrainConfig, recordings: Sequence[Recording]) -> TrainConfig:
    """Replace the class list "auto" by the classes of the data.

    Raises:
        TrainingError: no record has labels, or no class has examples on both sides (no_labels).
    """
    if tuple(config.model.dx.classes) != (AUTO,):
        return config
    classes, few = trainable_classes([recording.labels for recording in recordings])
    if few:
        _LOG.warning("[few_examples] not learned, too few examples: %s", ", ".join(few))
    if not classes and config.model.head.kind == "none":
        raise TrainingError(
            "no class has two labelled records with it and two without; "
            "add '# Labels:' lines to the headers, or name model.dx.classes",
            code="no_labels",
        )
    if not classes:
        _LOG.warning("[no_labels] no labels to learn from; training digitization alone")
    dx = replace(config.model.dx, classes=classes)
    monitor = config.training.monitor
    loop = replace(config.training, monitor="loss" if monitor == "auc" and not classes else monitor)
    return replace(config, model=replace(config.model, dx=dx), training=loop)


def warm_start(network: EcgNetwork, folder: Path) -> tuple[str, ...]:
    """Copy every tensor of a saved model whose name and shape fit; return the names left fresh.

    Raises:
        CardError: the folder holds no readable model.
    """
    loaded, _ = load_model(folder)
    given = loaded.state_dict()
    own = network.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict({**own, **fitting})
    fresh = tuple(sorted(set(own) - set(fitting)))
    if fresh:
        _LOG.info("warm start from %s: %d tensors, %d fresh", folder, len(fitting), len(fresh))
    return fresh


def sample_weights(recordings: Sequence[Recording], per_record: int) -> NDArray[np.float64]:
    """Return the chance of each sample such that rare classes come up more often."""
    counts = count_classes(recording.labels for recording in recordings)
    weights = [
        max((1 / np.sqrt(counts[name]) for name in recording.labels or () if name in counts),
            default=1 / np.sqrt(max(counts.values(), default=1)))
        for recording in recordings
    ]  # fmt: skip
    return np.repeat(np.array(weights), per_record)


def describe(config: TrainConfig, split: Split) -> Card:
    """Return the model's card before any figures are known."""
    heads = []
    if config.model.head.kind != "none":
        heads.append("digitization")
    if config.model.dx.classes:
        heads.append("diagnosis")
    everything = {recording.name: recording for recording in (*split.training, *split.held_out)}
    return Card(
        config=config.model,
        task="+".join(heads),
        preprocessing={"data": to_plain(config.data)} | {"folder": None},
        training={
            "n_records": len(split.training),
            "n_held_out": 0 if split.held_out_is_training else len(split.held_out),
            "labels": count_classes(recording.labels for recording in split.training),
            "fingerprint": fingerprint(everything.values()),
            "seed": config.training.seed,
            "settings": {k: v for k, v in to_plain(config).items() if k != "model"},
        },
        summary=config.tracking.name or f"{config.model.view} view, {config.model.backbone.name}",
    )
