"""The Challenge's contract, run as the organizers do: bare folder, scripts from its root, own
drivers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cinc_ecg.challenge import helpers
from cinc_ecg.data.labels import CHALLENGE_CLASSES
from cinc_ecg.io import records
from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.leads import LEADS
from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "stand_in"
SPELT = tuple(lead.upper() if lead.startswith("a") else lead for lead in LEADS)


def trimmed_header(name, fs_hz, n_samples, image):
    lines = [f"{name} 12 {fs_hz:g} {n_samples}"]
    lines += [f"{name}.dat 16 1000.0(0)/mV 16 0    {lead}" for lead in SPELT]
    return "\n".join([*lines, f"# Image: {image}"]) + "\n"


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    """A bare folder with the root scripts and the package, nothing installed, and a little data."""
    root = tmp_path_factory.mktemp("challenge")
    for name in ("team_code.py", "helper_code.py", "run_model.py", "train_model.py"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "model", root / "model")
    shutil.copytree(
        ROOT / "cinc_ecg", root / "cinc_ecg", ignore=shutil.ignore_patterns("__pycache__")
    )
    data = root / "test_data"
    (data / "sub").mkdir(parents=True)
    signal = simulate(EcgSettings(), seed=5)
    page, truth = render(signal, seed=5)
    write_bytes(data / "sub" / "r1-0.png", encode_png(page.pixels))
    (data / "sub" / "r1.hea").write_text(trimmed_header("r1", 500, 5000, "r1-0.png"))
    (data / "broken.hea").write_text(trimmed_header("broken", 250, 2500, "none.png"))
    return root, truth


def run(root, *command, code=0):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == code, done.stderr
    return done


def check_outputs(out, truth):
    written = records.read_signal(out / "sub" / "r1")
    assert (written.fs_hz, len(written.samples_mv), written.leads) == (500.0, 5000, LEADS)
    snrs = []
    for column, lead in enumerate(truth.signal.leads):
        expected = truth.signal.samples_mv[:, column].astype(float)
        got = written.samples_mv[:, LEADS.index(lead)].astype(float)
        outside = np.isnan(expected)
        assert np.isnan(got[outside]).sum() >= 0.95 * outside.sum()
        snrs.append(fast_snr(expected, got, 500.0))
    assert np.nanmean(snrs) > 5


@pytest.fixture(scope="module")
def outputs(submission):
    root, truth = submission
    done = run(root, "run_model.py", "-d", "test_data", "-m", "model", "-o", "out", "-v")
    return root, truth, done


def test_the_package_is_the_copy_in_the_folder(submission):
    root, _ = submission
    done = run(root, "-c", "import cinc_ecg, team_code; print(cinc_ecg.__file__)")
    assert done.stdout.strip() == str(root / "cinc_ecg" / "__init__.py")


def test_run_model_says_and_writes_what_the_contract_says(outputs):
    root, truth, done = outputs
    assert done.stdout.splitlines() == [
        "Loading the Challenge model...",
        "Finding the Challenge data...",
        "Running the Challenge model(s) on the Challenge data...",
        "- 1/2: broken...",
        "- 2/2: sub/r1...",
        "Done.",
    ]
    assert "image_missing" in done.stderr
    assert "Traceback" not in done.stderr
    check_outputs(root / "out", truth)
    lines = (root / "out" / "sub" / "r1.hea").read_text().splitlines()
    assert lines[0] == "r1 12 500 5000"
    assert [line.split(" ")[8] for line in lines[1:13]] == list(SPELT)
    assert all(line.startswith("r1.dat 16 1000.0(0)/mV 16 0 ") for line in lines[1:13])
    assert lines[13] == "# Image: r1-0.png"
    (labels,) = [line.removeprefix("# Labels: ") for line in lines[14:]]
    assert labels
    assert set(labels.split(", ")) <= set(CHALLENGE_CLASSES)
    assert "# Labels" not in (root / "out" / "broken.hea").read_text()


def test_altered_weights_cost_the_labels_and_nothing_else(outputs):
    root, truth, _ = outputs
    file = min((root / "cinc_ecg" / "weights" / "dx").glob("*.safetensors"))
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    done = run(root, "run_model.py", "-d", "test_data", "-m", "model", "-o", "unlabelled")
    file.write_bytes(before)
    assert file.name in done.stderr
    assert "Traceback" not in done.stderr
    check_outputs(root / "unlabelled", truth)
    assert "# Labels" not in (root / "unlabelled" / "sub" / "r1.hea").read_text()


def test_a_record_without_a_picture_is_an_empty_signal(outputs):
    root, _, _ = outputs
    empty = records.read_signal(root / "out" / "broken")
    assert empty.samples_mv.shape == (2500, 12)
    assert np.isnan(empty.samples_mv).all()


def test_our_outputs_read_with_the_helpers(outputs):
    root, _, _ = outputs
    assert helpers.find_records(str(root / "out")) == ["broken", "sub/r1"]
    _, fields = helpers.load_signals(str(root / "out" / "sub" / "r1"))
    assert tuple(fields["sig_name"]) == SPELT
    assert fields["units"] == ["mV"] * 12


def test_train_model_makes_a_model_that_loads(submission):
    root, _ = submission
    run(root, "train_model.py", "-d", "test_data", "-m", "new/model", "-v")
    card = json.loads((root / "new" / "model" / "card.json").read_text())
    assert card["schema"] == "cinc_ecg/model"
    code = "import team_code; print(team_code.load_models('new/model', False)[0].page_reader)"
    assert run(root, "-c", code).stdout.strip() == "learned"


def test_the_organizers_own_files_dropped_over_ours(submission):
    root, truth = submission
    bare = root.parent / "dropped"
    shutil.copytree(root, bare, ignore=shutil.ignore_patterns("out", "new", "__pycache__"))
    for path in STAND_IN.glob("*.py"):
        shutil.copy(path, bare / path.name)
    run(bare, "train_model.py", "-d", "test_data", "-m", "trained", "-v")
    done = run(bare, "run_model.py", "-d", "test_data", "-m", "trained", "-o", "out", "-v")
    assert done.stdout.splitlines()[-1] == "Done."
    check_outputs(bare / "out", truth)
    empty = records.read_signal(bare / "out" / "broken")
    assert np.isnan(empty.samples_mv).all()


@pytest.mark.parametrize("script", ["run_model.py", "train_model.py"])
def test_wrong_arguments_end_with_2(submission, script):
    root, _ = submission
    assert "usage:" in run(root, script, "-d", "test_data", code=2).stderr


def test_no_data_is_an_error_of_the_driver(submission):
    root, _ = submission
    (root / "nothing").mkdir(exist_ok=True)
    done = run(root, "run_model.py", "-d", "nothing", "-m", "model", "-o", "o2", code=1)
    assert "No data were provided." in done.stderr


def test_drivers_allow_failures_only_when_asked(tmp_path, capsys):
    from cinc_ecg.challenge.drivers import run_main

    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "r.hea").write_text(
        trimmed_header("r", 500, 10, "x.png") + "# Labels: NORM\n"
    )

    def fail(record, digitization, classification, verbose):
        raise RuntimeError("page")

    def answer(record, digitization, classification, verbose):
        return np.zeros((10, 12)), ["NORM", "PAC"]

    load = lambda folder, verbose: (None, None)  # noqa: E731
    arguments = ["-d", str(tmp_path / "d"), "-m", "m", "-o", str(tmp_path / "o"), "-v"]
    with pytest.raises(RuntimeError):
        run_main(load, fail, arguments)
    capsys.readouterr()
    run_main(load, fail, [*arguments, "-f"])
    assert capsys.readouterr().out.splitlines()[3:] == ["- 1/1: r...", "... failed.", "Done."]
    copied = (tmp_path / "o" / "r.hea").read_text()
    assert copied == (tmp_path / "d" / "r.hea").read_text()
    run_main(load, answer, arguments)
    text = (tmp_path / "o" / "r.hea").read_text()
    assert text.splitlines()[-2:] == ["# Labels: NORM", "# Labels: NORM, PAC"]
