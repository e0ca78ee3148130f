import contextlib
import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from cinc_ecg.cli.app import run
from cinc_ecg.errors import CardError
from cinc_ecg.models.card import Card, load_model, save_model
from cinc_ecg.models.checkpoint import diagnose, import_checkpoint, match, read_checkpoint
from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.network import build_network

CONFIG = ModelConfig(
    backbone=BackboneConfig("cinc:tiny"),
    head=HeadConfig(kind="none"),
    dx=DxConfig(("NORM", "MI"), hidden=4),
    image_size=(64, 64),
    n_samples=50,
)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3))
        self.fc = nn.Linear(5, 2)


def reasons(report):
    return {entry.key: entry.reason for entry in report.keys}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "model": s},
        lambda s: {"model_state_dict": OrderedDict((f"module.{k}", v) for k, v in s.items())},
        lambda s: {
            "epoch": 1,
            "net": {"weights": {f"module._orig_mod.{k}": v for k, v in s.items()}},
        },
    ],
)
def test_a_state_dict_is_found_in_its_wrapping(tmp_path, wrap):
    module = Small()
    torch.save(wrap(module.state_dict()), tmp_path / "x.pth")
    state = read_checkpoint(tmp_path / "x.pth")
    assert set(state) == set(module.state_dict())
    copied, report = match(state, Small())
    assert len(copied) == len(state)
    assert report.untouched == ()


def test_every_key_that_does_not_fit_is_reported_with_its_reason():
    state = Small().state_dict()
    state["fc.weight"] = torch.zeros(7, 5)
    state["extra.weight"] = torch.zeros(3)
    state["version"] = 4
    copied, report = match(state, Small())
    assert reasons(report)["fc.weight"] == "shape"
    assert reasons(report)["extra.weight"] == "unknown"
    assert reasons(report)["version"] == "not_a_tensor"
    assert "fc.weight" not in copied
    assert report.untouched == ("fc.weight",)
    assert len(report.copied) + len(report.skipped) == len(report.keys) == len(state)
    text = "\n".join(report.lines())
    assert "7x5 -> fc.weight 2x5" in text
    assert all(key in text for key in state)


def test_the_same_network_inside_another_is_found_by_its_prefix():
    inner = Small()
    outer = nn.ModuleDict({"encoder": nn.ModuleDict({"trunk": Small()}), "head": nn.Linear(5, 3)})
    copied, report = match(inner.state_dict(), outer)
    assert set(copied) == {f"encoder.trunk.{key}" for key in inner.state_dict()}
    assert report.untouched == ("head.weight", "head.bias")
    back, _ = match(outer.state_dict(), inner)
    assert set(back) == set(inner.state_dict())


def test_a_lone_equal_shape_is_no_match():
    copied, _ = match({"other.fc.weight": torch.zeros(2, 5)}, Small())
    assert copied == {}


def test_a_pickle_that_could_run_code_is_refused(tmp_path):
    torch.save({"state_dict": Small().state_dict(), "model": Small()}, tmp_path / "x.pth")
    with pytest.raises(CardError, match="could run code") as error:
        read_checkpoint(tmp_path / "x.pth")
    assert error.value.reason_code == "checkpoint_unreadable"


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("gone.pth", None, "cannot be read"),
        ("text.pth", b"hello, this is no checkpoint", "is no checkpoint"),
        ("empty.pth", b"", "is no checkpoint"),
        ("x.safetensors", b"12345678901234567890", "is no checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_so(tmp_path, name, data, text):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(CardError, match=text) as error:
        read_checkpoint(tmp_path / name)
    assert name in str(error.value)
    assert error.value.reason_code == "checkpoint_unreadable"


def test_a_damaged_checkpoint_never_gives_a_traceback(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(Small().state_dict(), path)
    whole = path.read_bytes()
    torch.save(Small().state_dict(), path, _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(0)
    for data in (whole, path.read_bytes()):
        for _ in range(40):
            damaged = bytearray(data[: int(rng.integers(1, len(data)))])
            for k in rng.integers(0, min(len(damaged), 300), 4):
                damaged[k] = int(rng.integers(0, 256))
            path.write_bytes(bytes(damaged))
            with contextlib.suppress(CardError):
                read_checkpoint(path)


def test_a_checkpoint_without_tensors_names_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "x.pth")
    with pytest.raises(CardError, match=r"holds no state dict .keys epoch, lr"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "model", build_network(CONFIG), Card(CONFIG, training={"seed": 1}))
    return tmp_path / "model"


def test_import_writes_the_model_and_its_origin(folder, tmp_path):
    torch.manual_seed(1)
    donor = build_network(CONFIG)
    state = donor.backbone.state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "x.pth")
    planned = diagnose(tmp_path / "x.pth", folder)
    before = load_model(folder)[0].state_dict()
    report = import_checkpoint(tmp_path / "x.pth", folder)
    assert report == planned
    network, card = load_model(folder)
    assert all(torch.equal(v, state[k]) for k, v in network.backbone.state_dict().items())
    head = "view.dx.mlp.5.weight"
    assert torch.equal(network.state_dict()[head], before[head])
    assert card.training["seed"] == 1
    assert card.training["imported"]["copied"] == len(state)


def test_a_checkpoint_that_fits_nowhere_changes_nothing(folder, tmp_path):
    torch.save({"a.b": torch.zeros(3)}, tmp_path / "x.pth")
    before = (folder / "card.json").read_bytes()
    with pytest.raises(CardError, match="none of its 1 keys") as error:
        import_checkpoint(tmp_path / "x.pth", folder)
    assert error.value.reason_code == "checkpoint_no_match"
    assert (folder / "card.json").read_bytes() == before


def test_command(folder, tmp_path, capsys):
    torch.save(build_network(CONFIG).state_dict(), tmp_path / "x.pth")
    before = (folder / "card.json").read_bytes()
    path, into = str(tmp_path / "x.pth"), ["--into", str(folder)]
    assert run(["import-checkpoint", path, *into, "--diagnose"]) == 0
    out = capsys.readouterr().out
    assert "copied       view.backbone" in out
    assert (folder / "card.json").read_bytes() == before
    assert run(["import-checkpoint", path, *into, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["untouched"] == []
    assert (folder / "card.json").read_bytes() != before
    assert run(["import-checkpoint", str(tmp_path / "y.pth"), *into]) == 2
    assert "[checkpoint_unreadable]" in capsys.readouterr().err
