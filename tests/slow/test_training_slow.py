"""What takes minutes: learning a page by heart, pictures as source, worker processes, a budget."""

import json

import numpy as np
import pytest
import torch

from cinc_ecg.data.config import PageOptions
from cinc_ecg.data.pages import Page, draw_page, placed_picture
from cinc_ecg.data.views import page_view
from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.models.card import load_model
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.training.config import load_train_config
from cinc_ecg.training.loop import train
from cinc_ecg.training.tasks import build_task

pytestmark = pytest.mark.slow


def test_one_page_is_learned_by_heart(tmp_path):
    overrides = [
        *("data.simulated=1", "data.pages.style=clean", "data.augment=false"),
        *("training.epochs=150", "training.batch_size=1", "training.eval_every=50"),
        *("cv.val_fold=-1", "data.pages.jitter_mm=0"),
    ]
    task = build_task(load_train_config("whole_model", overrides))
    result = train(task, tmp_path / "o", device="cpu")
    assert result.figures["snr_db"] > 8


def test_the_digitizer_places_a_picture_where_the_renderer_drew_it(tmp_path):
    signal = simulate(EcgSettings(rhythm="sinus"), seed=2)
    options = PageOptions(style="clean", dpi=(200, 200))
    drawn = draw_page(signal, options, np.random.default_rng(0))
    write_bytes(tmp_path / "a.png", encode_png(drawn.pixels))
    placed = placed_picture(tmp_path / "a.png", signal)
    model = ModelConfig(image_size=(256, 640), n_samples=2500, fs_hz=250)
    true = page_view(Page(drawn.pixels, drawn.geometry, drawn.layout, drawn.signal), model)
    found = page_view(placed, model)
    np.testing.assert_array_equal(found["print_row"], true["print_row"])
    np.testing.assert_allclose(found["print_px_per_s"], true["print_px_per_s"], rtol=0.02)
    at_end = [a["print_x0_px"] + 10 * a["print_px_per_s"] for a in (true, found)]
    np.testing.assert_allclose(at_end[1] - at_end[0], 0, atol=6)
    both = true["visible"] & found["visible"]
    assert both.sum() > 0.9 * true["visible"].sum()
    np.testing.assert_allclose(found["signal_mv"][both], true["signal_mv"][both], atol=1e-3)


def test_training_on_pictures(tmp_path, write_ecg):
    folder = tmp_path / "data"
    options = PageOptions(style="clean", dpi=(200, 200))
    for k in range(2):
        write_ecg(folder, f"r{k}", k, fs_hz=500, images=[f"r{k}.png"])
        signal = simulate(EcgSettings(), seed=k)
        page = draw_page(signal, options, np.random.default_rng(k))
        write_bytes(folder / f"r{k}.png", encode_png(page.pixels))
    overrides = [f"data.folder={folder}", "data.source=images", "training.epochs=2", "cv.n_folds=2"]
    result = train(build_task(load_train_config("whole_model", overrides)), tmp_path / "o")
    assert result.skipped == ()
    assert np.isfinite(result.figures["snr_db"])


def test_worker_processes_change_nothing(tmp_path):
    small = [
        *("data.simulated=4", "model.image_size=[96,160]", "training.epochs=2"),
        *("training.batch_size=2", "data.pages.dpi=[50,60]", "training.threads=1"),
    ]
    for workers in (0, 2):
        config = load_train_config("whole_model", [*small, f"data.workers={workers}"])
        train(build_task(config), tmp_path / str(workers), device="cpu")
    states = [load_model(tmp_path / str(n))[0].state_dict() for n in (0, 2)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    lines = [(tmp_path / str(n) / "log.jsonl").read_text().splitlines() for n in (0, 2)]
    losses = [[json.loads(line)["loss"] for line in part] for part in lines]
    assert losses[0] == losses[1]
