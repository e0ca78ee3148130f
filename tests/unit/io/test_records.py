import errno
import os
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.errors import OutputError, RecordError
from cinc_ecg.io import atomic, records
from cinc_ecg.leads import LEADS
from cinc_ecg.types import Signal

TRIMMED = (
    "00001_hr 3 500 5000\n"
    "00001_hr.dat 16 1000.0(0)/mV 16 0    I\n"
    "00001_hr.dat 16 1000.0(0)/mV 16 0    AVR\n"
    "00001_hr.dat 16 1000.0(0)/mV 16 0    V1\n"
    "# Image: a-0.png, b 1.png,\n"
)


def make_signal(seed=0, n=700, leads=LEADS):
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.5, (n, len(leads))).astype(np.float32)
    samples[: n // 4, 0] = np.nan
    samples[:, -1] = np.nan
    return Signal(samples, 500.0, tuple(leads))


def test_written_record_reads_back_to_half_a_microvolt_with_its_gaps(tmp_path):
    signal = make_signal()
    report = records.write_record(tmp_path / "r1", signal, comments=["Age: 56"])
    again = records.read_signal(tmp_path / "r1")
    assert report.clipped_leads == ()
    assert (again.leads, again.fs_hz) == (signal.leads, 500.0)
    np.testing.assert_array_equal(np.isnan(again.samples_mv), np.isnan(signal.samples_mv))
    assert np.nanmax(np.abs(again.samples_mv - signal.samples_mv)) <= 0.5e-3 + 1e-6
    assert records.read_header(tmp_path / "r1.hea").comments == ("Age: 56",)


def test_our_files_are_those_of_wfdb_with_explicit_gain(tmp_path):
    signal = make_signal(1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    records.write_record(tmp_path / "a" / "r", signal)
    wfdb.wrsamp(
        "r",
        fs=500,
        units=["mV"] * 12,
        sig_name=list(LEADS),
        p_signal=signal.samples_mv.astype(np.float64),
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(tmp_path / "b"),
    )
    assert (tmp_path / "a/r.dat").read_bytes() == (tmp_path / "b/r.dat").read_bytes()
    ours = (tmp_path / "a/r.hea").read_text().splitlines()
    theirs = (tmp_path / "b/r.hea").read_text().splitlines()
    assert ours == theirs


def test_values_out_of_range_are_cut_and_reported(tmp_path):
    samples = np.zeros((10, 2), np.float32)
    samples[3, 1] = 50.0
    samples[4, 0] = np.inf
    report = records.write_record(tmp_path / "r", Signal(samples, 250.0, ("I", "II")))
    again = records.read_signal(tmp_path / "r")
    assert report.clipped_leads == ("II",)
    assert again.samples_mv[3, 1] == pytest.approx(32.767)
    assert np.isnan(again.samples_mv[4, 0])


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_trimmed_challenge_header(newline):
    header = records.parse_header(TRIMMED.replace("\n", newline))
    assert header.leads == ("I", "AVR", "V1")
    assert (header.fs_hz, header.n_samples) == (500.0, 5000)
    assert header.images == ("a-0.png", "b 1.png")
    assert header.labels is None
    assert header.units == ("mV", "mV", "mV")


def test_squeezed_trimmed_header_keeps_the_lead_names():
    squeezed = "\n".join(" ".join(line.split()) for line in TRIMMED.splitlines())
    assert records.parse_header(squeezed).leads == ("I", "AVR", "V1")


def test_repeated_tags_add_up_and_empty_labels_are_not_missing_labels():
    text = TRIMMED + "# Image: c.png\n# Labels: NORM, PAC\n# Labels: Old MI\n#Image: no.png\n"
    header = records.parse_header(text)
    assert header.images == ("a-0.png", "b 1.png", "c.png")
    assert header.labels == ("NORM", "PAC", "Old MI")
    assert records.parse_header(TRIMMED + "# Labels: \n").labels == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "r x 500 10\n",
        "r 1 500 10\n",
        "r 1 0 10\nr.dat 16 1 16 0 0 0 0 I\n",
    ],
)
def test_damaged_headers_are_one_clear_error(text):
    with pytest.raises(RecordError) as caught:
        records.parse_header(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=200)
    | st.binary(max_size=200).map(lambda b: "r 2 500 9\n" + b.decode("latin1"))
)
def test_any_header_text_parses_or_is_a_record_error(text):
    try:
        header = records.parse_header(text)
    except RecordError:
        return
    assert len(header.leads) == len(header.units)


def test_missing_files_have_their_own_code(tmp_path):
    with pytest.raises(RecordError) as caught:
        records.read_header(tmp_path / "none")
    assert caught.value.reason_code == "record_missing"
    records.write_record(tmp_path / "r", make_signal())
    (tmp_path / "r.dat").unlink()
    with pytest.raises(RecordError) as caught:
        records.read_signal(tmp_path / "r")
    assert caught.value.reason_code == "record_missing"


def test_truncated_samples_are_a_record_error(tmp_path):
    records.write_record(tmp_path / "r", make_signal())
    dat = tmp_path / "r.dat"
    dat.write_bytes(dat.read_bytes()[:100])
    with pytest.raises(RecordError):
        records.read_signal(tmp_path / "r")


def test_microvolts_become_millivolts(tmp_path):
    records.write_record(tmp_path / "r", Signal(np.full((9, 1), 0.5, np.float32), 250.0, ("I",)))
    hea = tmp_path / "r.hea"
    hea.write_text(hea.read_text().replace("1000.0(0)/mV", "1.0(0)/uV"))
    assert records.read_signal(tmp_path / "r").samples_mv == pytest.approx(0.5)


def test_find_records_is_sorted_relative_and_survives_a_link_loop(tmp_path):
    (tmp_path / "b/c").mkdir(parents=True)
    for name in ("z.hea", "b/a.hea", "b/c/x y.hea"):
        (tmp_path / name).touch()
    (tmp_path / "b/loop").symlink_to(tmp_path, target_is_directory=True)
    assert records.find_records(tmp_path) == ["b/a", "b/c/x y", "z"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ärzte Ekg.1", "Arzte_Ekg_1"),
        ("心电", "u5fc3u7535"),
        ("...", "record"),
        ("a-b_9", "a-b_9"),
        ("../../etc", "etc"),
    ],
)
def test_any_text_becomes_a_record_name_that_wfdb_reads_back(text, name, tmp_path):
    assert records.record_name(text) == name
    records.write_record(tmp_path / name, make_signal())
    assert records.read_signal(tmp_path / name).leads == LEADS


def test_a_name_that_wfdb_cannot_hold_is_refused(tmp_path):
    with pytest.raises(RecordError) as caught:
        records.write_record(tmp_path / "a b", make_signal())
    assert caught.value.reason_code == "record_name"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError) as caught:
        records.write_record(tmp_path / "r", make_signal())
    assert caught.value.reason_code == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_a_failure_before_the_end_leaves_the_old_file(tmp_path):
    atomic.write_text(tmp_path / "a.txt", "old")

    def fail():
        with atomic.staged(tmp_path) as scratch:
            (scratch / "a.txt").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert atomic.sweep(tmp_path) == 0


def test_header_is_renamed_last(tmp_path, monkeypatch):
    order = []
    real = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (order.append(self.name), real(self, to))[1]
    )
    records.write_record(tmp_path / "r", make_signal())
    assert order == ["r.dat", "r.hea"]


def test_a_file_in_the_way_of_the_output_folder_is_one_line(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError) as caught:
        atomic.make_folder(tmp_path / "out")
    assert caught.value.reason_code == "output_unwritable"
