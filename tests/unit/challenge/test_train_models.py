"""train_models on small Challenge folders, whole and broken; each trains for a second or two."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from cinc_ecg.challenge import train as challenge_train
from cinc_ecg.challenge.adapter import load_models
from cinc_ecg.challenge.train import train_models, training_budget_s
from cinc_ecg.errors import ConfigError, RecordError
from cinc_ecg.models.dx import load_dx
from cinc_ecg.models.strip_card import load_strip_net, save_strip_net
from cinc_ecg.models.strip_net import StripNet, StripNetConfig
from cinc_ecg.training import fine_tune


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Two seconds, one thread, and no packaged weights to depend on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv(challenge_train.BUDGET_VARIABLE, "1s")
    monkeypatch.setattr(challenge_train, "PACKAGED", tmp_path / "none")
    yield
    torch.set_num_threads(before)


def trained(data, model, verbose=False):
    train_models(str(data), str(model), verbose)
    return json.loads((model / "card.json").read_text())


@pytest.fixture
def strips(tmp_path, monkeypatch):
    """Put a tiny strip reader in the place of the packaged one, and return its folder."""
    torch.manual_seed(0)
    folder = tmp_path / "packaged" / "strips"
    save_strip_net(folder, StripNet(StripNetConfig(channels=(8, 8), tail=8)), {}, {})
    monkeypatch.setattr(challenge_train, "PACKAGED", tmp_path / "packaged")
    return folder


def strip_state(folder):
    return load_strip_net(folder)[0].state_dict()


def states(folder):
    return [member.network.state_dict() for member in load_dx(folder / "dx").members]


def same(a, b):
    return all(
        left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
        for left, right in zip(a, b, strict=True)
    )


def test_a_folder_becomes_a_model_and_other_data_another(ecg_folder, tmp_path, write_ecg):
    before = sorted(path for path in ecg_folder.rglob("*"))
    card = trained(ecg_folder, tmp_path / "a")
    assert card["classifier"] == "dx"
    assert set(card["training"]["diagnosis"]["reported"]) == {"NORM", "CD", "AFIB/AFL"}
    assert sorted(path for path in ecg_folder.rglob("*")) == before
    write_ecg(ecg_folder, "r1", 99, labels=["NORM"])
    other = trained(ecg_folder, tmp_path / "b")
    assert other["training"]["fingerprint"] != card["training"]["fingerprint"]
    assert not same(states(tmp_path / "a"), states(tmp_path / "b"))


def test_training_over_a_model_leaves_nothing_of_it(ecg_folder, tmp_path, write_ecg):
    trained(ecg_folder, tmp_path / "m")
    first = {path.name for path in (tmp_path / "m" / "dx").iterdir()}
    write_ecg(ecg_folder, "r1", 99, labels=["PVC"])
    card = trained(ecg_folder, tmp_path / "m")
    second = {path.name for path in (tmp_path / "m" / "dx").iterdir()}
    assert first & second == {"card.json"}
    assert "PVC" in card["training"]["diagnosis"]["reported"]


def test_a_start_keeps_its_outputs_and_learns_new_labels(
    ecg_folder, tmp_path, write_ecg, monkeypatch
):
    trained(ecg_folder, tmp_path / "start")
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    shutil.copytree(tmp_path / "start" / "dx", packaged / "dx")
    monkeypatch.setattr(challenge_train, "PACKAGED", packaged)
    for k in range(6):
        write_ecg(ecg_folder, f"r{k}", k, labels=["HEALTHY"] if k % 2 else ["CD"])
    card = trained(ecg_folder, tmp_path / "next")
    model = load_dx(tmp_path / "next" / "dx")
    assert model.classes == ("NORM", "CD", "AFIB/AFL", "HEALTHY")
    assert "HEALTHY" in card["training"]["diagnosis"]["reported"]
    assert model.card.training["started_from"]["n_records"] == 6
    assert all(np.isfinite(v) for v in model.card.thresholds.values())


@pytest.mark.parametrize("fs_hz", [250.0, 500.0, 1000.0])
def test_any_rate_and_unknown_demographics(tmp_path, write_ecg, fs_hz):
    comments = ["Age: Unknown", "Sex: Unknown", "Height: Unknown", "Weight: nan"]
    for k in range(3):
        labels = ["NORM"] if k else ["CD"]
        write_ecg(tmp_path / "d", f"r{k}", k, labels=labels, fs_hz=fs_hz, comments=comments)
    assert trained(tmp_path / "d", tmp_path / "m")["classifier"] == "dx"


def test_missing_things_are_counted_and_the_rest_is_used(ecg_folder, tmp_path, write_ecg, caplog):
    Image.new("RGB", (64, 64), "white").save(ecg_folder / "a.png")
    (ecg_folder / "bad.png").write_bytes(b"no picture")
    write_ecg(ecg_folder, "two", 7, labels=["CD"], images=("a.png", "bad.png", "none.png"))
    write_ecg(ecg_folder, "mute", 8, labels=None)
    write_ecg(ecg_folder, "shown", 9, labels=["NORM"], images=("bad.png",))
    (ecg_folder / "shown.dat").unlink()
    (ecg_folder / "r0.dat").write_bytes(b"\0\0")
    (ecg_folder / "broken.hea").write_text("?")
    with caplog.at_level(logging.WARNING):
        card = trained(ecg_folder, tmp_path / "m", verbose=True)
    facts = card["training"]
    assert facts["left_out"] == {"image_missing": 1, "record_unreadable": 1}
    assert (facts["n_records"], facts["n_signals"], facts["n_labelled"]) == (9, 8, 8)
    assert facts["diagnosis"]["n_records"] == 6
    assert "image_unreadable" in caplog.text
    assert "Traceback" not in caplog.text


def test_one_class_everywhere(tmp_path, write_ecg):
    for k in range(3):
        write_ecg(tmp_path / "d", f"r{k}", k, labels=["NORM"])
    card = trained(tmp_path / "d", tmp_path / "m")
    assert card["training"]["diagnosis"]["reported"] == ["NORM"]


def test_without_labels_the_strip_reader_learns(tmp_path, write_ecg, caplog, strips):
    for name, first in (("d", 0), ("e", 5)):
        for k in range(2):
            write_ecg(tmp_path / name, f"r{k}", first + k, labels=None)
    with caplog.at_level(logging.WARNING):
        card = trained(tmp_path / "d", tmp_path / "m")
    assert (card["classifier"], card["strip_reader"]) == (None, "strips")
    facts = card["training"]["strip_reader"]
    assert facts["steps"] >= 1
    assert facts["kept"] is card["training"]["fitted"]
    assert "loss on held-out strips" in facts["decision"]
    assert "no_labels" in caplog.text
    trained(tmp_path / "e", tmp_path / "n")
    before, one, other = (
        strip_state(folder) for folder in (strips, tmp_path / "m" / "strips", tmp_path / "n/strips")
    )
    assert same([before], [one]) is not facts["kept"]
    assert not (facts["kept"] and same([one], [other]))
    model, _ = load_models(str(tmp_path / "m"), False)
    assert model.strip_reader == "strips"


def test_a_worse_strip_reader_is_not_kept(tmp_path, write_ecg, strips, monkeypatch):
    monkeypatch.setattr(fine_tune, "decide", lambda before, after: (False, "not kept, worse"))
    write_ecg(tmp_path / "d", "r", labels=None)
    card = trained(tmp_path / "d", tmp_path / "m")
    assert card["training"]["strip_reader"]["decision"] == "not kept, worse"
    assert card["strip_reader"] == "strips"
    assert card["training"]["fitted"] is False
    assert same([strip_state(strips)], [strip_state(tmp_path / "m" / "strips")])


def test_too_little_time_leaves_the_packaged_strip_reader(ecg_folder, tmp_path, strips):
    (tmp_path / "m" / "strips").mkdir(parents=True)
    card = trained(ecg_folder, tmp_path / "m")
    assert (card["classifier"], card["strip_reader"]) == ("dx", "learned")
    assert card["training"]["strip_reader"] is None
    assert not (tmp_path / "m" / "strips").exists()


def test_a_damaged_strip_reader_gives_way_to_the_packaged_one(tmp_path, write_ecg, strips, caplog):
    write_ecg(tmp_path / "d", "r", labels=None)
    trained(tmp_path / "d", tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "strips")
    with caplog.at_level(logging.WARNING):
        model, _ = load_models(str(tmp_path / "m"), False)
    assert model.strip_reader == "learned"
    assert "strip_reader.json" in caplog.text


def test_pictures_alone_without_labels_leave_the_packaged_parts(tmp_path, caplog):
    (tmp_path / "d").mkdir()
    Image.new("RGB", (64, 64), "white").save(tmp_path / "d" / "a.png")
    (tmp_path / "d" / "r.hea").write_text(
        "r 1 500 10\nr.dat 16 1000.0(0)/mV 16 0    II\n# Image: a.png\n"
    )
    card = trained(tmp_path / "d", tmp_path / "m")
    assert (card["classifier"], card["strip_reader"]) == (None, "learned")
    assert card["training"]["fitted"] is False


def test_no_records_is_an_error(tmp_path):
    with pytest.raises(RecordError) as caught:
        train_models(str(tmp_path), str(tmp_path / "m"), False)
    assert caught.value.reason_code == "no_records"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("12h", 43200)]
)
def test_the_environment_sets_the_budget(monkeypatch, text, seconds):
    monkeypatch.setenv(challenge_train.BUDGET_VARIABLE, text)
    assert training_budget_s(3) == seconds


def test_the_default_budget_grows_with_the_data(monkeypatch):
    monkeypatch.delenv(challenge_train.BUDGET_VARIABLE)
    small, some, many = (training_budget_s(n) for n in (3, 200, 10**6))
    assert small <= 12 < some < many <= 6 * 3600
    monkeypatch.setenv(challenge_train.BUDGET_VARIABLE, "soon")
    with pytest.raises(ConfigError, match="soon"):
        training_budget_s(3)
