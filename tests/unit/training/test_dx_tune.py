import numpy as np
import pytest
import torch

from cinc_ecg.data.recordings import read_folder
from cinc_ecg.errors import TrainingError
from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.network import build_network
from cinc_ecg.training.dx_tune import DxTuneConfig, tune_dx, with_outputs

CONFIG = ModelConfig(
    view="signal",
    backbone=BackboneConfig("cinc:resnet1d_wang?width=8"),
    head=HeadConfig(kind="none"),
    dx=DxConfig(classes=("NORM", "CD"), hidden=0),
    n_samples=100,
    fs_hz=100,
)


def logits(network):
    torch.manual_seed(0)
    batch = {"signal": torch.randn(3, 12, 100), "signal_mask": torch.ones(3, 12, 100)}
    with torch.no_grad():
        return network.eval()(batch).logits


def test_old_outputs_stay_and_new_ones_start_at_their_share():
    network = build_network(CONFIG)
    wider = with_outputs(network, ("NORM", "CD", "PVC", "odd"), {"PVC": 0.2})
    before, after = logits(network), logits(wider)
    torch.testing.assert_close(after[:, :2], before)
    torch.testing.assert_close(torch.sigmoid(after[:, 2]), torch.full((3,), 0.2))
    assert (torch.sigmoid(after[:, 3]) < 0.05).all()
    assert with_outputs(wider, ("NORM", "CD", "PVC", "odd"), {}) is wider


def test_enough_records_get_thresholds_of_their_own(tmp_path, write_ecg):
    for k in range(24):
        write_ecg(tmp_path, f"r{k:02}", k, labels=["NORM"] if k % 2 else ["CD"])
    config = DxTuneConfig(fresh_epochs=1, hold_out=0.5, least=3, few=10)
    model = tune_dx(None, read_folder(tmp_path)[0], budget_s=5, config=config)
    assert set(model.card.thresholds) == {"NORM", "CD"}
    assert model.card.metrics["held out"]["n"] == 12
    assert all(0 < limit < 1 for limit in model.card.thresholds.values())
    gone = tune_dx(model, read_folder(tmp_path)[0][:1], budget_s=1, config=config)
    assert set(gone.card.thresholds) == {"NORM", "CD"}  # one record says nothing about a class
    assert np.isfinite(gone.logits([np.zeros((12, 1000))])).all()


def test_classes_that_left_the_data_are_not_reported(tmp_path, write_ecg):
    for k in range(8):
        write_ecg(tmp_path / "a", f"r{k}", k, labels=["NORM"] if k % 2 else ["CD"])
        write_ecg(tmp_path / "b", f"r{k}", k, labels=["NORM"] if k % 2 else ["PVC"])
    config = DxTuneConfig(fresh_epochs=1, few=4)
    first = tune_dx(None, read_folder(tmp_path / "a")[0], budget_s=1, config=config)
    second = tune_dx(first, read_folder(tmp_path / "b")[0], budget_s=1, config=config)
    assert second.reported == ("NORM", "PVC")
    assert "CD" in second.card.extra["not_predicted"]


def test_without_labels_there_is_nothing_to_learn(tmp_path, write_ecg):
    write_ecg(tmp_path, "r", 1, labels=None)
    with pytest.raises(TrainingError) as caught:
        tune_dx(None, read_folder(tmp_path)[0], budget_s=1)
    assert caught.value.reason_code == "no_labels"
