"""Datasets for PyTorch: one sample per page or signal, made on the fly, the same for a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cinc_ecg.data import views
from cinc_ecg.data.config import DataConfig
from cinc_ecg.data.labels import encode_labels
from cinc_ecg.data.pages import Page, draw_page, placed_picture, printed_windows
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import CincEcgError, RecordError
from cinc_ecg.leads import LEADS
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.signals import resample
from cinc_ecg.types import FloatArray, Signal

Arrays = dict[str, NDArray[np.generic]]
_IMAGE_KEYS = ("image", "rows", "panels")
_VIEWS = {"page": views.page_view, "rows": views.rows_view, "panels": views.panels_view}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sample that could not be made, and why."""

    name: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples stacked for a network.

    Attributes:
        tensors: Inputs and targets by name; empty when no sample could be made.
        names: Record of each sample.
        skipped: Samples that could not be made.
    """

    tensors: dict[str, Tensor]
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from which copies to a GPU are quick."""
        pinned = {key: value.pin_memory() for key, value in self.tensors.items()}
        return Batch(pinned, self.names, self.skipped)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        moved = {key: value.to(device, non_blocking=True) for key, value in self.tensors.items()}
        return Batch(moved, self.names, self.skipped)


class EcgDataset(Dataset[tuple[str, Arrays] | Skipped]):
    """Samples of recordings for one view of a network.

    Chance depends on seed, epoch and index only, so a resumed run and any number of workers see
    the same samples.

    Args:
        recordings: What to draw from.
        model: View, sizes, rate, classes.
        data: How pages and signals are made.
        training: Vary the samples; otherwise every epoch is the same.
        seed: Start of all chance.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        model: ModelConfig,
        data: DataConfig,
        *,
        training: bool,
        seed: int = 0,
    ) -> None:
        self.recordings = tuple(recordings)
        self.model = model
        self.data = data
        self.training = training
        self.seed = seed
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # seen by live workers
        self._kept: dict[int, Arrays] = {}

    @property
    def epoch(self) -> int:
        """Pass over the data; changes what is varied."""
        return int(self._epoch[0])

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch[0] = value

    def __len__(self) -> int:
        return len(self.recordings) * self._per_record

    @property
    def _per_record(self) -> int:
        drawn = self.model.view != "signal" and self.data.source == "rendered"
        return self.data.pages.per_record if drawn else 1

    def __getitem__(self, index: int) -> tuple[str, Arrays] | Skipped:
        """Return a record's name and arrays, or why there are none."""
        recording = self.recordings[index // self._per_record]
        try:
            sample = self._sample(index, recording)
        except CincEcgError as error:
            return Skipped(recording.name, error.reason_code, str(error))
        targets, known = encode_labels(recording.labels, self.model.dx.classes)
        return recording.name, {**sample, "labels": targets, "label_mask": known}

    def _sample(self, index: int, recording: Recording) -> Arrays:
        chance = np.random.default_rng([self.seed, self.epoch if self.training else 0, index])
        vary = self.training and self.data.augment
        if self.model.view == "signal":
            return _signal_sample(recording.read(), self.model, self.data, vary, chance)
        if index in self._kept:
            sample = self._kept[index]
        else:
            page_chance = np.random.default_rng([self.seed, int(self.training), index])
            sample = self._page_sample(recording, page_chance)
            if self.data.pages.keep:
                self._kept[index] = sample
        return _varied_pictures(sample, chance) if vary else sample

    def _page_sample(self, recording: Recording, chance: np.random.Generator) -> Arrays:
        page = self._page(recording, chance)
        size = self.data.pages.jitter_mm
        jitter = chance.uniform(-size, size, 4) if self.training and size else None
        if jitter is not None and self.model.head.kind != "soft_argmax":
            jitter[::2] = 0  # such a head is told no geometry: a shift in x would be one in time
        return _VIEWS[self.model.view](page, self.model, jitter)

    def _page(self, recording: Recording, chance: np.random.Generator) -> Page:
        if self.data.source == "rendered":
            return draw_page(recording.read(), self.data.pages, chance)
        if not recording.images:
            raise RecordError(f"{recording.name}: has no pictures", code="no_images")
        signal = recording.read() if recording.has_signal else _unknown_signal(recording)
        image = recording.images[int(chance.integers(len(recording.images)))]
        return placed_picture(image, signal)


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches of one epoch, from any batch on: the same for the same seed and epoch.

    Args:
        n_samples: Size of the data set.
        batch_size: Samples per batch.
        seed: Start of all chance.
        shuffle: Otherwise in order.
        weights: Chance of each sample, drawn with replacement; None = each once.
        share: (number of this process, number of processes); each takes every n-th batch.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        weights: NDArray[np.float64] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.weights = weights
        self.share = share
        self.epoch = 0
        self.start = 0

    @property
    def n_batches(self) -> int:
        """Batches of a whole epoch, for each process."""
        whole = -(-self.n_samples // self.batch_size)
        return max(whole // self.share[1], 1) if whole else 0

    def __len__(self) -> int:
        return max(self.n_batches - self.start, 0)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.n_samples)
        chance = np.random.default_rng([self.seed, self.epoch])
        if self.shuffle and self.weights is not None:
            order = chance.choice(order, self.n_samples, p=self.weights / self.weights.sum())
        elif self.shuffle:
            chance.shuffle(order)
        rank, world = self.share
        for number in range(self.start, self.n_batches):
            first = (number * world + rank) % -(-self.n_samples // self.batch_size)
            yield order[first * self.batch_size : (first + 1) * self.batch_size].tolist()


def make_loader(
    dataset: EcgDataset, batches: EpochBatches, *, workers: int = 0, pin: bool = False
) -> DataLoader[Any]:
    """Return a loader; worker processes use one thread each.

    It has a generator of its own: by default an iteration draws from PyTorch's, and a resumed run
    would no longer match.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        pin_memory=pin,
        generator=torch.Generator(),
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def collate(samples: Sequence[tuple[str, Arrays] | Skipped]) -> Batch:
    """Stack samples; pictures become float 0..1 with channels first."""
    good = [sample for sample in samples if not isinstance(sample, Skipped)]
    skipped = tuple(sample for sample in samples if isinstance(sample, Skipped))
    tensors: dict[str, Tensor] = {}
    for key in good[0][1] if good else ():
        stacked = torch.from_numpy(np.stack([arrays[key] for _, arrays in good]))
        tensors[key] = stacked.movedim(-1, -3).float() / 255 if key in _IMAGE_KEYS else stacked
    return Batch(tensors, tuple(name for name, _ in good), skipped)


def _unknown_signal(recording: Recording) -> Signal:
    """Return a signal of NaN with the header's rate and length, for records without samples."""
    header = recording.header
    n, fs_hz = (header.n_samples, header.fs_hz) if header else (0, 500.0)
    return Signal(np.full((max(n, 1), len(LEADS)), np.nan, np.float32), fs_hz, LEADS)


def _signal_sample(
    signal: Signal, model: ModelConfig, data: DataConfig, vary: bool, chance: np.random.Generator
) -> Arrays:
    """Return "signal" (leads, n_samples) mV, 0 where unknown, and "signal_mask"."""
    samples = resample(signal.samples_mv, signal.fs_hz, model.fs_hz).T
    options = data.signals
    start = 0
    if vary and samples.shape[1] > model.n_samples:
        start = int(chance.integers(samples.shape[1] - model.n_samples + 1))
    elif vary:
        start = int(chance.integers(-1, 2) * chance.random() * options.shift_s * model.fs_hz)
    window = _shifted(samples, start, model.n_samples)
    cut = chance.random() < options.windows if vary else options.windows > 0
    if cut and options.layouts:
        window = _cut_to_print(window, model, str(chance.choice(list(options.layouts))))
    if vary:
        window = _varied_signal(window, model, data, chance)
    known = np.isfinite(window)
    return {
        "signal": np.where(known, window, 0).astype(np.float32),
        "signal_mask": known.astype(np.float32),
    }


def _shifted(samples: FloatArray, start: int, length: int) -> FloatArray:
    """Return samples[start:start + length] of (leads, n), NaN where there are none."""
    result = np.full((len(samples), length), np.nan)
    first, last = max(start, 0), min(start + length, samples.shape[1])
    if last > first:
        result[:, first - start : last - start] = samples[:, first:last]
    return result


def _cut_to_print(samples: FloatArray, model: ModelConfig, layout: str) -> FloatArray:
    result = np.full_like(samples, np.nan)
    windows = printed_windows(layout, model.n_samples / model.fs_hz)
    for number, lead in enumerate(model.leads):
        if lead in windows:
            start_s, length_s = windows[lead]
            first, last = (round(at * model.fs_hz) for at in (start_s, start_s + length_s))
            result[number, first:last] = samples[number, first:last]
    return result


def _varied_signal(
    samples: FloatArray, model: ModelConfig, data: DataConfig, chance: np.random.Generator
) -> FloatArray:
    """Change gain, add noise and wander, drop leads."""
    options = data.signals
    n_leads, length = samples.shape
    result = samples * (1 + chance.uniform(-options.gain, options.gain))
    result = result + chance.normal(0, chance.uniform(0, options.noise_mv) + 1e-9, samples.shape)
    time = np.arange(length) / model.fs_hz
    phase = chance.uniform(0, 2 * np.pi, (n_leads, 1))
    wander = np.sin(2 * np.pi * chance.uniform(0.1, 0.5) * time[None] + phase)
    result = result + wander * chance.uniform(0, options.wander_mv) * np.sqrt(2)
    result[chance.random(n_leads) < options.drop_lead] = np.nan
    return result


def _varied_pictures(sample: Arrays, chance: np.random.Generator) -> Arrays:
    """Change contrast, brightness, tint and noise of the pictures; targets stay."""
    contrast = chance.uniform(0.8, 1.1)
    tint = chance.uniform(-12, 12, 3) + chance.uniform(-15, 8)
    table = np.clip(255 + (np.arange(256)[:, None] - 255) * contrast + tint, 0, 255)
    table = table.astype(np.uint8)
    sigma = chance.uniform(0, 6)
    changed: dict[str, Any] = dict(sample)
    for key in _IMAGE_KEYS:
        if key in sample:
            pixels = np.asarray(sample[key], np.uint8)
            toned = cv2.LUT(pixels.reshape(-1, 1, 3), table[:, None]).reshape(pixels.shape)
            noise = chance.standard_normal(pixels.shape[:-1], np.float32)[..., None] * sigma
            changed[key] = np.clip(toned + noise, 0, 255).astype(np.uint8)
    return changed
