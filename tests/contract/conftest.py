"""A small complete submission that needs nothing of this package, and data to try it on."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cinc_ecg.io.records import write_record
from cinc_ecg.leads import LEADS
from cinc_ecg.types import Signal

STAND_IN = Path(__file__).parent / "stand_in"
#: A team code that digitizes to a small sine, counts what it was trained on, and says NORM.
TEAM = '''"""A team's code."""

import json
import os

import numpy as np

from helper_code import find_records, load_header


def train_models(data_folder, model_folder, verbose):
    counts = {}
    records = find_records(data_folder)
    for record in records:
        for line in load_header(os.path.join(data_folder, record)).split("\\n"):
            if line.startswith("# Labels:"):
                for label in line[9:].split(","):
                    counts[label.strip()] = counts.get(label.strip(), 0) + 1
    os.makedirs(model_folder, exist_ok=True)
    with open(os.path.join(model_folder, "model.json"), "w") as stream:
        json.dump({"n": len(records), "counts": counts}, stream)


def load_models(model_folder, verbose):
    with open(os.path.join(model_folder, "model.json")) as stream:
        return json.load(stream), None


def run_models(record, digitization_model, classification_model, verbose):
    fields = load_header(record).split("\\n")[0].split(" ")
    n, leads = int(fields[3]), int(fields[1])
    return 0.1 * np.sin(np.arange(n))[:, None] * np.ones(leads), ["NORM"]
'''
DOCKERFILE = """FROM python:3.11.13-slim-bookworm
RUN mkdir /challenge
COPY ./ /challenge
WORKDIR /challenge
RUN pip install --no-cache-dir -r requirements.txt
"""
_LABELS = ("NORM", "NORM, PVC", "Old MI", "CD, PVC", "NORM", "STTC")


@pytest.fixture
def tree(tmp_path):
    """A clean submission."""
    root = tmp_path / "tree"
    shutil.copytree(STAND_IN, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "model").mkdir()
    (root / "model" / "model.json").write_text('{"n": 0, "counts": {}}')
    (root / "team_code.py").write_text(TEAM)
    (root / "Dockerfile").write_text(DOCKERFILE)
    (root / "requirements.txt").write_text("numpy==2.4.6\nscipy==1.17.1\nwfdb==4.3.1\n")
    (root / "AUTHORS.txt").write_text("Ada Example\n")
    (root / "LICENSE.txt").write_text("BSD 3-Clause License\n")
    (root / "README.md").write_text("# A team\n")
    return root


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Six records with labels and files that stand for pictures."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(11)
    for k, labels in enumerate(_LABELS):
        signal = Signal(rng.normal(0, 0.2, (200, 12)).astype(np.float32), 100.0, LEADS)
        (folder / f"{k:05d}_hr-0.png").write_bytes(bytes(500))
        comments = ["Age: 56", "Sex: Female", f"Labels: {labels}", f"Image: {k:05d}_hr-0.png"]
        write_record(folder / f"{k:05d}_hr", signal, comments=comments)
    return folder
