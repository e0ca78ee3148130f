import numpy as np
import pytest
from PIL import Image

from cinc_ecg.data.recordings import fingerprint, read_folder, simulated
from cinc_ecg.errors import RecordError
from cinc_ecg.leads import LEADS


def test_what_a_folder_offers(ecg_folder, write_ecg):
    Image.new("RGB", (20, 20)).save(ecg_folder / "a.png")
    write_ecg(ecg_folder / "sub", "x", labels=None, images=("../a.png", "none.png"))
    recordings, notes = read_folder(ecg_folder)
    assert [r.name for r in recordings] == [*(f"r{k}" for k in range(6)), "sub/x"]
    assert recordings[0].labels == ("AFIB/AFL", "CD")
    assert recordings[-1].labels is None
    assert len(recordings[-1].images) == 1
    assert [(note.code, note.where) for note in notes] == [("image_missing", "sub/x")]


def test_patients_are_groups(ecg_folder, write_ecg):
    for name in "ab":
        write_ecg(ecg_folder, f"p_{name}", comments=["Patient: 17", "Age: Unknown", "Sex: Unknown"])
    groups = {r.name: r.group for r in read_folder(ecg_folder)[0]}
    assert groups["p_a"] == groups["p_b"] != groups["r0"]


def test_broken_and_empty_records_are_named(ecg_folder):
    (ecg_folder / "bad.hea").write_text("not a header")
    (ecg_folder / "lost.hea").write_text("lost 1 100 10\nlost.dat 16 1000/mV 16 0 0 0 0 II\n")
    recordings, notes = read_folder(ecg_folder)
    assert len(recordings) == 6
    assert {note.where: note.code for note in notes} == {
        "bad": "record_unreadable",
        "lost": "record_missing",
    }


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="no records"):
        read_folder(tmp_path)


def test_leads_come_in_standard_order_and_absurd_values_are_unknown(tmp_path):
    names = ["V1", "AVR", "odd", "II"]
    lines = [f"r.dat 16 1/mV 16 0 0 0 0 {name}" for name in names]
    (tmp_path / "r.hea").write_text("\n".join(["r 4 100 3", *lines]) + "\n")
    values = np.array([[1, 2, 3, 4], [1, 2, 3, 99], [1, 2, 3, -32768]], "<i2")
    (tmp_path / "r.dat").write_bytes(values.tobytes())
    signal = read_folder(tmp_path)[0][0].read()
    assert signal.leads == LEADS
    column = {lead: signal.samples_mv[:, k] for k, lead in enumerate(LEADS)}
    np.testing.assert_array_equal(column["II"], [4, np.nan, np.nan])
    np.testing.assert_array_equal(column["aVR"], [2, 2, 2])
    assert np.isnan(column["I"]).all()


def test_the_fingerprint_follows_the_data(ecg_folder, write_ecg):
    first = fingerprint(read_folder(ecg_folder)[0])
    assert first == fingerprint(reversed(read_folder(ecg_folder)[0]))
    write_ecg(ecg_folder, "r0", 77, labels=["AFIB/AFL", "CD"])
    assert fingerprint(read_folder(ecg_folder)[0]) != first


def test_simulated_records_are_reproducible():
    a, b = simulated(3, 5), simulated(3, 5)
    np.testing.assert_array_equal(a[1].read().samples_mv, b[1].read().samples_mv)
    assert not np.array_equal(a[0].read().samples_mv, a[1].read().samples_mv)
