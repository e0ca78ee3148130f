"""`prepare split | challenge`: parts without common patients, folders with drawn pages."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.challenge.prepare.pages import PageOptions, prepare_challenge
from cinc_ecg.challenge.prepare.split import (
    SplitRecord,
    prepare_split,
    read_split_records,
    split_records,
)
from cinc_ecg.errors import ConfigError, InputError
from cinc_ecg.io.records import read_header, read_signal


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 60), st.floats(0.1, 0.9))
def test_parts_are_disjoint_complete_and_share_no_patient(seed, n, share):
    rng = np.random.default_rng(seed)
    records = [
        SplitRecord(f"r{k}", str(rng.integers(n // 2)), tuple(rng.choice(["A", "B", "C"], 1)))
        for k in range(n)
    ]
    parts = split_records(records, {"a": share, "b": 1 - share}, seed=seed)
    assert sorted(parts["a"] + parts["b"]) == sorted(r.record for r in records)
    patient_of = {r.record: r.patient for r in records}
    sides = [{patient_of[r] for r in parts[part]} for part in ("a", "b")]
    assert not sides[0] & sides[1]


def test_labels_have_the_same_share_everywhere():
    rng = np.random.default_rng(0)
    records = [
        SplitRecord(f"r{k}", "", ("RARE",) if k % 25 == 0 else tuple(rng.choice(["A", "B"], 1)))
        for k in range(500)
    ]
    parts = split_records(records, {"train": 0.8, "test": 0.2})
    label_of = {r.record: r.labels[0] for r in records}
    assert len(parts["test"]) == pytest.approx(100, abs=2)
    assert Counter(label_of[r] for r in parts["test"])["RARE"] == 4
    assert parts == split_records(records, {"train": 0.8, "test": 0.2})
    assert parts != split_records(records, {"train": 0.8, "test": 0.2}, seed=1)


@pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.6}, {"a": 1.5, "b": -0.5}])
def test_shares_must_be_sound(shares):
    with pytest.raises(ConfigError, match="add up to 1"):
        split_records([SplitRecord("r", "", ())], shares)


def test_patients_come_from_the_table_or_the_header(records, files):
    found = read_split_records(records, files.ptbxl_database)
    assert [r.patient for r in found] == ["15709", "13243", "15709", "1"]
    header = records / "00000/00002_hr.hea"
    header.write_text(header.read_text() + "# Patient: 77\n# Labels: A, B\n")
    assert read_split_records(records)[1] == SplitRecord("00000/00002_hr", "77", ("A", "B"))
    with pytest.raises(InputError, match="needs columns"):
        read_split_records(records, files.ptbxl_mapping)


def test_prepare_split_writes_lists_and_copies(records, files, tmp_path):
    parts, report = prepare_split(
        records,
        tmp_path / "out",
        {"train": 0.5, "test": 0.5},
        patients=files.ptbxl_database,
        copy=True,
    )
    assert report.done == 4
    for part, names in parts.items():
        assert (tmp_path / "out" / f"{part}.txt").read_text().split() == names
        for name in names:
            assert read_signal(tmp_path / "out" / part / name).samples_mv.shape == (1000, 12)


def test_prepare_challenge_makes_three_folders_and_resumes(records, files, tmp_path):
    out = tmp_path / "out"
    options = PageOptions(hidden=0.5, pages=2, values={"paper.dpi": 50.0}, jobs=1)
    report = prepare_challenge(records, out, files, options)
    assert (report.done, report.problems) == (4, ())
    hidden = sorted(p.stem for p in (out / "hidden").rglob("*.hea"))
    training = sorted(p.stem for p in (out / "training").rglob("*.hea"))
    assert sorted(hidden + training) == [f"0000{k}_hr" for k in (1, 2, 3, 4)]
    assert ("00001_hr" in hidden) == ("00003_hr" in hidden)  # one patient

    trained = read_header(out / "training/00000" / training[0])
    assert trained.labels is not None
    assert trained.images == (f"{training[0]}-0.png", f"{training[0]}-1.png")
    assert read_signal(out / "training/00000" / training[0]).samples_mv.shape == (1000, 12)

    secret = read_header(out / "hidden/00000" / hidden[0])
    assert secret.labels is None
    assert all((out / "hidden/00000" / name).exists() for name in secret.images)
    assert not list((out / "hidden").rglob("*.dat"))
    reference = read_signal(out / "hidden_ref/00000" / hidden[0])
    assert 0.2 < np.isfinite(reference.samples_mv).mean() < 0.5
    assert read_header(out / "hidden_ref/00000" / hidden[0]).labels is not None

    files_before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    lost = out / "training/00000" / f"{training[0]}.hea"
    lost.unlink()
    prepare_challenge(records, out, files, options)
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert set(after) == set(files_before)
    redone = {p.stem.split("-")[0] for p in after if after[p] != files_before[p]}
    assert redone == {training[0]}
