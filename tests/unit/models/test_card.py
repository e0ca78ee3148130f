import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cinc_ecg.errors import CardError, OutputError, PluginError
from cinc_ecg.models.card import Card, load_model, load_strictly, read_card, save_model
from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.network import build_network

CONFIG = ModelConfig(
    backbone=BackboneConfig("cinc:tiny"),
    head=HeadConfig(width=8),
    dx=DxConfig(("NORM", "MI"), hidden=4),
    image_size=(64, 64),
    n_samples=50,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(CONFIG).eval()


def logits(network):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return network({"image": image}).logits


def weights(folder):
    return sorted(path.name for path in Path(folder).glob("*.safetensors"))


def test_a_model_survives_the_disk(network, tmp_path):
    card = Card(
        CONFIG,
        task="digitization+diagnosis",
        thresholds={"MI": 0.3},
        temperature=1.4,
        preprocessing={"resize": "letterbox"},
        training={"n_records": 3},
        metrics={"fold9": {"macro_auc": 0.9}},
        licences={"data": "CC BY 4.0"},
        summary="A test.",
        extra={"page_reader": "classical", "classifier": None},
    )
    written = save_model(tmp_path / "model", network, card)
    loaded, read = load_model(tmp_path / "model")
    assert read == written
    assert replace(read, files={}) == card
    assert not loaded.training
    assert torch.equal(logits(loaded), logits(network))
    assert read_card(tmp_path / "model")["classifier"] is None


def test_loading_needs_no_pretrained_weights(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    path = tmp_path / "card.json"
    card = json.loads(path.read_text())
    card["config"]["backbone"]["weights"] = "local:/nowhere.safetensors"
    path.write_text(json.dumps(card))
    assert torch.equal(logits(load_model(tmp_path)[0]), logits(network))


def test_saving_again_replaces_the_weights_and_keeps_other_files(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    first = weights(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with torch.no_grad():
        network.view.dx.mlp[-1].bias.add_(1.0)
    save_model(tmp_path, network, Card(CONFIG))
    assert len(weights(tmp_path)) == 1
    assert weights(tmp_path) != first
    assert (tmp_path / "notes.txt").exists()


def test_two_networks_share_a_folder(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    with torch.no_grad():
        network.view.dx.mlp[-1].bias.add_(1.0)
    save_model(tmp_path, network, Card(CONFIG), stem="other", name="other.json")
    assert torch.equal(logits(load_model(tmp_path / "other.json")[0]), logits(network))
    assert not torch.equal(logits(load_model(tmp_path)[0]), logits(network))


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_full_disk_leaves_the_previous_model(network, tmp_path, monkeypatch, fails_at):
    save_model(tmp_path, network, Card(CONFIG))
    before = logits(network)
    with torch.no_grad():
        network.view.dx.mlp[-1].bias.add_(1.0)
    calls = []
    write = Path.write_bytes

    def full(path, data):
        calls.append(path)
        if len(calls) > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError) as error:
        save_model(tmp_path, network, Card(CONFIG))
    assert error.value.reason_code == "disk_full"
    monkeypatch.undo()
    assert torch.equal(logits(load_model(tmp_path)[0]), before)


def test_a_changed_byte_is_noticed(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    (name,) = weights(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / name).write_bytes(bytes(data))
    with pytest.raises(CardError, match=f"{name}.*sha256") as error:
        load_model(tmp_path)
    assert error.value.reason_code == "weights_damaged"


def test_missing_weights_are_named(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    (name,) = weights(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CardError, match=name):
        load_model(tmp_path)


def test_a_card_cannot_point_outside_its_folder(network, tmp_path):
    save_model(tmp_path / "a", network, Card(CONFIG))
    path = tmp_path / "a" / "card.json"
    card = json.loads(path.read_text())
    card["files"] = {"../evil.safetensors": next(iter(card["files"].values()))}
    path.write_text(json.dumps(card))
    with pytest.raises(CardError, match="no name of a weight file"):
        load_model(tmp_path / "a")


def test_weights_of_another_network_name_the_tensors(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    path = tmp_path / "card.json"
    card = json.loads(path.read_text())
    card["config"]["dx"]["classes"] = ["NORM", "MI", "CD"]
    path.write_text(json.dumps(card))
    shapes = r"view\.dx\.mlp\.5\.weight is \(2, 4\), the network has \(3, 4\)"
    with pytest.raises(CardError, match=shapes) as error:
        load_model(tmp_path)
    assert error.value.reason_code == "weights_mismatch"


def test_missing_and_unexpected_tensors_are_named():
    module = torch.nn.Linear(2, 3)
    state = {"weight": torch.zeros(3, 2), "scale": torch.zeros(1)}
    with pytest.raises(CardError, match=r"here: .*bias is missing; scale is not in the network"):
        load_strictly(module, state, "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is this a model folder"),
        ("{", "is no JSON"),
        ("[]", "no card of schema"),
        ('{"schema": "other"}', "no card of schema"),
        ('{"schema": "cinc_ecg/model", "schema_version": 99}', "update cinc_ecg"),
        ('{"schema": "cinc_ecg/model", "schema_version": 1}', "describes no network"),
        ('{"schema": "cinc_ecg/model", "schema_version": 2, "config": {"x": 1}}', "unknown keys"),
    ],
)
def test_a_folder_without_a_usable_card_says_why(tmp_path, text, message):
    if text is not None:
        (tmp_path / "card.json").write_text(text)
    with pytest.raises(CardError, match=message) as error:
        load_model(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_an_unknown_backbone_in_a_card_is_a_plugin_error(network, tmp_path):
    save_model(tmp_path, network, Card(CONFIG))
    path = tmp_path / "card.json"
    path.write_text(path.read_text().replace("cinc:tiny", "cinc:tinny"))
    with pytest.raises(PluginError, match="tiny"):
        load_model(tmp_path)
