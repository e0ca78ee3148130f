"""Training as the organizers and plugin users do it: bare folder, own processes, own packages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.io.records import read_header, read_signal
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.page import render

ROOT = Path(__file__).resolve().parents[2]
#: A finder put before all others, so that two packages are as good as not installed.
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("wfdb", "pypdfium2"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


@pytest.fixture(scope="module")
def submission(tmp_path_factory, write_ecg_session):
    """A bare folder with the root scripts, nothing installed, and labelled data with pages."""
    root = tmp_path_factory.mktemp("training")
    for name in ("team_code.py", "helper_code.py", "run_model.py", "train_model.py"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(
        ROOT / "cinc_ecg", root / "cinc_ecg", ignore=shutil.ignore_patterns("__pycache__")
    )
    labels = {"a": ["NORM"], "b": ["CD", "PVC"], "c": ["NORM"], "d": None}
    for seed, (name, given) in enumerate(labels.items()):
        write_ecg_session(
            root / "data", name, seed, labels=given, fs_hz=500, images=[f"{name}.png"]
        )
    page, _ = render(read_signal(root / "data" / "a"), seed=1)
    write_bytes(root / "data" / "a.png", encode_png(page.pixels))
    (root / "data" / "b.png").write_bytes(b"not a picture")
    return root


def run(root, *command, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env=clean | {"OMP_NUM_THREADS": "1", "CINC_ECG_TRAIN_BUDGET": "2s"} | environment,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_train_run_score(submission):
    """From data to a score with the root scripts alone; labels are stripped before running."""
    run(submission, "train_model.py", "-d", "data", "-m", "trained", "-v")
    card = json.loads((submission / "trained" / "card.json").read_text())
    assert card["classifier"] == "dx"
    assert card["training"]["fitted"]
    hidden = submission / "hidden"
    shutil.copytree(submission / "data", hidden)
    for header in hidden.glob("*.hea"):
        lines = header.read_text().splitlines()
        header.write_text("\n".join(x for x in lines if not x.startswith("# Labels")) + "\n")
    for samples in hidden.glob("*.dat"):
        samples.unlink()
    run(submission, "run_model.py", "-d", "hidden", "-m", "trained", "-o", "out", "-v")
    assert np.isfinite(read_signal(submission / "out" / "a").samples_mv).any()
    known = set(card["training"]["diagnosis"]["reported"])
    assert set(read_header(submission / "out" / "a").labels or ()) <= known
    code = "from cinc_ecg.cli.app import main; main(['score', '-d', 'data', '-o', 'out', '--json'])"
    scores = json.loads(run(submission, "-c", code).stdout)
    assert json.dumps(scores)


def test_training_needs_neither_wfdb_nor_pypdfium2(submission):
    code = (
        BLOCK + "import team_code; team_code.train_models('data', 'without', True); "
        "loaded = [m for m in ('wfdb', 'pypdfium2') if m in sys.modules]; print(loaded)"
    )
    assert run(submission, "-c", code).stdout.strip() == "[]"
    card = json.loads((submission / "without" / "card.json").read_text())
    assert card["classifier"] == "dx"
