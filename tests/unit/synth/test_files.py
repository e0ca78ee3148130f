"""Truth survives being written, and generated folders hold what they promise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.errors import ConfigError, InputError, OutputError, RecordError
from cinc_ecg.io.images import read_image
from cinc_ecg.io.records import read_header, read_signal, write_record
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.generate import GenerateOptions, GenerateTask, generate_pages, unique_names
from cinc_ecg.synth.page import render
from cinc_ecg.synth.presets import PRESETS
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.synth.truth import load_truth, save_truth
from cinc_ecg.types import Signal

SMALL = {"paper.dpi": 60.0}


def test_truth_comes_back_equal(tmp_path):
    settings = with_values(PageSettings(), SMALL)
    _, truth = render(simulate(seed=2), settings)
    save_truth(truth, tmp_path / "page")
    back = load_truth(tmp_path / "page")
    for name in ("layout", "calibration", "names", "pulses", "separators", "text_boxes_mm"):
        assert getattr(back, name) == getattr(truth, name)
    np.testing.assert_array_equal(back.signal.samples_mv, truth.signal.samples_mv)
    np.testing.assert_array_equal(back.geometry.nodes_px, truth.geometry.nodes_px)
    assert back.geometry.origin_mm == truth.geometry.origin_mm
    for a, b in zip(back.trace_mm, truth.trace_mm, strict=True):
        np.testing.assert_array_equal(a, b)
    assert back.settings == json.loads(json.dumps(truth.settings))


def test_damaged_truth_is_refused(tmp_path):
    with pytest.raises(InputError):
        load_truth(tmp_path / "none")
    _, truth = render(simulate(seed=2), with_values(PageSettings(), SMALL))
    npz, sidecar = save_truth(truth, tmp_path / "page")
    npz.write_bytes(npz.read_bytes()[:100])
    with pytest.raises(InputError):
        load_truth(tmp_path / "page")
    sidecar.write_text('{"schema": "other"}')
    with pytest.raises(InputError):
        load_truth(tmp_path / "page")
    with pytest.raises(OutputError):
        save_truth(truth, tmp_path / "nowhere" / "page")


@pytest.mark.parametrize("preset", ["clean", "vary"])
def test_same_task_same_files(tmp_path, preset):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        values = SMALL if preset != "vary" else {"paper.dpi": 72.0}
        options = GenerateOptions(folder, preset, values=values, challenge=True, seed=5)
        generate_pages(GenerateTask("rec", 3, options))
    names = sorted(path.name for path in folders[0].iterdir())
    expected = ["rec-0.png", "rec-0.truth.json", "rec-0.truth.npz", "rec.dat", "rec.hea"]
    assert names == expected
    for name in ("rec-0.png", "rec-0.truth.json", "rec.dat", "rec.hea"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_challenge_record_is_masked_to_the_page(tmp_path):
    write_record(tmp_path / "in", simulate(seed=1), comments=["Age: 50", "Image: old.png"])
    options = GenerateOptions(tmp_path, values=SMALL, challenge=True)
    pictures = generate_pages(GenerateTask("out", 0, options, tmp_path / "in"))
    header = read_header(tmp_path / "out")
    assert header.images == ("out-0.png",)
    assert "Age: 50" in [comment.strip() for comment in header.comments]
    masked = read_signal(tmp_path / "out").samples_mv
    assert np.isfinite(masked[:, 1]).all()
    assert np.isnan(masked[1250:, 0]).all()
    assert np.isfinite(masked[:1250, 0]).all()
    assert read_image(pictures[0]).dpi == pytest.approx(60, abs=0.1)


def test_long_recordings_take_several_pages(tmp_path):
    write_record(tmp_path / "long", simulate(EcgSettings(duration_s=25.0), seed=1))
    options = GenerateOptions(tmp_path, values=SMALL, challenge=True)
    pictures = generate_pages(GenerateTask("x", 0, options, tmp_path / "long"))
    assert [path.name for path in pictures] == ["x-0.png", "x-1.png"]
    masked = read_signal(tmp_path / "x").samples_mv
    assert np.isfinite(masked[:10_000, 1]).all()
    assert np.isnan(masked[10_000:]).all()
    second = load_truth(tmp_path / "x-1").signal.samples_mv
    np.testing.assert_allclose(masked[5000:10_000], second, atol=6e-4)


def test_a_signal_too_short_to_print_is_refused(tmp_path):
    stub = Signal(np.zeros((20, 1), np.float32), 500.0, ("I",))
    write_record(tmp_path / "stub", stub)
    with pytest.raises(RecordError):
        generate_pages(GenerateTask("x", 0, GenerateOptions(tmp_path), tmp_path / "stub"))
    with pytest.raises(ConfigError, match="preset"):
        generate_pages(GenerateTask("x", 0, replace(GenerateOptions(tmp_path), preset="neat")))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_known_settings(name):
    preset = PRESETS[name]
    assert with_values(PageSettings(), preset.values)
    assert preset.summary


def test_names_stay_unique(tmp_path):
    records = [tmp_path / "a" / "r1.hea", tmp_path / "b" / "r1", tmp_path / "ä b"]
    assert unique_names(records) == ["r1", "r1-2", "a_b"]
