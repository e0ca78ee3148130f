import dataclasses
import json

import numpy as np
import pytest
import torch

from cinc_ecg.cli import app
from cinc_ecg.data.labels import CHALLENGE_CLASSES
from cinc_ecg.data.recordings import simulated
from cinc_ecg.errors import CardError, ConfigError, TrainingError
from cinc_ecg.models.dx import DxModel, blend, load_dx, probabilities, save_dx
from cinc_ecg.models.dx_input import standard_strip
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.training.dx import choose_recordings, load_dx_config, masked_bce, train_dx
from cinc_ecg.training.dx_card import HeldOut, fit_shares, fit_temperature, fit_thresholds
from cinc_ecg.types import Signal

TINY = (
    "strip.backbone=cinc:ecg_resnet1d?width=8&blocks=1&stages=2",
    "beat.backbone=cinc:ecg_resnet1d?width=8&blocks=1&stages=2",
    "strip.epochs=1",
    "beat.epochs=2",
    "classes=[NORM,MI,TACHY]",
    "n_folds=2",
    "batch_size=8",
    "least=2",
    "least_f=0",
)


def recordings(n=16):
    return [
        dataclasses.replace(r, labels=("TACHY", "MI") if k % 2 else ("NORM",))
        for k, r in enumerate(simulated(n, seed=4))
    ]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return train_dx(load_dx_config(None, TINY), recordings())


def test_the_model_has_a_network_per_fold_and_kind_and_an_honest_card(model):
    assert [member.kind for member in model.members] == ["strip", "beat"] * 2
    assert model.classes == ("NORM", "MI", "TACHY")
    # MI is no label of the Challenge; the others of its labels are not learned
    assert model.reported == ("NORM", "TACHY")
    refused = model.card.extra["not_predicted"]
    assert set(refused) == set(CHALLENGE_CLASSES) - {"NORM", "TACHY"}
    assert model.card.training["n_records"] == 16
    assert model.card.training["classes"]["MI"] == {"with": 8, "known": 16}
    assert 0.2 <= model.card.temperature <= 5.0
    assert model.card.metrics["held out"]["n"] == 16
    assert "not a medical device" in model.card.summary


def test_a_saved_model_gives_the_same_probabilities(model, tmp_path):
    signal = simulate(EcgSettings(), seed=9)
    save_dx(tmp_path / "m", model)
    loaded = load_dx(tmp_path / "m")
    assert loaded.diagnose(signal) == model.diagnose(signal)
    assert set(loaded.diagnose(signal).probabilities) == set(model.classes)
    assert sorted(p.suffix for p in (tmp_path / "m").iterdir()) == [".json", *[".safetensors"] * 4]


def test_a_second_save_leaves_no_old_weights(model, tmp_path):
    save_dx(tmp_path, model)
    save_dx(tmp_path, DxModel(model.members[:1], model.card))
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert len(load_dx(tmp_path).members) == 1


def test_the_same_seed_gives_the_same_model(model):
    again = train_dx(load_dx_config(None, TINY), recordings())
    signal = simulate(EcgSettings(), seed=9)
    assert again.diagnose(signal) == model.diagnose(signal)


def test_signals_that_show_nothing_have_no_diagnosis(model):
    assert model.diagnose(Signal(np.full((100, 1), np.nan, np.float32), 500.0, ("II",))) is None
    assert model.diagnose(Signal(np.empty((0, 0), np.float32), 500.0, ())) is None


def test_few_leads_still_get_finite_probabilities(model):
    whole = simulate(EcgSettings(), seed=9)
    one = Signal(whole.samples_mv[:1500, 1:2], whole.fs_hz, ("II",))
    assert all(0 <= p <= 1 for p in model.diagnose(one).probabilities.values())


def test_many_records_at_once_are_as_one_by_one(model):
    strips = [standard_strip(simulate(EcgSettings(), seed=k)) for k in (1, 2, 3)]
    together = model.logits(strips)
    assert np.allclose(together[1], model.logits([strips[1]])[0], atol=1e-5)
    assert model.logits([]).shape == (0, 3)


@pytest.mark.parametrize("how", ["missing", "truncated", "altered"])
def test_damaged_weights_are_named(model, tmp_path, how):
    save_dx(tmp_path, model)
    file = min(tmp_path.glob("*.safetensors"))
    if how == "missing":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data[:-100] if how == "truncated" else data)
    with pytest.raises(CardError) as caught:
        load_dx(tmp_path)
    assert file.name in str(caught.value)
    assert caught.value.reason_code == "weights_damaged"


