"""`cinc-ecg prepare`: the official flags in both spellings, exit codes, one line per problem."""

import pytest
from typer.testing import CliRunner

from cinc_ecg.cli.prepare import prepare
from tests.unit.challenge.prepare.conftest import files, records  # noqa: F401


def call(*arguments):
    return CliRunner().invoke(prepare, [str(a) for a in arguments])


def test_ptbxl_images_hide_in_a_row(files, records, tmp_path):  # noqa: F811
    tables = [
        "-pd", files.ptbxl_database, "-pm", files.ptbxl_mapping,
        "-sd", files.sl_database, "-sm", files.sl_mapping,
    ]  # fmt: skip
    labelled, pictured, hidden = (tmp_path / name for name in "lph")
    result = call("ptbxl", "-i", records, *tables, "-o", labelled)
    assert (result.exit_code, result.stdout) == (0, f"4 records in {labelled}\n")
    assert call("images", "-i", labelled, "-o", pictured).exit_code == 0
    flags = ["--include_waveforms", "--include_labels", "--include_images"]
    result = call("hide", "--input_folder", pictured, "--output_folder", hidden, *flags)
    assert result.exit_code == 0
    assert "# Labels: NORM" in (hidden / "00000/00001_hr.hea").read_text()


def test_long_table_flags(files, records, tmp_path):  # noqa: F811
    result = call(
        "ptbxl",
        "--input_folder", records,
        "--ptbxl_database_file", files.ptbxl_database,
        "--ptbxl_mapping_file", files.ptbxl_mapping,
        "--sl_database_file", files.sl_database,
        "--sl_mapping_file", files.sl_mapping,
        "--output_folder", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0


def test_some_failed_is_1_and_all_failed_is_2(records, tmp_path):  # noqa: F811
    header = records / "00000/00001_hr.hea"
    header.write_text(header.read_text() + "# Image: missing.png\n")
    some = call("hide", "-i", records, "-o", tmp_path / "out", "-m")
    assert some.exit_code == 1
    (line,) = some.stderr.splitlines()
    assert line.startswith("cinc-ecg: [file_missing]")
    for k in (2, 3, 4):
        (records / f"00000/0000{k}_hr.hea").unlink()
    assert call("hide", "-i", records, "-o", tmp_path / "out", "-m").exit_code == 2


def test_split_prints_counts(records, tmp_path):  # noqa: F811
    result = call("split", "-i", records, "-o", tmp_path / "out", "--parts", "a=0.5,b=0.5")
    assert result.stdout.splitlines()[:2] == ["a: 2 records", "b: 2 records"]


@pytest.mark.parametrize("parts", ["a", "a=x"])
def test_wrong_parts_are_refused(records, tmp_path, parts):  # noqa: F811
    result = call("split", "-i", records, "-o", tmp_path / "out", "--parts", parts)
    assert "is no part" in str(result.exception)
