from dataclasses import replace

import numpy as np
import torch

from cinc_ecg.data.config import DataConfig, PageOptions
from cinc_ecg.data.datasets import EcgDataset
from cinc_ecg.data.recordings import simulated
from cinc_ecg.models.config import HeadConfig, ModelConfig
from cinc_ecg.models.readout import read_leads

MODEL = ModelConfig(
    view="panels", head=HeadConfig(kind="deconv"), image_size=(128, 128), n_samples=640, fs_hz=250
)


def test_training_panels_are_not_shifted_in_time_against_their_targets():
    """A head that is told no geometry cannot know of a shift; it would learn a flat line."""
    pages = PageOptions(style="clean", jitter_mm=4.0)
    data = EcgDataset(simulated(2, 0), MODEL, DataConfig(pages=pages), training=True, seed=0)
    y = np.linspace(-1, 1, 128)[:, None]
    best = []
    for index in range(2):
        _, sample = data[index]
        for lead, picture in enumerate(sample["panels"]):
            ink = 255.0 - picture.max(axis=2)  # the trace is dark in all channels
            share = np.exp(ink / 25.0 - 8 * y**2)
            height = -(share * y).sum(0) / share.sum(0)
            wave = sample["signal_mv"][lead].reshape(128, 5).mean(1)
            shifts = range(-20, 21)
            found = [np.corrcoef(np.roll(height, k), wave)[0, 1] for k in shifts]
            if max(found) > 0.7:  # the trace was found at all
                best.append(shifts[int(np.argmax(found))])
    assert len(best) > 8
    assert np.mean(np.abs(best) <= 1) > 0.9


def test_rows_of_panels_read_back_as_their_signals():
    model = replace(MODEL, head=HeadConfig(kind="soft_argmax"), image_size=(256, 640))
    pages = PageOptions(style="clean", jitter_mm=2.0, dpi=(200, 200))
    data = EcgDataset(simulated(1, 0), model, DataConfig(pages=pages), training=True, seed=0)
    _, arrays = data[0]
    rows = arrays["row_y"].copy()
    assert rows.shape == (12, 640)
    for row, seen in zip(rows, arrays["row_visible"], strict=True):
        at = np.flatnonzero(seen)
        row[:] = np.interp(np.arange(len(row)), at, row[at])
    batch = {key: torch.from_numpy(np.asarray(value))[None] for key, value in arrays.items()}
    y_px = torch.from_numpy(rows)[None]
    read, logit = read_leads(y_px, 0 * y_px, batch, cell_x=1, n_samples=640, fs_hz=250.0)
    seen = arrays["visible"] & (logit[0].numpy() == 0)
    assert seen.mean() > 0.9
    target, estimate = arrays["signal_mv"][seen], read[0].numpy()[seen]
    assert 10 * np.log10(np.mean(target**2) / np.mean((estimate - target) ** 2)) > 10
