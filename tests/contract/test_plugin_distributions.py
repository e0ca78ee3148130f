"""Packages of others, really installed, are found through their entry points."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from cinc_ecg.cli.app import run
from cinc_ecg.errors import PluginError
from cinc_ecg.io.records import write_record
from cinc_ecg.models.card import load_model
from cinc_ecg.plugins import (
    BackboneManager,
    BackboneProvider,
    BackboneRequest,
    build_backbone,
    get_manager,
    hookspecs,
)
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.testing import check_image_backbone, check_signal_backbone

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))
TUTORIAL = ROOT / "docs" / "how-to" / "register-a-backbone.md"


def code_block(language):
    return re.search(rf"^```{language}\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip installed the distributions and the tutorial's package."""
    work = tmp_path_factory.mktemp("plugins")
    sources = [Path(shutil.copytree(p, work / p.name)) for p in DISTRIBUTIONS]
    mine = work / "my-backbone"
    mine.mkdir()
    (mine / "my_backbone.py").write_text(code_block("python"))
    (mine / "pyproject.toml").write_text(code_block("toml"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "-q", *options, "--target", work / "site"]
    done = subprocess.run(
        [*map(str, command), *map(str, [*sources, mine])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return work / "site"


@pytest.fixture
def installed(site, monkeypatch):
    """The site folder on the path of this process."""
    monkeypatch.syspath_prepend(str(site))
    get_manager.cache_clear()
    yield site
    get_manager.cache_clear()


def test_the_command_finds_them(site):
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "cinc_ecg", "backbones", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=ROOT,
    )
    offered = {(s["scheme"], s["kind"], s["plugin"]) for s in json.loads(done.stdout)["schemes"]}
    assert ("plainnet", "image", "plainnet") in offered
    assert ("gru", "signal", "gru") in offered
    assert ("mine", "image", "mine") in offered


def test_they_are_found_beside_the_built_in_ones_in_strict_mode(installed):
    manager = BackboneManager(strict=True)
    assert {"cinc", "plainnet", "mine"} <= {p.scheme for p in manager.providers("image")}
    assert "gru" in {p.scheme for p in manager.providers("signal")}
    disabled = BackboneManager(disabled={"plainnet"})
    assert "plainnet" not in {p.scheme for p in disabled.providers("image")}


def test_they_keep_the_contract(installed):
    assert check_image_backbone("plainnet:narrow")
    assert check_image_backbone("mine:small", in_channels=1)
    assert check_signal_backbone("gru:bidirectional?width=8")


def test_what_the_tutorial_builds_gives_maps(installed):
    maps = build_backbone("mine:small", kind="image")(torch.zeros(1, 3, 16, 32))
    assert [tuple(m.shape) for m in maps] == [(1, 16, 4, 8), (1, 32, 2, 4)]


def test_the_tutorial_keeps_its_promise():
    lines = [line for line in code_block("python").splitlines() if line.strip()]
    assert len(lines) <= 20


def test_the_tutorial_names_every_hook_and_field():
    text = TUTORIAL.read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("cinc_ecg_")]
    told = [*hooks, *(f.name for kind in (BackboneProvider, BackboneRequest) for f in fields(kind))]
    assert len(hooks) == 2
    assert [name for name in told if f"`{name}`" not in text and f"`{name}()`" not in text] == []


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Six simulated records with labels."""
    folder = tmp_path_factory.mktemp("records")
    for k in range(6):
        labels = [f"Labels: {('NORM', 'STTC')[k % 2]}"]
        write_record(folder / f"{k:05d}", simulate(seed=k), comments=labels)
    return folder


_PAGE = ("whole_model", "model.backbone.name=plainnet:narrow", "model.image_size=[64,128]")
_SIGNAL = (
    "model.view=signal",
    "model.backbone.name=gru:bidirectional?width=4",
    "model.head.kind=none",
    "model.dx.classes=[auto]",
)


@pytest.mark.parametrize("words", [_PAGE, _SIGNAL], ids=["image", "signal"])
def test_they_are_trained_saved_and_loaded(installed, records, tmp_path, monkeypatch, words):
    short = ("model.n_samples=250", "model.fs_hz=25", "training.epochs=1", "training.batch_size=2")
    where = ("--data", str(records), "--out", str(tmp_path / "model"), "--device", "cpu")
    assert run(["train", *words, *short, *where]) == 0
    network, card = load_model(tmp_path / "model")
    (name,) = [w.partition("=")[2] for w in words if "backbone.name" in w]
    assert card.config.backbone.name == name
    assert type(network.backbone).__module__.split(".")[0] in ("cinc_ecg_plainnet", "cinc_ecg_gru")
    monkeypatch.setenv("CINC_ECG_DISABLE_PLUGINS", "plainnet,gru")
    get_manager.cache_clear()
    with pytest.raises(PluginError, match=f"backbones {name.partition(':')[0]}:"):
        load_model(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda p: p.name)
def test_their_own_tests_pass(folder, site):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, str(folder / "tests")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("backbone", "more"),
    [
        ("plainnet:narrow", ["model.image_size=[64,128]", "model.head.width=8"]),
        ("gru:bidirectional?width=8", ["model.view=signal", "model.head.kind=none"]),
    ],
)
def test_they_are_trained_end_to_end(site, tmp_path, write_ecg, backbone, more):
    """Train, keep, load and evaluate with a backbone of another distribution."""
    for k in range(6):
        write_ecg(tmp_path / "data", f"r{k}", k, labels=["NORM"] if k % 2 else ["CD"])
    settings = [
        *("model.dx.classes=[NORM,CD]", "model.n_samples=250", "model.fs_hz=25"),
        *("training.epochs=1", "training.batch_size=2", "training.threads=1", *more),
    ]
    common = ["--data", tmp_path / "data", "--device", "cpu", "--json"]
    train = ["train", f"model.backbone.name={backbone}", *settings, "-o", tmp_path / "run"]
    predict = ["predict", tmp_path / "run"]
    figures = []
    for command in (train, predict):
        done = subprocess.run(
            [sys.executable, "-m", "cinc_ecg", *map(str, [*command, *common])],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        figures.append(json.loads(done.stdout))
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["backbone"] == backbone
    assert figures[0]["steps"] >= 2
    assert figures[1]["n"] == 6
