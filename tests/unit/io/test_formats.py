import csv
import dataclasses
import json

import numpy as np
import pytest

from cinc_ecg.errors import ConfigError, OutputError
from cinc_ecg.io import formats, records
from cinc_ecg.io.sidecar import SCHEMA_VERSION, dump_json, sidecar
from cinc_ecg.types import Signal


def test_all_formats_hold_the_same_signal(tmp_path, small_digitization):
    signal = small_digitization.signal
    files = formats.write_outputs(
        small_digitization, tmp_path, "page 1", source={"file": "page 1.png"}, comments=["a"]
    )
    assert sorted(path.name for path in files) == [
        "page_1.csv",
        "page_1.dat",
        "page_1.hea",
        "page_1.json",
        "page_1.npz",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    wfdb_mv = records.read_signal(tmp_path / "page_1").samples_mv
    with np.load(tmp_path / "page_1.npz") as arrays:
        np.testing.assert_array_equal(arrays["samples_mv"], signal.samples_mv)
        assert tuple(arrays["leads"]) == signal.leads
        assert arrays["fs_hz"] == signal.fs_hz
    with (tmp_path / "page_1.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == ["time_s", "I_mV", "V6_mV"]
    table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    np.testing.assert_allclose(table[:, 0], np.arange(640) / 200.0)
    np.testing.assert_allclose(table[:, 1:], signal.samples_mv, atol=0.51e-4)
    np.testing.assert_allclose(wfdb_mv, signal.samples_mv, atol=0.51e-3)


def test_sidecar_says_what_a_reader_needs(tmp_path, small_digitization):
    formats.write_outputs(small_digitization, tmp_path, "p", ["json"], source={"page": 0})
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["signal"] == {
        "fs_hz": 200.0,
        "n_samples": 640,
        "duration_s": 3.2,
        "units": "mV",
        "leads": ["I", "V6"],
    }
    assert document["calibration"]["gain_source"] == "pulse"
    assert document["calibration"]["px_per_mm_x"] == pytest.approx(8.0)
    assert [panel["lead"] for panel in document["layout"]["panels"]] == ["I", "V6"]
    assert [lead["status"] for lead in document["leads"]] == ["ok", "partial"]
    assert document["notes"][0]["code"] == "gap"
    assert document["quality"]["limb_residual_mv"] is None
    assert document["source"] == {"page": 0}
    assert document["versions"]["cinc_ecg"]


def test_json_has_no_nan(small_digitization):
    quality = dataclasses.replace(small_digitization.quality, coverage=float("nan"))
    text = dump_json(sidecar(dataclasses.replace(small_digitization, quality=quality)))
    assert json.loads(text)["quality"]["coverage"] is None
    assert "NaN" not in text


def test_clipping_is_noted(tmp_path, small_digitization):
    samples = small_digitization.signal.samples_mv.copy()
    samples[5, 1] = 99.0
    signal = dataclasses.replace(small_digitization.signal, samples_mv=samples)
    result = dataclasses.replace(small_digitization, signal=signal)
    formats.write_outputs(result, tmp_path, "p", ["wfdb", "json"])
    notes = json.loads((tmp_path / "p.json").read_text())["notes"]
    assert [(note["code"], note["where"]) for note in notes] == [("gap", "V6"), ("clipped", "V6")]


def test_an_empty_lead_is_written_everywhere(tmp_path, small_digitization):
    samples = small_digitization.signal.samples_mv.copy()
    samples[:, 0] = np.nan
    signal = dataclasses.replace(small_digitization.signal, samples_mv=samples)
    formats.write_outputs(dataclasses.replace(small_digitization, signal=signal), tmp_path, "p")
    assert np.isnan(records.read_signal(tmp_path / "p").samples_mv[:, 0]).all()
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith("0.000000,,")


def test_unknown_format_lists_the_choices(tmp_path, small_digitization):
    with pytest.raises(ConfigError, match="wfdb, csv, npz, json"):
        formats.write_outputs(small_digitization, tmp_path, "p", ["edf"])
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_an_output_error(tmp_path, small_digitization):
    with pytest.raises(OutputError) as caught:
        formats.write_outputs(small_digitization, tmp_path / "none", "p")
    assert caught.value.reason_code == "output_unwritable"


def test_extra_files_are_published_together(tmp_path, small_digitization):
    files = formats.write_outputs(
        small_digitization, tmp_path, "p", ["json"], extra_files={".overlay.png": b"png"}
    )
    assert {path.name for path in files} == {"p.json", "p.overlay.png"}
    assert (tmp_path / "p.overlay.png").read_bytes() == b"png"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_formula_in_a_cell_is_defused(text):
    assert formats.safe_cell(text).lstrip('"').startswith("'")
    (row,) = csv.reader([formats.safe_cell(text.strip()) + ",b"])
    assert row[0] == "'" + text.strip() or not text.strip().startswith(("=", "+", "-", "@"))


def test_cells_survive_commas_and_quotes():
    (row,) = csv.reader([formats.safe_cell('a,"b"') + ",c"])
    assert row == ['a,"b"', "c"]


def test_lead_names_cannot_inject():
    signal = Signal(np.zeros((2, 1), np.float32), 100.0, ("=cmd()",))
    assert formats.csv_text(signal).splitlines()[0] == "time_s,'=cmd()_mV"
