"""Every named configuration trains for a moment on simulated records, with small pictures."""

import json

import numpy as np
import pytest

from cinc_ecg.models.card import load_model
from cinc_ecg.training.config import load_train_config, named_configs
from cinc_ecg.training.loop import train
from cinc_ecg.training.tasks import build_task

SMALL = (
    "data.simulated=3",
    "data.pages.dpi=[50,60]",
    "model.head.width=8",
    "model.n_samples=250",
    "model.fs_hz=25",
    "training.epochs=1",
    "training.batch_size=2",
    "cv.n_folds=3",
)
SIZES = {"page": "[96,160]", "rows": "[48,160]", "panels": "[32,32]"}


@pytest.mark.parametrize("name", sorted(named_configs()))
def test_it_trains_and_loads(name, tmp_path):
    view = load_train_config(name).model.view
    overrides = [*SMALL, f"model.image_size={SIZES[view]}"]
    task = build_task(load_train_config(name, overrides))
    result = train(task, tmp_path / name, device="cpu")
    assert result.steps == 1
    assert np.isfinite(result.figures["loss"])
    assert np.isfinite(result.figures["snr_db"])
    assert result.skipped == ()
    network, card = load_model(tmp_path / name)
    assert card.config.view == view
    assert json.loads((tmp_path / name / "card.json").read_text())["training"]["fingerprint"]
    assert sum(p.numel() for p in network.parameters()) > 1000


def test_uncertainty_weights_are_trained_and_resumed(tmp_path):
    overrides = [*SMALL, "model.image_size=[64,128]", "loss.weighting=uncertainty"]
    overrides += ["training.epochs=2"]
    config = load_train_config("whole_model", overrides)
    task = build_task(config)
    before = [p.detach().clone() for p in task.loss.parameters()]
    train(task, tmp_path / "o", device="cpu")
    after = list(task.loss.parameters())
    assert before
    assert any(
        not np.isclose(float(a.detach()), float(b)) for a, b in zip(after, before, strict=True)
    )
    again = build_task(config)
    train(again, tmp_path / "o", device="cpu", resume=True)
    assert all(a.equal(b) for a, b in zip(after, again.loss.parameters(), strict=True))
