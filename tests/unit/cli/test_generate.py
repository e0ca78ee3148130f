"""`cinc-ecg generate`: files come out, mistakes cost one line and leave nothing behind."""

import pytest
import typer
from typer.testing import CliRunner

from cinc_ecg.cli.generate import generate
from cinc_ecg.errors import CincEcgError
from cinc_ecg.io.records import read_header, write_record
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.truth import load_truth

app = typer.Typer()
app.command()(generate)
SMALL = ("--dpi", "60")


def run(*args: object):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_simulated_pages(tmp_path):
    result = run("-o", tmp_path / "out", "-n", 2, "--layout", "6x2", "--challenge", *SMALL)
    assert result.exit_code == 0, result.output
    assert "2 pages of 2 recordings" in result.output
    assert load_truth(tmp_path / "out" / "sim00001-0").layout.name == "6x2"
    assert read_header(tmp_path / "out" / "sim00001").images == ("sim00001-0.png",)


def test_options_reach_the_page(tmp_path):
    more = ("--mm-per-s", 50, "--mm-per-mv", 5, "--set", "pen.colour=[0,0,90]", "--rhythm", "af")
    result = run("-o", tmp_path, "-n", 1, *more, "--artefact", "noise:sigma=4", *SMALL)
    assert result.exit_code == 0, result.output
    truth = load_truth(tmp_path / "sim00000-0")
    assert (truth.calibration.mm_per_s, truth.calibration.mm_per_mv) == (50.0, 5.0)
    assert truth.settings["page"]["pen"]["colour"] == [0, 0, 90]
    assert truth.settings["artefacts"] == [{"name": "noise", "sigma": 4}]


def test_one_bad_record_does_not_stop_the_others(tmp_path):
    records = tmp_path / "records"
    records.mkdir()
    write_record(records / "good", simulate(seed=1))
    (records / "bad.hea").write_text("bad 1 500\nnothing.dat 16 1000/mV 16 0 0 0 0 I\n")
    result = run("-o", tmp_path / "out", "-i", records, *SMALL)
    assert result.exit_code == 1
    assert "bad" in result.output
    assert (tmp_path / "out" / "good-0.png").is_file()
    assert not list((tmp_path / "out").glob("bad*"))


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("-n", 1, "--preset", "neat"),
        ("-n", 1, "--layout", "9x9"),
        ("-n", 1, "--set", "pen.widht_mm=1"),
        ("-n", 1, "--set", "pen.width_mm"),
        ("-n", 1, "--set", "pen.width_mm=wide"),
        ("-n", 1, "--artefact", "sepia"),
        ("-n", 1, "--artefact", "noise"),
        ("-n", 1, "--artefact", "noise:sigma=loud"),
        ("-n", 1, "--rhythm", "waltz"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(tmp_path, args):
    result = run("-o", tmp_path / "out", *args)
    assert isinstance(result.exception, CincEcgError)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_missing_record_fails_alone(tmp_path):
    result = run("-o", tmp_path / "out", "-i", tmp_path / "none")
    assert result.exit_code == 2
    assert "none" in result.output
