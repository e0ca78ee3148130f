import json

import numpy as np
import pytest
from PIL import Image

import cinc_ecg
from cinc_ecg import inference
from cinc_ecg.challenge import adapter
from cinc_ecg.cli import app
from cinc_ecg.data.labels import CHALLENGE_CLASSES, SUPERCLASSES
from cinc_ecg.errors import CardError, GridNotFound
from cinc_ecg.models.dx import load_dx
from cinc_ecg.models.strip_card import save_strip_net
from cinc_ecg.models.strip_net import StripNet, StripNetConfig
from cinc_ecg.types import Diagnosis, Signal


@pytest.fixture(scope="module")
def packaged():
    return load_dx(inference.packaged_dx())


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "page.png"
    Image.new("RGB", (200, 200), (255, 255, 255)).save(path)
    return path


def refuse(image):
    raise GridNotFound("no grid")


def test_the_packaged_model_knows_the_superclasses_and_gives_challenge_labels(packaged):
    assert set(SUPERCLASSES) <= set(packaged.classes)
    assert set(packaged.reported) <= set(CHALLENGE_CLASSES)
    assert "MI" not in packaged.reported
    assert set(packaged.reported) | set(packaged.card.extra["not_predicted"]) == set(
        CHALLENGE_CLASSES
    )
    assert "not a medical device" in packaged.card.summary
    size = sum(entry["bytes"] for entry in packaged.card.files.values())
    assert size <= 6_000_000


def test_a_class_without_a_threshold_is_never_a_label():
    diagnosis = Diagnosis({"MI": 0.99, "NORM": 0.3, "CD": 0.1}, {"NORM": 0.25, "CD": 0.2})
    assert diagnosis.labels == ("NORM",)
    assert inference.likeliest(diagnosis) == "NORM"
    assert inference.likeliest(Diagnosis({"MI": 0.9}, {})) is None
    low = Diagnosis({"NORM": 0.1, "PVC": 0.04}, {"NORM": 0.4, "PVC": 0.05})
    assert low.labels == ()
    assert inference.likeliest(low) == "PVC"


def test_predictions_name_picture_page_signal_and_probabilities(picture, small_digitization):
    predictor = cinc_ecg.Predictor.load(digitize=lambda image: small_digitization)
    (prediction,) = predictor.predict([picture])
    assert (prediction.record, prediction.page, prediction.failure) == (str(picture), 0, None)
    assert prediction.digitization is small_digitization
    assert set(prediction.diagnosis.probabilities) >= set(SUPERCLASSES)
    assert prediction.diagnosis == predictor.diagnose(small_digitization.signal)


def test_a_bad_picture_does_not_stop_the_others(picture, tmp_path, small_digitization):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    predictor = inference.Predictor.load(digitize=lambda image: small_digitization)
    first, second, third = predictor.predict(
        [tmp_path / "none.png", tmp_path / "broken.png", picture]
    )
    assert first.failure.code == "image_missing"
    assert second.failure.code == "image_unreadable"
    assert third.diagnosis is not None
    (refused,) = inference.Predictor.load(digitize=refuse).predict([picture])
    assert (refused.failure.code, refused.diagnosis) == ("no_grid", None)


def test_a_signal_of_nothing_has_no_diagnosis(picture, small_digitization):
    from dataclasses import replace

    nothing = Signal(np.full((500, 2), np.nan, np.float32), 250.0, ("I", "V6"))
    empty = replace(small_digitization, signal=nothing)
    (prediction,) = inference.Predictor.load(digitize=lambda image: empty).predict([picture])
    assert (prediction.failure.code, prediction.diagnosis) == ("no_signal", None)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"classifier": None}, "packaged"),
        ({"classifier": "packaged:dx"}, "packaged"),
        ({"classifier": "dx"}, "sub-folder"),
        ({"members": []}, "itself"),
    ],
)
def test_where_a_model_folder_keeps_its_diagnosis(tmp_path, card, expected):
    (tmp_path / "card.json").write_text(json.dumps(card))
    places = {
        "packaged": inference.packaged_dx(),
        "sub-folder": tmp_path / "dx",
        "itself": tmp_path,
    }
    assert inference.dx_folder(tmp_path) == places[expected]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"classifier": "../x"}', '{"classifier": 3}'])
def test_cards_that_cannot_be_used(tmp_path, text):
    if text is not None:
        (tmp_path / "card.json").write_text(text)
    with pytest.raises(CardError, match=r"card\.json"):
        inference.dx_folder(tmp_path)


