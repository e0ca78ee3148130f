"""Train a diagnosis model from recordings: folds of small networks, then temperature, thresholds.

Every fold is held out once; a network of each input kind is trained on the others. The model is the
mean of all networks. Temperature and thresholds come from predictions on held-out records, cut to a
page's layout, which is what the model will see.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cinc_ecg.data.dx import DxSamples, batch, read_samples
from cinc_ecg.data.ptbxl import label_recordings, ptbxl_number, read_ptbxl_table
from cinc_ecg.data.recordings import Recording, read_folder, report_notes
from cinc_ecg.data.splits import assign_folds
from cinc_ecg.errors import ConfigError, TrainingError
from cinc_ecg.leads import LEADS
from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.dx import DxModel, Member, run
from cinc_ecg.models.dx_input import FS_HZ, INPUT_KINDS, n_samples
from cinc_ecg.models.network import EcgNetwork, build_network
from cinc_ecg.training.dx_card import HeldOut, make_card
from cinc_ecg.training.dx_config import DxTrainConfig, MemberConfig, load_dx_config
from cinc_ecg.training.schedule import make_optimizer, rate_factor, set_rate

__all__ = ["DxTrainConfig", "choose_recordings", "fit", "load_dx_config", "train_dx"]

_LOG = logging.getLogger(__name__)
#: Called with (epochs done, epochs in all, text).
Watch = Callable[[int, int, str], None]


def choose_recordings(config: DxTrainConfig, folder: Path) -> list[Recording]:
    """Return the recordings under a folder to train on, with their labels.

    Raises:
        RecordError: the folder holds no records (no_records).
        InputError: a label table cannot be read.
    """
    recordings, notes = read_folder(folder)
    report_notes(notes)
    source = config.source
    if not source.table:
        return recordings
    entries = read_ptbxl_table(Path(source.table), Path(source.statements))
    chosen = label_recordings(recordings, entries, source.folds)
    if source.snomed:
        chosen += [recording for recording in recordings if ptbxl_number(recording.name) is None]
    return chosen


def train_dx(
    config: DxTrainConfig,
    recordings: Sequence[Recording],
    watch: Watch | None = None,
    trained: Sequence[Member] = (),
) -> DxModel:
    """Train a diagnosis model.

    Args:
        config: The run.
        recordings: With labels, or SNOMED codes in their headers.
        watch: Told about every epoch.
        trained: Networks that a run with these settings and recordings made: only shares,
            temperature and thresholds are fitted anew.

    Returns:
        The model with its card: shares, temperature, thresholds, held-out figures.

    Raises:
        TrainingError: too few records with labels (no_labels).
        ConfigError: nothing to train, or networks of another run.
    """
    samples = read_samples(recordings, config.classes)
    if len(samples) < 2 * config.n_folds:
        raise TrainingError(
            f"{len(samples)} records with labels are too few for {config.n_folds} folds",
            code="no_labels",
        )
    jobs = list(_jobs(config, samples))
    if not trained:
        members = _train_all(config, samples, jobs, watch)
    elif [member.kind for member in trained] == [kind for _, kind, _ in jobs]:
        members = list(trained)
    else:
        raise ConfigError(f"{len(trained)} networks of another run, {len(jobs)} expected")
    held_out = _held_out(config, samples, jobs, members)
    card = make_card(config, samples, recordings, held_out, members[0].network.config)
    return DxModel(tuple(members), card)


_Job = tuple[NDArray[np.bool_], str, MemberConfig]


def _train_all(
    config: DxTrainConfig, samples: DxSamples, jobs: Sequence[_Job], watch: Watch | None
) -> list[Member]:
    total = sum(entry.epochs for _, _, entry in jobs)
    members: list[Member] = []
    done = 0
    for number, (fold, kind, entry) in enumerate(jobs):
        told = _Watch(watch, done, total, f"{kind} {number + 1}/{len(jobs)}")
        outside = samples.take(np.flatnonzero(~fold))
        network = fit(config, entry, kind, outside, config.seed + number, told)
        members.append(Member(kind, network))
        done += entry.epochs
    return members


def _held_out(
    config: DxTrainConfig, samples: DxSamples, jobs: Sequence[_Job], members: Sequence[Member]
) -> HeldOut:
    """Show each record to the networks that were not trained on it."""
    logits: dict[str, NDArray[np.float64]] = {}
    seen = np.zeros(len(samples), bool)
    for (fold, kind, _), member in zip(jobs, members, strict=True):
        inside = np.flatnonzero(fold)
        values, masks = batch(samples, inside, kind, layout=config.layout)
        whole = logits.setdefault(kind, np.zeros((len(samples), len(config.classes))))
        whole[inside] = run(member.network, values, masks)
        seen |= fold
    kept = {kind: values[seen] for kind, values in logits.items()}
    return HeldOut(kept, samples.targets[seen], samples.known[seen])


@dataclass(frozen=True, slots=True)
class _Watch:
    """Counts epochs over all networks."""

    watch: Watch | None
    done: int
    total: int
    name: str

    def __call__(self, epoch: int, text: str) -> None:
        _LOG.info("%s %s", self.name, text)
        if self.watch is not None:
            self.watch(self.done + epoch, self.total, f"{self.name} {text}")


def _jobs(config: DxTrainConfig, samples: DxSamples) -> Iterator[_Job]:
    """Yield (held-out records, input kind, network) for each network to train."""
    entries = {"strip": config.strip, "beat": config.beat}
    kinds = [kind for kind in INPUT_KINDS if entries[kind].epochs > 0]
    if not kinds:
        raise ConfigError("strip.epochs and beat.epochs are both 0: nothing to train")
    labels = [
        [name for name, on in zip(config.classes, row, strict=True) if on]
        for row in samples.targets
    ]
    folds = assign_folds(list(samples.groups), labels, n_folds=config.n_folds, seed=config.seed)
    for fold in range(config.folds_used or config.n_folds):
        for kind in kinds:
            yield folds == fold, kind, entries[kind]


def fit(
    config: DxTrainConfig,
    entry: MemberConfig,
    kind: str,
    samples: DxSamples,
    seed: int,
    watch: Callable[[int, str], None],
) -> EcgNetwork:
    """Train one network with AdamW and one cycle of the learning rate; return it in evaluation."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = build_network(model_config(config, entry, kind))
    optimizer = make_optimizer(network, network.backbone, torch.nn.Identity(), config.optimizer)
    n_steps = max(1, len(samples) // config.batch_size)
    network.train()
    for epoch in range(entry.epochs):
        started, losses = time.monotonic(), 0.0
        order = rng.permutation(len(samples))
        for step in range(n_steps):
            indices = order[step * config.batch_size : (step + 1) * config.batch_size]
            values, masks = batch(samples, indices, kind, how=config.variation, rng=rng)
            output = network(
                {"signal": torch.from_numpy(values), "signal_mask": torch.from_numpy(masks)}
            )
            loss = masked_bce(
                output.logits,
                torch.from_numpy(samples.targets[indices]),
                torch.from_numpy(samples.known[indices]),
                config.smoothing,
            )
            done = (epoch * n_steps + step) / (entry.epochs * n_steps)
            set_rate(optimizer, config.optimizer.lr * rate_factor(config.schedule, done))
            optimizer.zero_grad()
            loss.backward()
            if config.optimizer.clip_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip_norm)
            optimizer.step()
            losses += float(loss.detach())
        seconds = time.monotonic() - started
        watch(epoch + 1, f"epoch {epoch + 1} loss {losses / n_steps:.4f} ({seconds:.0f} s)")
    return network.eval()


def masked_bce(logits: Tensor, targets: Tensor, known: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean binary cross-entropy over what is known; 0 when nothing is."""
    soft = targets * (1 - 2 * smoothing) + smoothing
    each = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def model_config(config: DxTrainConfig, entry: MemberConfig, kind: str) -> ModelConfig:
    """Return the network of an input kind."""
    return ModelConfig(
        view="signal",
        backbone=BackboneConfig(entry.backbone),
        head=HeadConfig(kind="none"),
        dx=DxConfig(config.classes, hidden=0, dropout=entry.dropout),
        n_samples=n_samples(kind),
        fs_hz=FS_HZ,
        leads=LEADS,
    )
