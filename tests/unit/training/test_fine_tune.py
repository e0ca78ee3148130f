"""Fine-tuning a strip reader: it learns, it keeps what is better, it survives the folder."""

import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from cinc_ecg.data import page_folder
from cinc_ecg.data.page_folder import read_page_rows, split_groups
from cinc_ecg.data.page_strips import RowStrip
from cinc_ecg.data.recordings import read_folder, simulated
from cinc_ecg.data.strip_scene import StripSettings
from cinc_ecg.errors import CardError, ConfigError, GridNotFound
from cinc_ecg.io.records import read_signal
from cinc_ecg.models.readers import PACKAGED
from cinc_ecg.models.strip_card import load_strip_net, read_strip_card, save_strip_net
from cinc_ecg.models.strip_net import StripNet, StripNetConfig
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.page import render
from cinc_ecg.training.fine_tune import FineTuneConfig, decide, fine_tune

SMALL = FineTuneConfig(
    steps=4,
    budget_s=1e4,
    batch=2,
    judged=2,
    simulated=2,
    half=False,
    strips=StripSettings(64, 64),
)


@pytest.fixture
def start(tmp_path):
    """A network that knows nothing."""
    torch.manual_seed(0)
    net = StripNet(StripNetConfig(channels=(8, 8), tail=8))
    save_strip_net(tmp_path / "start", net, {}, {})
    return tmp_path / "start"


def row(seed):
    """A row whose trace is red on white, which no drawn strip shows so purely."""
    rng = np.random.default_rng(seed)
    x = np.arange(2 * 199 + 1) / 2
    line = (50 + 20 * np.sin(x / rng.uniform(6, 12))).astype(np.float32)
    pixels = np.full((100, 200, 3), 235, np.uint8)
    for k, y in enumerate(line[::2]):
        pixels[int(y) - 1 : int(y) + 2, k, 1:] = 30
    return RowStrip(pixels, 10.0, 50.0, -750.0, 850.0, line, np.ones(len(line), bool), 3.0)


@pytest.fixture
def pictures(monkeypatch):
    """Let every picture give a row of a red trace; return the pictures that were read."""
    read = []

    def page_rows(image, signal, reader, duration_s=None):
        read.append(image)
        return [row(len(read))], 1

    monkeypatch.setattr(page_folder, "page_rows", page_rows)
    monkeypatch.setattr(page_folder, "read_pages", lambda path: [path.name])
    return read


def folder_of(write_ecg, folder, n, images=1, **more):
    for k in range(n):
        names = [f"r{k}-{j}.png" for j in range(images)]
        write_ecg(folder, f"r{k}", k, images=names, **more)
        for name in names:
            (folder / name).write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    return read_folder(folder)[0]


def same(a, b):
    left, right = (load_strip_net(folder)[0].state_dict() for folder in (a, b))
    return all(torch.equal(left[key], right[key]) for key in left)


def test_it_gains_on_the_folders_style_and_says_so(start, write_ecg, tmp_path, pictures):
    recordings = folder_of(write_ecg, tmp_path / "d", 5)
    config = replace(SMALL, steps=40, rate=3e-3, average=0.8)
    result = fine_tune(start, recordings, tmp_path / "out", config)
    assert result.kept
    assert result.after["pages"] < 0.95 * result.before["pages"]
    assert not same(start, tmp_path / "out")
    facts = read_strip_card(tmp_path / "out")["training"]["fine_tuning"]
    assert facts["kept"]
    assert facts["pages"] == {"pages": 5, "rows": 5, "rows_used": 5, "pages_used": 5}
    assert facts["started_from"] == next(iter(read_strip_card(start)["files"].values()))["sha256"]
    json.dumps(facts)


def test_other_data_give_another_network_and_the_same_data_the_same(
    start, write_ecg, tmp_path, pictures
):
    for name, first in (("a", 0), ("again", 0), ("b", 10)):
        for k in range(3):
            write_ecg(tmp_path / name, f"r{k}", first + k)
        recordings = read_folder(tmp_path / name)[0]
        config = replace(SMALL, steps=12, rate=1e-3, average=0.5)
        assert fine_tune(start, recordings, tmp_path / f"out-{name}", config).kept
    assert same(tmp_path / "out-a", tmp_path / "out-again")
    assert not same(tmp_path / "out-a", tmp_path / "out-b")


def test_what_is_worse_is_not_kept(start, write_ecg, tmp_path, caplog):
    recordings = folder_of(write_ecg, tmp_path / "d", 2, images=0)
    with caplog.at_level(logging.WARNING):
        result = fine_tune(start, recordings, tmp_path / "out", replace(SMALL, rate=10.0))
    assert not result.kept
    assert "not kept, worse on drawn" in caplog.text
    assert same(start, tmp_path / "out")
    assert read_strip_card(tmp_path / "out")["training"]["fine_tuning"]["steps"] == 4


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"pages": 2.0, "drawn": 2.0}, {"pages": 1.5, "drawn": 2.03}, True),
        ({"pages": 2.0, "drawn": 2.0}, {"pages": 1.5, "drawn": 2.05}, False),
        ({"pages": 2.0, "drawn": 2.0}, {"pages": 2.01, "drawn": 1.0}, False),
        ({"drawn": 2.0}, {"drawn": 2.01}, False),
        ({"drawn": 2.0}, {"drawn": float("nan")}, False),
        ({"drawn": -1.0}, {"drawn": -1.1}, True),
    ],
)
def test_the_decision(before, after, kept):
    verdict, text = decide(before, after)
    assert verdict is kept
    assert text.startswith("kept" if kept else "not kept")