def test_a_model_folder_with_its_own_strip_reader_reads_with_it(
    tmp_path, picture, monkeypatch, small_digitization
):
    save_strip_net(tmp_path / "strips", StripNet(StripNetConfig(channels=(8, 8), tail=8)), {}, {})
    used = []

    def digitize(image, *, strip_reader):
        used.append(strip_reader)
        return small_digitization

    monkeypatch.setattr(inference, "digitize", digitize)
    for name in ("strips", "learned"):
        text = json.dumps({"classifier": None, "strip_reader": name})
        (tmp_path / "card.json").write_text(text)
        inference.Predictor.load(tmp_path).predict([picture])
    assert used[0].net.config.channels == (8, 8)
    assert used[1] == "learned"
    (tmp_path / "card.json").write_text('{"classifier": null, "strip_reader": "strips"}')
    (tmp_path / "strips" / "strip_reader.json").unlink()
    with pytest.raises(CardError, match="strip_reader"):
        inference.Predictor.load(tmp_path)


@pytest.fixture
def record(tmp_path, picture):
    lines = [f"r.dat 16 1000.0(0)/mV 16 0    {lead}" for lead in ("I", "V6")]
    (tmp_path / "r.hea").write_text("\n".join(["r 2 200 640", *lines, "# Image: page.png\n"]))
    return str(tmp_path / "r")


def reader(result):
    return adapter.DigitizationModel("classical", "classical", lambda image, header: result)


def test_the_challenge_gets_at_least_one_label(record, packaged, small_digitization):
    signals, labels = adapter.run_models(record, reader(small_digitization), packaged, False)
    assert signals.shape == (640, 2)
    assert labels
    assert set(labels) <= set(CHALLENGE_CLASSES)
    strict = packaged.card.thresholds | dict.fromkeys(packaged.card.thresholds, 1.1)
    from dataclasses import replace

    silent = replace(packaged, card=replace(packaged.card, thresholds=strict))
    _, one = adapter.run_models(record, reader(small_digitization), silent, False)
    assert len(one) == 1


def test_an_unreadable_record_gets_no_label(record, packaged):
    def read(image, header):
        raise GridNotFound("no grid")

    model = adapter.DigitizationModel("classical", "classical", read)
    signals, labels = adapter.run_models(record, model, packaged, False)
    assert labels is None
    assert np.isnan(signals).all()


def test_a_bug_in_the_diagnosis_leaves_the_signal(record, small_digitization, caplog):
    signals, labels = adapter.run_models(record, reader(small_digitization), object(), False)
    assert labels is None
    assert np.isfinite(signals).any()
    assert "internal" in caplog.text


def test_damaged_weights_in_a_model_folder_mean_signals_without_labels(tmp_path, packaged, caplog):
    from cinc_ecg.challenge.model_folder import classical_card
    from cinc_ecg.models.dx import save_dx

    folder = tmp_path / "model"
    save_dx(folder / "dx", packaged)
    (folder / "card.json").write_text(json.dumps(classical_card() | {"classifier": "dx"}))
    assert adapter.load_models(str(folder), False)[1].classes == packaged.classes
    assert not caplog.records
    file = min((folder / "dx").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-10])
    digitization, classification = adapter.load_models(str(folder), False)
    assert digitization.page_reader == "classical"
    assert classification is None
    assert "weights_damaged" in caplog.text
    assert file.name in caplog.text


def test_the_shipped_model_folder_gives_the_packaged_model(packaged):
    from pathlib import Path

    folder = Path(cinc_ecg.__file__).parents[1] / "model"
    assert adapter.load_models(str(folder), False)[1].classes == packaged.classes


@pytest.fixture
def quick(monkeypatch, small_digitization):
    monkeypatch.setattr(inference, "_digitize", lambda image: small_digitization)


def test_classify_prints_labels_or_json(picture, tmp_path, capsys, quick):
    assert app.run(["classify", str(picture)]) == 0
    assert capsys.readouterr().out.startswith(f"{picture}: ")
    (tmp_path / "bad.png").write_bytes(b"")
    assert app.run(["classify", str(picture), str(tmp_path / "bad.png"), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["picture"] for line in lines} == {str(picture), str(tmp_path / "bad.png")}
    good = next(line for line in lines if "labels" in line)
    assert set(good["labels"]) <= set(good["probabilities"])
    assert next(line for line in lines if "failure" in line)["failure"]["code"] == "image_empty"


def test_classify_with_nothing_readable_or_no_model_ends_with_2(tmp_path, capsys, quick):
    (tmp_path / "bad.png").write_bytes(b"")
    assert app.run(["classify", str(tmp_path / "bad.png")]) == 2
    assert "image_empty" in capsys.readouterr().out
    assert app.run(["classify", str(tmp_path / "bad.png"), "-m", str(tmp_path)]) == 2
    assert "card.json" in capsys.readouterr().err