@pytest.mark.parametrize("change", ["no members", "wrong input", "other classes"])
def test_cards_of_something_else_are_refused(model, tmp_path, change):
    save_dx(tmp_path, model)
    card = json.loads((tmp_path / "card.json").read_text())
    if change == "no members":
        del card["members"]
    elif change == "wrong input":
        card["members"][0]["input"] = "picture"
    else:
        card["members"][0]["config"]["dx"]["classes"] = ["A", "B", "C"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(CardError, match=r"card\.json"):
        load_dx(tmp_path)


def test_unknown_classes_do_not_enter_the_loss():
    logits = torch.zeros(2, 2, requires_grad=True)
    known = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    loss = masked_bce(logits, torch.ones(2, 2), known)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert (logits.grad != 0).tolist() == [[True, False], [False, False]]
    assert masked_bce(logits, torch.ones(2, 2), torch.zeros(2, 2)).item() == 0.0


def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 1))
    targets = (rng.random((4000, 1)) < probabilities(honest, 1.0)).astype(np.float32)
    known = np.ones_like(targets)
    assert fit_temperature(3 * honest, targets, known) == pytest.approx(3, rel=0.1)
    assert fit_temperature(honest, targets, known) == pytest.approx(1, rel=0.1)


def test_each_class_takes_the_networks_that_know_it():
    rng = np.random.default_rng(0)
    targets = (rng.random((500, 3)) < 0.5).astype(np.float32)
    told = 3 * (2 * targets - 1) + rng.normal(0, 1, targets.shape)
    guessed = rng.normal(0, 3, targets.shape)
    by_kind = {"strip": guessed.copy(), "beat": told.copy()}
    by_kind["strip"][:, 1], by_kind["beat"][:, 1] = told[:, 1], guessed[:, 1]
    by_kind["beat"][:, 2] = by_kind["strip"][:, 2]
    shares = fit_shares(HeldOut(by_kind, targets, np.ones_like(targets)), ("A", "B", "C"))
    assert shares["A"] >= 0.8
    assert shares["B"] <= 0.2
    assert shares["C"] == 0.5
    mixed = blend(by_kind, ("A", "B", "C"), {"A": 1.0, "B": 0.0})
    assert np.array_equal(mixed[:, 0], told[:, 0])
    assert np.array_equal(mixed[:, 1], told[:, 1])
    assert np.allclose(mixed[:, 2], (by_kind["strip"] + by_kind["beat"])[:, 2] / 2)


def test_rare_classes_and_useless_ones_get_no_threshold_but_a_reason():
    config = load_dx_config(None, ["classes=[NORM,PVC,PAC]", "least=3", "least_f=0.9"])
    targets = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0]])
    held = HeldOut({}, targets.astype(np.float32), np.ones((6, 3), np.float32))
    thresholds, refused = fit_thresholds(np.linspace(1, 0, 18).reshape(6, 3), held, config)
    assert list(thresholds) == ["NORM"]
    assert refused["PVC"] == "2 of 6 known recordings have it"
    assert refused["PAC"].startswith("F of 0.7")


def test_networks_that_are_there_are_only_calibrated(model):
    again = train_dx(load_dx_config(None, TINY), recordings(), trained=model.members)
    assert again.members == model.members
    assert again.card == model.card
    with pytest.raises(ConfigError, match="4 expected"):
        train_dx(load_dx_config(None, TINY), recordings(), trained=model.members[:1])


def test_too_few_records_and_no_network_are_refused():
    with pytest.raises(TrainingError, match="too few"):
        train_dx(load_dx_config(None, TINY), recordings(3))
    with pytest.raises(ConfigError, match="nothing to train"):
        train_dx(load_dx_config(None, [*TINY, "strip.epochs=0", "beat.epochs=0"]), recordings())


def test_headers_labels_serve_without_a_table(ecg_folder):
    chosen = choose_recordings(load_dx_config(), ecg_folder)
    assert chosen
    assert any(recording.labels for recording in chosen)


def test_the_command_trains_and_says_what_it_made(ecg_folder, tmp_path, capsys):
    code = app.run(["train", "dx", *TINY, "--data", str(ecg_folder), "-o", str(tmp_path / "m")])
    assert code == 0
    assert "macro AUC" in capsys.readouterr().out
    assert load_dx(tmp_path / "m").members
    assert app.run(["train", "dx", "strip.epoch=1", "-o", str(tmp_path / "n")]) == 2
    assert "strip.epochs" in capsys.readouterr().err
