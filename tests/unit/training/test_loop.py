import errno
import itertools
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cinc_ecg.errors import ConfigError, OutputError, TrainingError
from cinc_ecg.io import atomic
from cinc_ecg.models.card import load_model
from cinc_ecg.training import loop as training_loop
from cinc_ecg.training.config import load_train_config
from cinc_ecg.training.loop import train
from cinc_ecg.training.tasks import build_task


def task_for(folder, overrides):
    return build_task(load_train_config(None, [f"data.folder={folder}", *overrides]))


def weights(folder):
    network, _ = load_model(folder)
    return {key: value.clone() for key, value in network.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_time(lines):
    return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in lines]


def test_a_run_leaves_a_model_a_log_and_its_settings(ecg_folder, tiny, tmp_path):
    seen = []
    result = train(
        task_for(ecg_folder, tiny),
        tmp_path / "out",
        device="cpu",
        watch=lambda done, total, text: seen.append((done, total)),
    )
    assert (result.stopped, result.epochs) == ("epochs", 3)
    assert seen[-1] == (result.steps, result.steps)
    lines = log(tmp_path / "out")
    assert [line["split"] for line in lines] == ["train", "held_out"] * 3
    assert all(np.isfinite(line["loss"]) for line in lines)
    network, card = load_model(tmp_path / "out")
    assert card.classes == ("NORM", "CD", "AFIB/AFL")
    assert card.training["n_records"] + card.training["n_held_out"] == 6
    assert card.metrics["held_out"] == result.figures
    config = load_train_config(tmp_path / "out" / "config.yaml")
    assert config.model == network.config


def test_the_same_seed_gives_the_same_weights_and_another_others(ecg_folder, tiny, tmp_path):
    for name, more in (("a", []), ("b", []), ("c", ["training.seed=1"])):
        train(task_for(ecg_folder, [*tiny, *more]), tmp_path / name, device="cpu")
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_resumed_run_ends_with_the_same_bits(ecg_folder, tiny, tmp_path, stop_at):
    overrides = [*tiny, "training.ema=0.9", "training.accumulate=1"]
    train(task_for(ecg_folder, overrides), tmp_path / "whole", device="cpu")

    def interrupt(done, total, text):
        if done == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "parts"
    first = train(task_for(ecg_folder, overrides), out, device="cpu", watch=interrupt)
    assert (first.stopped, first.steps) == ("interrupted", stop_at)
    torch.manual_seed(99)  # another process starts from elsewhere
    second = train(task_for(ecg_folder, overrides), out, device="cpu", resume=True)
    assert second.stopped == "epochs"
    assert same(weights(tmp_path / "whole"), weights(out))
    states = [torch.load(f / "latest.pt", weights_only=True) for f in (tmp_path / "whole", out)]
    assert same(states[0]["network"], states[1]["network"])
    assert same(states[0]["ema"]["average"], states[1]["ema"]["average"])
    assert without_time(log(tmp_path / "whole")) == without_time(log(out))


def test_a_run_in_the_way_is_not_overwritten(ecg_folder, tiny, tmp_path):
    train(task_for(ecg_folder, tiny), tmp_path / "o", device="cpu")
    with pytest.raises(ConfigError, match="--resume auto"):
        train(task_for(ecg_folder, tiny), tmp_path / "o", device="cpu")
    with pytest.raises(TrainingError, match=r"optimizer\.lr was"):
        train(task_for(ecg_folder, [*tiny, "optimizer.lr=1"]), tmp_path / "o", resume=True)
    (tmp_path / "o" / "latest.pt").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="cannot be resumed") as caught:
        train(task_for(ecg_folder, tiny), tmp_path / "o", resume=True)
    assert caught.value.reason_code == "checkpoint"


def test_a_full_disk_leaves_the_checkpoint_before(ecg_folder, tiny, tmp_path, monkeypatch):
    out = tmp_path / "o"
    overrides = [*tiny, "training.epochs=2"]
    plain = Path.write_bytes
    saves = []

    def full_on_second(self, data):
        if self.name == "latest.pt":
            saves.append(1)
            if len(saves) == 2:
                plain(self, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, data)

    monkeypatch.setattr(Path, "write_bytes", full_on_second)
    with pytest.raises(OutputError, match="disk is full") as caught:
        train(task_for(ecg_folder, overrides), out, device="cpu")
    assert caught.value.reason_code == "disk_full"
    monkeypatch.undo()
    assert torch.load(out / "latest.pt", weights_only=True)["progress"]["epoch"] == 1
    assert not list(out.glob(f"{atomic.SCRATCH_PREFIX}*"))
    result = train(task_for(ecg_folder, overrides), out, device="cpu", resume=True)
    assert result.epochs == 2


