"""Training the page reader: it resumes to the same bits, may be shortened, and never sees the held-
out recordings."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from cinc_ecg.cli.train_digitizer import train_digitizer as train_by_name
from cinc_ecg.data.page_scene import PageSceneSettings
from cinc_ecg.data.signal_pool import simulated_pool
from cinc_ecg.errors import ConfigError, TrainingError
from cinc_ecg.models.page_card import CARD, load_page_net, read_page_card
from cinc_ecg.models.page_net import PageNetConfig
from cinc_ecg.training.digitizer_run import LATEST
from cinc_ecg.training.page_reader import PageReaderConfig, train_page_reader

SMALL = PageReaderConfig(
    steps=6,
    batch=2,
    half=False,
    net=PageNetConfig(channels=(8, 8), long_side_px=256),
    pages=PageSceneSettings(crop_px=64, name_px=32, long_side_px=256, window=1, per_plate=100),
)


@pytest.fixture(scope="module")
def pool():
    return simulated_pool(2, 4)


def weights(folder):
    return load_page_net(folder)[0].state_dict()


def test_a_stopped_run_ends_with_the_same_bits(pool, tmp_path):
    train_page_reader(pool, tmp_path / "whole", SMALL)
    train_page_reader(pool, tmp_path / "parts", SMALL, stop_after=3)
    result = train_page_reader(pool, tmp_path / "parts", SMALL, resume=True)
    assert result.steps == SMALL.steps
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    card = read_page_card(tmp_path / "whole")
    assert card["training"]["crops"] == 2 * (4 + 4 + 2)
    assert set(card["figures"]) >= {"trace", "names", "leads", "phase", "turn"}


def test_a_run_may_be_shortened_but_not_changed(pool, tmp_path):
    train_page_reader(pool, tmp_path, SMALL, stop_after=2)
    with pytest.raises(TrainingError, match="other settings"):
        train_page_reader(pool, tmp_path, replace(SMALL, rate=1.0), resume=True)
    assert train_page_reader(pool, tmp_path, replace(SMALL, steps=4), resume=True).steps == 4


def test_an_unknown_network_is_refused(tmp_path):
    options = {"data": None, "out": tmp_path, "budget_s": 0.0, "device": "cpu", "resume": False}
    options |= {"dry_run": True, "watch": None}
    assert "crop_px" in train_by_name(overrides=["network=pages"], **options)
    assert "hard" in train_by_name(overrides=[], **options)
    with pytest.raises(ConfigError, match="network=pages"):
        train_by_name(overrides=["network=page"], **options)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    command = [sys.executable, "-m", "cinc_ecg", "train", "digitizer", "network=pages", "steps=40"]
    command += ["batch=2", "simulated=3", "checkpoint_s=0", "net.channels=[8,8]"]
    command += ["pages.crop_px=64", "pages.long_side_px=256", "pages.window=3", "pages.per_plate=9"]
    command += ["--device", "cpu"]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True)
    killed = subprocess.Popen([*command, "--out", str(tmp_path / "killed")])
    while not (tmp_path / "killed" / LATEST).exists():
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    assert not (tmp_path / "killed" / CARD).exists()
    subprocess.run([*command, "--out", str(tmp_path / "killed"), "--resume", "auto"], check=True)
    whole, again = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(np.array_equal(whole[key], again[key]) for key in whole)
