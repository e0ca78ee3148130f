import json
import re

import pytest
import torch

from cinc_ecg.cli import app
from cinc_ecg.cli.train import parse_duration
from cinc_ecg.models.strip_card import save_strip_net
from cinc_ecg.models.strip_net import StripNet, StripNetConfig

TINY = (
    "model.view=signal",
    "model.backbone.name=cinc:resnet1d_wang?width=8",
    "model.head.kind=none",
    "model.dx.classes=[auto]",
    "model.n_samples=200",
    "model.fs_hz=50",
    "training.batch_size=4",
    "training.epochs=2",
    "training.threads=1",
)


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(capsys, *args):
    code = app.run([str(arg) for arg in args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_train_predict_evaluate(ecg_folder, tmp_path, capsys):
    out = tmp_path / "run"
    common = ["--data", ecg_folder, "--device", "cpu"]
    code, said, _ = run(capsys, "train", *TINY, *common, "-o", out, "--json")
    assert code == 0
    result = json.loads(said)
    assert (result["stopped"], result["epochs"]) == ("epochs", 2)
    code, said, _ = run(capsys, "predict", out, *common, "-o", tmp_path / "p.csv")
    assert code == 0
    assert re.search(r"Loss: [\d.]+ .*samples: 6", said)
    rows = (tmp_path / "p.csv").read_text().splitlines()
    assert len(rows) == 7
    assert rows[0].startswith("record,p_NORM")
    arguments = ["--conditions", "whole,3x4+1", "--thresholds", "F1", "--bootstrap", "20"]
    code, said, _ = run(capsys, "evaluate", out, *common, *arguments, "-o", tmp_path / "report")
    assert code == 0
    assert "| whole | 6 |" in said
    tables = [line for line in said.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 10}
    assert "Classes, 3x4+1:" in said
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"report.md", "report.json", "history.png", "roc-whole.png", "f1-3x4-1.png"} <= names
    json.loads((tmp_path / "report" / "report.json").read_text())


def test_predict_of_a_fold_is_the_held_out_part(ecg_folder, tmp_path, capsys):
    out = tmp_path / "run"
    data = ["--data", ecg_folder]
    run(capsys, "train", *TINY, "cv.n_folds=3", *data, "-o", out)
    _, said, _ = run(capsys, "predict", out, *data, "--fold", "0", "--json")
    figures = json.loads(said)
    card = json.loads((out / "card.json").read_text())
    assert figures["n"] == card["training"]["n_held_out"] == 2
    assert figures["loss"] == pytest.approx(card["metrics"]["held_out"]["loss"], rel=1e-4)


def test_dry_run_prints_settings_that_read_back(tmp_path, capsys):
    code, said, _ = run(
        capsys, "train", "panels", "optimizer.lr=0.5", "--dry-run", "--budget", "2m"
    )
    assert code == 0
    (tmp_path / "c.yaml").write_text(said)
    code, again, _ = run(capsys, "train", "--config", tmp_path / "c.yaml", "--dry-run")
    assert said == again
    assert "lr: 0.5" in said
    assert "budget_s: 120.0" in said


@pytest.mark.parametrize(
    ("args", "reason", "hint"),
    [
        (["whole_modle", "--dry-run"], "config", "whole_model"),
        (["optimizer.lrr=1", "--dry-run"], "config", "optimizer.lr"),
        (["model.view=signal", "--dry-run"], "model_config", "head.kind"),
        (["whole_model", "data.pages.layouts=[12x1]", "--dry-run"], "config", "n_rows=12"),
        (["data.simulated=2", "model.backbone.name=cinc:tin", "-oO"], "backbone_unknown", "tiny"),
        (["whole_model", "-o", "OUT"], "config", "data.folder"),
        (["whole_model", "--data", "NONE", "-o", "OUT"], "no_records", "NONE"),
        (["whole_model", "data.simulated=2"], "usage", "--out"),
        (["a", "b", "--dry-run"], "usage", "one configuration"),
        (["--budget", "soon", "--dry-run"], "usage", "20m"),
        (["--resume", "maybe", "--dry-run"], "usage", "auto"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(args, reason, hint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, said = run(capsys, "train", *args)
    assert code == 2
    assert re.fullmatch(rf"cinc-ecg: \[{reason}\] [^\n]+\n", said), said
    assert hint in said


def test_no_model_is_one_line(tmp_path, capsys):
    code, _, said = run(capsys, "evaluate", tmp_path, "--simulated", "1")
    assert code == 2
    assert said.startswith("cinc-ecg: [card] ")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5m", 90), ("1h30m", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_a_strip_reader_is_fine_tuned_on_a_folder(ecg_folder, tmp_path, capsys):
    net = StripNet(StripNetConfig(channels=(8, 8), tail=8))
    save_strip_net(tmp_path / "start" / "strips", net, {}, {})  # as in a trained model folder
    small = ["steps=2", "batch=2", "judged=2", "simulated=2"]
    small += ["strips.height_px=64", "strips.width_px=64"]
    options = ["--init", tmp_path / "start", "--pages", ecg_folder, "--budget", "1m"]
    out = tmp_path / "out"
    code, said, _ = run(capsys, "train", "digitizer", *small, *options, "-o", out)
    assert code == 0
    assert "6 records, 2 steps" in said
    card = json.loads((out / "strip_reader.json").read_text())
    assert card["training"]["fine_tuning"]["config"]["budget_s"] == 60.0
    code, said, _ = run(capsys, "train", "digitizer", *options, "-o", out, "--dry-run")
    assert "read_share" in said


@pytest.mark.parametrize(
    ("args", "reason", "hint"),
    [
        (["digitizer", "net.tail=8", "--init", "packaged", "-o", "OUT"], "config", "init: "),
        (["digitizer", "--pages", "NONE", "-o", "OUT"], "config", "--init"),
        (["digitizer", "--init", "packaged", "--pages", "NONE", "-o", "O"], "no_records", "NONE"),
        (["dx", "--init", "packaged", "-o", "OUT"], "usage", "digitizer"),
    ],
)
def test_fine_tuning_says_what_it_needs(args, reason, hint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, said = run(capsys, "train", *args)
    assert code == 2
    assert said.startswith(f"cinc-ecg: [{reason}] ")
    assert hint in said
