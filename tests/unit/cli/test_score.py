"""`cinc-ecg score`: the official flags, text, files and exit codes."""

import json

import pytest
import typer
from typer.testing import CliRunner

from cinc_ecg.cli.score import score
from tests.unit.challenge.conftest import folders, toy, write_wfdb  # noqa: F401

app = typer.Typer()
app.command()(score)


@pytest.fixture
def run(folders):  # noqa: F811
    def call(*flags):
        arguments = ["-d", str(folders[0]), "-o", str(folders[1]), "--jobs", "1", *flags]
        return CliRunner().invoke(app, arguments)

    return call


def test_b13_stdout_has_one_line_break_more_than_the_file(run, tmp_path):
    printed = run()
    assert printed.exit_code == 0
    written = run("-s", str(tmp_path / "scores.csv"))
    assert written.stdout == ""
    text = (tmp_path / "scores.csv").read_text()
    assert printed.stdout == text + "\n"
    assert text.startswith("SNR: ")
    assert text.endswith("F-measure: 0.500\n")


def test_official_flags_in_both_spellings(run, tmp_path):
    short = run("-n", "-x", "-ta", str(tmp_path / "a1"), "-tb", str(tmp_path / "b1"))
    long = run(
        "--no_shift",
        "--extra_scores",
        "--total_snr_file",
        str(tmp_path / "a2"),
        "--total_f_measure_file",
        str(tmp_path / "b2"),
    )
    assert short.exit_code == long.exit_code == 0
    assert short.stdout == long.stdout
    assert len(short.stdout.splitlines()) == 7
    assert (tmp_path / "a1").read_text() == (tmp_path / "a2").read_text()
    assert (tmp_path / "b1").read_text() == "NORM\t1.0\nPVC\t0.0\n"


def test_json_and_report(run):
    content = json.loads(run("--json").stdout)
    assert content["official_version"] == "2024-09"
    assert set(content["records"][0]["leads"]) >= {"I", "V6"}
    assert "worst" in run("--report").stdout


def test_clinical_differences_and_their_plot(run, tmp_path):
    plot = tmp_path / "agreement.png"
    result = run("--report", "--clinical", "--bland-altman", str(plot))
    assert result.exit_code == 0
    assert "QRS (ms)" in result.stdout
    assert plot.stat().st_size > 10_000
    content = json.loads(run("--json", "--clinical").stdout)
    assert set(content["clinical"]) == {"hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "st_mv", "r_mv"}
    assert run("--bland-altman", str(tmp_path / "x.nonsense")).exit_code == 1


def test_stops_with_one_line_and_code_1(run, folders, toy):  # noqa: F811
    write_wfdb(folders[1] / "a", toy, fs=125)
    result = run()
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("cinc-ecg: [score_fs] a: sampling rate 125 Hz")
    lenient = run("--lenient")
    assert lenient.exit_code == 0
    assert "not scored: a:" in lenient.stderr


def test_unknown_version_is_a_usage_error(run):
    assert run("--official-version", "2023").exit_code == 2
    assert run("--official-version", "2025-10").exit_code == 0


def test_unwritable_file_stops_with_one_line(run, tmp_path):
    result = run("-s", str(tmp_path / "missing" / "scores.txt"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
