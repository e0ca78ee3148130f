import numpy as np
import pytest
from PIL import Image

from cinc_ecg.challenge import helpers
from cinc_ecg.io import records
from cinc_ecg.types import Signal

FULL = (
    "00001_hr 2 500/250 5000 09:17:34 08/11/1984 \n"
    "00001_hr.dat 16x1:2+3 1000.5(7)/uV 16 0 -119 1508 0 I\n"
    "00001_hr.dat 16 200 12 5 -55 723 0 AVR\n"
    "# Age: 56\n# Labels: NORM, Old MI\n# Image: a-0.png, a-1.png,\n# Labels: PAC\n"
)
HIDDEN = (
    "r 2 250 2500\n"
    "r.dat 16 1000.0(0)/mV 16 0    I\n"
    "r.dat 16 1000.0(0)/mV 16 0    AVR\n"
    "# Image: b.png\n"
)


def test_getters_of_a_full_header():
    assert helpers.get_record_name(FULL) == "00001_hr"
    assert helpers.get_num_signals(FULL) == 2
    assert helpers.get_sampling_frequency(FULL) == 500.0
    assert helpers.get_num_samples(FULL) == 5000
    assert helpers.get_signal_formats(FULL) == ["16", "16"]
    assert helpers.get_adc_gains(FULL) == [1000.5, 200.0]
    assert helpers.get_baselines(FULL) == [7, 5]
    assert helpers.get_signal_units(FULL) == ["uV", "mV"]
    assert helpers.get_adc_resolutions(FULL) == [16, 12]
    assert helpers.get_adc_zeros(FULL) == [0, 5]
    assert helpers.get_initial_values(FULL) == [-119, -55]
    assert helpers.get_checksums(FULL) == [1508, 723]
    assert helpers.get_block_sizes(FULL) == [0, 0]
    assert helpers.get_signal_names(FULL) == ["I", "AVR"]
    assert helpers.get_signal_files_from_header(FULL) == ["00001_hr.dat"]


def test_getters_of_a_hidden_header():
    assert helpers.get_signal_names(HIDDEN) == ["I", "AVR"]
    assert helpers.get_adc_gains(HIDDEN) == [1000.0, 1000.0]
    for getter in (helpers.get_initial_values, helpers.get_checksums, helpers.get_block_sizes):
        with pytest.raises(ValueError, match="invalid literal"):
            getter(HIDDEN)


def test_variables_the_last_line_or_all_lines():
    assert helpers.get_variable(FULL, "# Age:") == ("56", True)
    assert helpers.get_variable(FULL, "# Labels:") == ("PAC", True)
    assert helpers.get_variables(FULL, "# Labels:") == (["NORM", "Old MI", "PAC"], True)
    assert helpers.get_image_files_from_header(FULL) == ["a-0.png", "a-1.png", ""]
    assert helpers.get_variables(FULL, "# Sex:") == ([], False)
    with pytest.raises(Exception, match=r"^No labels available:"):
        helpers.get_labels_from_header(HIDDEN)
    with pytest.raises(Exception, match=r"^No images available:"):
        helpers.get_image_files_from_header("r 0 500 0\n")


def test_files_of_a_record(tmp_path):
    record = str(tmp_path / "r")
    assert helpers.get_signal_files(record) == []
    assert helpers.get_image_files(record) == []
    helpers.save_header(record, HIDDEN + "# Image: c.png\n")
    Image.new("RGB", (20, 30)).save(tmp_path / "c.png")
    assert helpers.get_image_files(record) == ["b.png", "c.png"]
    (image,) = helpers.load_images(record)
    with image:
        assert image.size == (20, 30)
    assert helpers.load_signals(record) == (None, None)
    assert helpers.find_records(str(tmp_path)) == ["r"]


def test_signals_and_labels_are_saved_as_the_contract_says(tmp_path):
    record = str(tmp_path / "r")
    helpers.save_header(record, HIDDEN)
    signal = np.linspace(-1, 1, 5000).reshape(2500, 2).astype(np.float32)
    signal[:100, 0] = np.nan
    helpers.save_signals(record, signal, ["# Image: b.png"])
    header = helpers.save_labels(record, ["NORM", "Old MI"])
    lines = header.splitlines()
    assert lines[0] == "r 2 250 2500"
    assert lines[1].startswith("r.dat 16 1000.0(0)/mV 16 0 -32768 ")
    assert lines[1].endswith(" 0 I")
    assert lines[3:] == ["# Image: b.png", "# Labels: NORM, Old MI"]
    assert header.endswith("\n")
    again, fields = helpers.load_signals(record)
    np.testing.assert_allclose(again, signal, atol=0.51e-3)
    assert (fields["fs"], fields["sig_name"], fields["units"]) == (250, ["I", "AVR"], ["mV", "mV"])
    assert helpers.load_labels(record) == ["NORM", "Old MI"]


def test_our_own_records_and_theirs_agree(tmp_path):
    samples = np.random.default_rng(0).normal(0, 1, (300, 2)).astype(np.float32)
    records.write_record(tmp_path / "a", Signal(samples, 250.0, ("I", "AVR")))
    (tmp_path / "b").mkdir()
    record = str(tmp_path / "b" / "a")
    helpers.save_header(record, HIDDEN.replace("r.dat", "a.dat").replace("r 2", "a 2"))
    helpers.save_signals(record, samples)
    for suffix in ("dat", "hea"):
        ours, theirs = tmp_path / f"a.{suffix}", tmp_path / f"b/a.{suffix}"
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("bad", [np.full((9, 3), 0.0), np.full((9, 2), 99.0)])
def test_what_cannot_be_stored_raises_and_leaves_the_header(tmp_path, bad):
    record = str(tmp_path / "r")
    helpers.save_header(record, HIDDEN)
    with pytest.raises((ValueError, IndexError)):
        helpers.save_signals(record, bad)
    assert helpers.load_header(record) == HIDDEN
    assert len(list(tmp_path.iterdir())) == 1


def test_number_helpers():
    assert helpers.is_number("1e3")
    assert not helpers.is_number("x")
    assert helpers.is_integer("3.0")
    assert not helpers.is_integer(3.5)
    assert helpers.is_finite_number(2)
    assert not helpers.is_finite_number("inf")
    assert helpers.is_nan("nan")
    assert helpers.cast_int_float_unknown(3.0) == 3
    assert helpers.cast_int_float_unknown(3.5) == 3.5
    assert helpers.cast_int_float_unknown(float("nan")) == "Unknown"
    with pytest.raises(NotImplementedError):
        helpers.cast_int_float_unknown("x")
    with pytest.raises(ValueError, match="invalid literal"):
        helpers.cast_int_float_unknown("3.0")
