import dataclasses
import json
import logging

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.challenge import adapter
from cinc_ecg.errors import GridNotFound, RecordError
from cinc_ecg.geometry import flat_geometry
from cinc_ecg.types import Calibration, Digitization, Layout, LeadStatus, Quality, Signal

HEADER = (
    "r 2 250 500\n"
    "r.dat 16 1000.0(0)/mV 16 0    AVR\n"
    "r.dat 16 1000.0(0)/mV 16 0    II\n"
    "# Image: {}\n"
)


def result(value, leads=("II", "aVR"), fs_hz=250.0, snr_db=10.0):
    samples = np.tile(np.float32(value) + np.arange(len(leads), dtype=np.float32), (500, 1))
    return Digitization(
        Signal(samples, fs_hz, leads),
        Layout("rows", ()),
        flat_geometry(100, 100, 8.0),
        Calibration(25, 10, "grid", "grid"),
        (),
        tuple(LeadStatus(lead, "ok", 0, 2.0, 1.0, snr_db) for lead in leads),
        Quality(8.0, None, 1.0),
    )


def model(read):
    return adapter.DigitizationModel("classical", "classical", read)


@pytest.fixture
def record(tmp_path):
    def make(*names):
        for name in names:
            Image.new("RGB", (120, 120), (len(names), 0, 0)).save(tmp_path / name)
        (tmp_path / "r.hea").write_text(HEADER.format(", ".join(names)))
        return str(tmp_path / "r")

    return make


def test_signals_come_in_the_headers_order(record):
    signals, labels = adapter.run_models(
        record("a.png"), model(lambda image, header: result(1.0)), None, False
    )
    assert labels is None
    assert signals.shape == (500, 2)
    assert (signals == [2.0, 1.0]).all()


def test_the_headers_rate_is_asked_for(record):
    asked = []
    read = lambda image, header: (asked.append((header.fs_hz, header.n_samples)), result(1.0))[1]  # noqa: E731
    adapter.run_models(record("a.png"), model(read), None, False)
    assert asked == [(250.0, 500)]


@pytest.mark.parametrize("error", [GridNotFound("no grid"), ZeroDivisionError("a bug")])
def test_a_page_that_fails_gives_nan_and_a_logged_reason(record, caplog, error):
    def read(image, header):
        raise error

    with caplog.at_level(logging.WARNING):
        signals, _ = adapter.run_models(record("a.png"), model(read), None, True)
    assert signals.shape == (500, 2)
    assert np.isnan(signals).all()
    assert "a.png" in caplog.text
    assert ("no_grid" in caplog.text) or ("internal" in caplog.text)


def test_missing_pictures_and_headers_do_not_stop_the_run(record, tmp_path, caplog):
    name = record("a.png")
    (tmp_path / "a.png").unlink()
    read = model(lambda image, header: result(1.0))
    with caplog.at_level(logging.WARNING):
        signals, _ = adapter.run_models(name, read, None, False)
        nothing = adapter.run_models(str(tmp_path / "none"), read, None, False)
    assert np.isnan(signals).all()
    assert nothing == (None, None)
    assert "image_missing" in caplog.text
    assert "record_missing" in caplog.text


def test_a_bug_after_reading_is_caught_too(record, caplog):
    broken = dataclasses.replace(result(1.0), signal=None)
    with caplog.at_level(logging.ERROR):
        signals, _ = adapter.run_models(
            record("a.png"), model(lambda image, header: broken), None, False
        )
    assert np.isnan(signals).all()
    assert "internal" in caplog.text


def test_one_bad_picture_of_two_leaves_the_other(record):
    def read(image, header):
        if image.source.endswith("a.png"):
            raise GridNotFound("no grid")
        return result(3.0)

    signals, _ = adapter.run_models(record("a.png", "b.png"), model(read), None, False)
    assert (signals == [4.0, 3.0]).all()


def test_two_pictures_with_different_leads_are_merged(record):
    def read(image, header):
        return result(1.0, ("II",)) if image.source.endswith("a.png") else result(5.0, ("aVR",))

    signals, _ = adapter.run_models(record("a.png", "b.png"), model(read), None, False)
    assert (signals == [5.0, 1.0]).all()


def test_training_leaves_a_model_folder_that_loads(record, tmp_path, caplog):
    record("a.png")
    adapter.train_models(str(tmp_path), str(tmp_path / "new/model"), False)
    card = json.loads((tmp_path / "new/model/card.json").read_text())
    assert card["training"]["n_records"] == 1
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        loaded, classifier = adapter.load_models(str(tmp_path / "new/model"), False)
    assert loaded.page_reader == "learned"
    assert classifier.reported  # nothing was learned, so it is the packaged one
    assert caplog.text == ""


def test_training_without_records_says_so(tmp_path):
    with pytest.raises(RecordError) as caught:
        adapter.train_models(str(tmp_path), str(tmp_path / "model"), False)
    assert caught.value.reason_code == "no_records"


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"schema": "other"}'])
def test_a_bad_model_folder_falls_back_with_a_warning(tmp_path, caplog, text):
    if text is not None:
        (tmp_path / "card.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        loaded, _ = adapter.load_models(str(tmp_path), True)
    assert loaded.strip_reader == "classical"
    assert "card.json" in caplog.text
