import json

import numpy as np
import pytest

from benchmarks import dx, dx_pages
from cinc_ecg.errors import InputError
from cinc_ecg.io.records import read_signal
from cinc_ecg.leads import LEADS

STATEMENTS = ",diagnostic,diagnostic_class\nNORM,1.0,NORM\nIMI,1.0,MI\nCLBBB,1.0,CD\n"
CODES = ("NORM", "IMI", "CLBBB")


@pytest.fixture
def given(tmp_path, write_ecg):
    """Six recordings of two folds, tables, and the kept signals of their clean pages."""
    rows = ["ecg_id,scp_codes,strat_fold,infarction_stadium1"]
    for k in range(1, 7):
        write_ecg(tmp_path / "data", f"{k:05d}_hr", k)
        rows.append(f"{k},\"{{'{CODES[k % 3]}': 100.0}}\",{1 + k % 2},")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "statements.csv").write_text(STATEMENTS)
    keep = tmp_path / "keep" / "clean"
    keep.mkdir(parents=True)
    for k in range(1, 7):
        signal = read_signal(tmp_path / "data" / f"{k:05d}_hr")
        refused = k == 3
        samples = np.empty((0, 0), np.float32) if refused else signal.samples_mv
        np.savez(
            keep / f"{k:05d}_hr.npz",
            samples_mv=samples,
            fs_hz=signal.fs_hz,
            refusal="no_grid" if refused else "",
        )
    tables = ["--labels", tmp_path / "labels.csv", "--statements", tmp_path / "statements.csv"]
    return [str(x) for x in ("--data", tmp_path / "data", *tables, "--keep", tmp_path / "keep")]


def test_a_run_publishes_conditions_and_classes(given, tmp_path, capsys):
    out = tmp_path / "dx.md"
    arguments = [*given, "--pages", "clean:6", "--draws", "20", "--out", str(out)]
    assert dx.main(arguments) == 0
    text = out.read_text()
    rows = {
        line.split(" | ")[0]: line.split(" | ") for line in text.splitlines() if line[:2] == "| "
    }
    assert rows["| true signals, cut"][1] == "6"
    assert rows["| pages: clean"][1:3] == ["6", "1"]
    assert rows["| MI"][1:3] == ["2", "6"]
    assert rows["| MI"][5] == "not given"
    assert "Acute MI: " in text
    assert str(tmp_path) not in text


def test_only_the_folds_asked_for_are_tested_in_a_fixed_order(given):
    parsed = dx.parse([*given, "--folds", "1"])
    chosen = dx.choose(parsed)
    assert {recording.name for recording in chosen} == {"00002_hr", "00004_hr", "00006_hr"}
    assert [r.name for r in chosen] == [r.name for r in dx.choose(parsed)]
    with pytest.raises(InputError, match="folds 9"):
        dx.choose(dx.parse([*given, "--folds", "9"]))


def test_figures_go_into_the_card(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"metrics": {"held out": {"n": 3}}}))
    dx.write_card(tmp_path, [("pages: clean", {"macro_auc": 0.9}, None)])
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["metrics"]["held out"] == {"n": 3}
    assert card["metrics"]["test"] == {"pages: clean": {"macro_auc": 0.9}}


def test_wrong_page_numbers_are_refused():
    assert dx.wanted("clean:20,bw:3") == [("clean", 20), ("bw", 3)]
    with pytest.raises(InputError, match="condition:pages"):
        dx.wanted("clean")


def test_pages_are_made_once_and_kept(tmp_path, write_ecg, monkeypatch, small_digitization):
    write_ecg(tmp_path, "00001_hr", 1)
    calls = []

    def digitize(image, config):
        calls.append(image.source)
        return small_digitization

    monkeypatch.setattr(dx_pages, "digitize", digitize)
    for _ in range(2):
        signal, refusal = dx_pages.digitized(tmp_path / "00001_hr", "clean", tmp_path / "keep")
    assert calls == ["clean-00001_hr"]
    assert refusal == ""
    assert signal.leads == LEADS
    assert np.isfinite(signal.samples_mv[:, 0]).all()
    assert np.isnan(signal.samples_mv[:, 1]).all()