def test_a_moment_is_enough_to_leave_a_network(start, write_ecg, tmp_path):
    recordings = folder_of(write_ecg, tmp_path / "d", 2, images=0)
    result = fine_tune(start, recordings, tmp_path / "out", replace(SMALL, budget_s=1e-3))
    assert result.steps == 2
    load_strip_net(tmp_path / "out")


def test_no_patient_is_on_both_sides(write_ecg, tmp_path):
    for k in range(8):
        write_ecg(tmp_path, f"r{k}", k, comments=[f"Patient: {k // 2}"])
    recordings = read_folder(tmp_path)[0]
    training, held_out = split_groups(recordings, 0.2, 1)
    assert {r.group for r in training}.isdisjoint(r.group for r in held_out)
    assert len(held_out) == 2
    assert len(training) == 6
    assert split_groups(recordings[:2], 0.2, 1)[1] == []  # one patient only
    assert split_groups(recordings[::-1], 0.2, 1)[1][0].group == held_out[0].group


def test_every_record_is_seen_before_any_twice(write_ecg, tmp_path, pictures):
    recordings = folder_of(write_ecg, tmp_path, 4, images=2)
    limits = {"max_pages": 5, "budget_s": 100.0, "width_px": 64}
    rows = read_page_rows(recordings[:3], recordings[3:], None, **limits)
    assert len({name.split("-")[0] for name in pictures[:4]}) == 4
    assert (len(rows.training), len(rows.held_out)) == (4, 1)
    assert rows.counts["pages"] == 5


def test_pictures_that_cannot_be_used_are_counted(write_ecg, tmp_path, monkeypatch, caplog):
    recordings = folder_of(write_ecg, tmp_path, 5)
    (tmp_path / "r1-0.png").write_bytes(b"no picture")
    (tmp_path / "r2.dat").write_bytes(b"\0\0")
    answers = {"r0": GridNotFound("no grid"), "r3": ZeroDivisionError("a bug"), "r4": None}

    def page_rows(image, signal, reader, duration_s=None):
        error = answers[image.source.rpartition("/")[2].partition("-")[0]]
        if error:
            raise error
        return [], 4

    monkeypatch.setattr(page_folder, "page_rows", page_rows)
    monkeypatch.setattr(page_folder, "read_pages", _pages)
    limits = {"max_pages": 9, "budget_s": 100.0, "width_px": 64}
    with caplog.at_level(logging.WARNING):
        rows = read_page_rows(recordings, [], None, **limits)
    left_out = {k.partition(":")[2] for k in rows.counts if k.startswith("left_out")}
    assert left_out == {
        "no_grid", "internal", "signal_differs", "image_unreadable", "record_unreadable"
    }  # fmt: skip
    assert rows.training == []
    assert rows.counts["rows"] == 4
    assert "r4-0.png: does not show the samples" in caplog.text


def _pages(path):
    """Read what is a picture, however small."""
    from cinc_ecg.errors import ImageError
    from cinc_ecg.types import EcgImage

    if not path.read_bytes().startswith(b"\x89PNG"):
        raise ImageError(f"{path}: no picture", code="image_unreadable")
    yield EcgImage(np.zeros((8, 8, 3), np.uint8), str(path))


def test_nothing_to_start_from_or_to_learn_from(start, tmp_path):
    with pytest.raises(CardError):
        fine_tune(tmp_path / "none", simulated(2, 0), tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="nothing to train on"):
        fine_tune(start, [], tmp_path / "out", replace(SMALL, simulated=0))


@pytest.mark.slow
def test_rendered_pages_end_to_end(write_ecg, tmp_path):
    """Pages of a folder through the pipeline into the packaged network."""
    folder = tmp_path / "d"
    for k, fs_hz in enumerate((250.0, 500.0, 1000.0)):
        write_ecg(folder, f"r{k}", k, images=[f"r{k}.png"], fs_hz=fs_hz)
        image, _ = render(read_signal(folder / f"r{k}"), seed=k)
        (folder / f"r{k}.png").write_bytes(encode_png(image.pixels))
    shutil.copy(folder / "r1.png", folder / "r2.png")  # of another record
    config = FineTuneConfig(steps=3, budget_s=1e4, batch=2, judged=2, simulated=2)
    result = fine_tune(PACKAGED, read_folder(folder)[0], tmp_path / "out", config)
    assert result.counts["pages"] == 3
    assert result.counts["pages_used"] == 2
    assert result.counts["left_out:signal_differs"] == 1
    assert result.steps == 3
    load_strip_net(tmp_path / "out")
