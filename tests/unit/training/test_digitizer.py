"""Training the strip reader: it learns, it resumes to the same bits, it refuses foreign states."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from cinc_ecg.data.signal_pool import simulated_pool
from cinc_ecg.data.strip_scene import StripSettings
from cinc_ecg.errors import CardError, ConfigError, TrainingError
from cinc_ecg.models.strip_card import CARD, load_strip_net, read_strip_card
from cinc_ecg.models.strip_net import StripNetConfig
from cinc_ecg.training.digitizer import (
    LATEST,
    DigitizerConfig,
    check_device,
    collect_signals,
    train_digitizer,
)

SMALL = DigitizerConfig(
    steps=6,
    batch=2,
    half=False,
    net=StripNetConfig(channels=(8, 8), tail=8),
    strips=StripSettings(64, 64),
)


@pytest.fixture(scope="module")
def pool():
    return simulated_pool(2, 4)


def weights(folder):
    return load_strip_net(folder)[0].state_dict()


def test_a_stopped_run_ends_with_the_same_bits(pool, tmp_path):
    train_digitizer(pool, tmp_path / "whole", SMALL)
    train_digitizer(pool, tmp_path / "parts", SMALL, stop_after=3)
    result = train_digitizer(pool, tmp_path / "parts", SMALL, resume=True)
    assert result.steps == SMALL.steps
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_begins_with_the_weights_it_is_given(pool, tmp_path):
    train_digitizer(pool, tmp_path / "first", SMALL)
    begun = replace(SMALL, init=str(tmp_path / "first"), seed=2, rate=0.0, decay=0.0)
    train_digitizer(pool, tmp_path / "second", begun)
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    learned = [key for key in first if key.endswith("weight")]
    assert all(torch.allclose(first[key], second[key]) for key in learned)
    other = replace(begun, net=StripNetConfig(channels=(8, 16), tail=8))
    with pytest.raises(ConfigError, match="another size"):
        train_digitizer(pool, tmp_path / "third", other)
    with pytest.raises(CardError, match="nowhere"):
        train_digitizer(pool, tmp_path / "third", replace(begun, init=str(tmp_path / "nowhere")))


def test_the_loss_falls(pool, tmp_path):
    losses = []
    config = replace(SMALL, steps=60, strips=StripSettings(64, 64, hard=0, blank=0, plain=1))
    train_digitizer(
        pool, tmp_path, config, watch=lambda done, total, parts: losses.append(parts["total"])
    )
    first = train_digitizer(pool, tmp_path / "few", replace(config, steps=4)).losses["total"]
    assert losses[-1] < 0.8 * first


def test_a_state_of_another_run_is_refused(pool, tmp_path):
    train_digitizer(pool, tmp_path, SMALL, stop_after=1)
    with pytest.raises(TrainingError, match="other settings"):
        train_digitizer(pool, tmp_path, replace(SMALL, rate=1.0), resume=True)
    (tmp_path / LATEST).write_bytes(b"junk")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        train_digitizer(pool, tmp_path, SMALL, resume=True)


def test_steps_are_planned_from_the_budget(pool, tmp_path):
    config = replace(SMALL, steps=0, budget_s=0.001)
    assert train_digitizer(pool, tmp_path, config).steps == 20


def test_altered_weights_are_named(pool, tmp_path):
    train_digitizer(pool, tmp_path, SMALL, stop_after=1)
    (file,) = read_strip_card(tmp_path)["files"]
    data = bytearray((tmp_path / file).read_bytes())
    data[-1] ^= 1
    (tmp_path / file).write_bytes(bytes(data))
    with pytest.raises(CardError, match=file):
        load_strip_net(tmp_path)
    (tmp_path / CARD).write_text("{}")
    with pytest.raises(CardError, match="no card of a strip reader"):
        load_strip_net(tmp_path)


def test_signals_come_from_somewhere():
    with pytest.raises(ConfigError, match="nothing to draw"):
        collect_signals(None, replace(SMALL, simulated=0))
    assert len(collect_signals(None, replace(SMALL, simulated=2))) == 2
    with pytest.raises(ConfigError, match="not there"):
        check_device("tpu")


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    command = [sys.executable, "-m", "cinc_ecg", "train", "digitizer", "steps=40", "batch=2"]
    command += ["simulated=3", "checkpoint_s=0", "net.channels=[8,8]"]
    command += ["strips.height_px=64", "strips.width_px=64", "half=true", "--device", "cpu"]
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