def test_a_time_budget_ends_with_a_model(ecg_folder, tiny, tmp_path, monkeypatch):
    """On a clock that goes on by 10 ms whenever somebody looks at it."""
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 0.01 * next(ticks))
    monkeypatch.setattr(training_loop, "time", clock)
    overrides = [*tiny, "training.epochs=100000", "training.budget_s=2"]
    result = train(task_for(ecg_folder, overrides), tmp_path / "o", device="cpu")
    assert result.stopped == "budget"
    assert 1.8 < result.elapsed_s <= 2.1
    rates = [line["lr"] for line in log(tmp_path / "o") if line["split"] == "train"]
    assert rates[-1] < 0.1 * max(rates)  # annealed although the epochs were not done
    load_model(tmp_path / "o")


def test_patience_stops_early(ecg_folder, tiny, tmp_path):
    overrides = [*tiny, "training.epochs=50", "training.patience=1", "optimizer.lr=1e-12"]
    overrides += ["data.augment=false", "schedule.kind=constant"]
    result = train(task_for(ecg_folder, overrides), tmp_path / "o", device="cpu")
    assert result.stopped == "patience"
    assert result.epochs < 50


def test_a_bad_record_in_mid_epoch_is_named_and_the_run_goes_on(ecg_folder, tiny, tmp_path):
    task = task_for(ecg_folder, [*tiny, "cv.val_fold=-1"])
    (ecg_folder / "r2.dat").write_bytes(b"\0")
    result = train(task, tmp_path / "o", device="cpu")
    assert result.skipped == ("r2",)
    assert log(tmp_path / "o")[0]["n"] == 5


def test_without_one_good_sample_the_run_says_so(ecg_folder, tiny, tmp_path):
    task = task_for(ecg_folder, tiny)
    for file in ecg_folder.glob("*.dat"):
        file.write_bytes(b"\0")
    with pytest.raises(TrainingError) as caught:
        train(task, tmp_path / "o", device="cpu")
    assert caught.value.reason_code == "no_samples"


def test_a_loss_that_is_no_number_ends_the_run(ecg_folder, tiny, tmp_path):
    task = task_for(ecg_folder, [*tiny, "training.epochs=20"])
    with torch.no_grad():
        next(task.network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError) as caught:
        train(task, tmp_path / "o", device="cpu")
    assert caught.value.reason_code == "diverged"


def test_gradients_add_up_over_small_batches(ecg_folder, tiny, tmp_path):
    """Two batches of one with accumulation end where one batch of two does."""
    overrides = [*tiny, "data.augment=false", "model.dx.dropout=0", "training.epochs=1"]
    overrides += ["cv.val_fold=-1", "model.backbone.frozen=true"]
    train(task_for(ecg_folder, overrides), tmp_path / "two", device="cpu")
    more = ["training.batch_size=1", "training.accumulate=2"]
    train(task_for(ecg_folder, [*overrides, *more]), tmp_path / "one", device="cpu")
    a, b = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert all(torch.allclose(a[key].float(), b[key].float(), atol=1e-5) for key in a)


def test_frozen_backbones_stay(ecg_folder, tiny, tmp_path):
    task = task_for(ecg_folder, [*tiny, "model.backbone.frozen=true"])
    before = {k: v.clone() for k, v in task.network.backbone.state_dict().items()}
    train(task, tmp_path / "o", device="cpu")
    assert same(before, task.network.backbone.state_dict())


def test_warm_start_copies_what_fits(ecg_folder, tiny, tmp_path):
    train(task_for(ecg_folder, tiny), tmp_path / "a", device="cpu")
    more = [f"training.init={tmp_path / 'a'}", "model.dx.classes=[NORM]"]
    task = task_for(ecg_folder, [*tiny, *more])
    given, own = weights(tmp_path / "a"), task.network.state_dict()
    shared = [key for key in own if own[key].shape == given[key].shape]
    assert len(shared) >= len(own) - 2
    assert all(torch.equal(own[key], given[key]) for key in shared)


def test_an_unknown_device_is_refused(ecg_folder, tiny, tmp_path):
    with pytest.raises(ConfigError, match="tpu"):
        train(task_for(ecg_folder, tiny), tmp_path / "o", device="tpu")
