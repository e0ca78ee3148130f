"""`cinc-ecg digitize` as a user meets it: real pictures, real processes, real exit codes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.io import records
from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, PaperSettings


@pytest.fixture(scope="module")
def page_png():
    settings = PageSettings(paper=PaperSettings(dpi=120.0))
    return encode_png(render(simulate(seed=8), settings, seed=8)[0].pixels)


def start(*args, **options):
    command = [sys.executable, "-m", "cinc_ecg", "digitize", *map(str, args)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        **options,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_a_folder_of_good_and_bad_pictures(tmp_path, page_png):
    folder = tmp_path / "scans"
    folder.mkdir()
    write_bytes(folder / "Müller 1.png", page_png)
    Image.new("RGB", (1200, 900), "white").save(folder / "blank.png")
    (folder / "cut.png").write_bytes(page_png[: len(page_png) // 3])
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    code, out, err = finish(start(folder, "-o", tmp_path / "out", "--jobs", 1))
    assert code == 1
    assert "1 digitized, 1 refused, 1 failed" in out
    assert len(err.splitlines()) == 2
    with (tmp_path / "out" / "report.csv").open(newline="", encoding="utf-8") as stream:
        rows = {os.path.basename(row["source"]): row for row in csv.DictReader(stream)}
    assert rows["cut.png"]["reason_code"] == "image_truncated"
    assert rows["blank.png"]["status"] == "refused"
    assert rows["Müller 1.png"]["status"] == "ok"
    written = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert written == {
        *(f"Muller_1.{suffix}" for suffix in ("csv", "dat", "hea", "json")),
        "Muller_1.overlay.png",
        "Muller_1.replot.png",
        "report.csv",
        "report.jsonl",
    }
    signal_mv = records.read_signal(tmp_path / "out" / "Muller_1").samples_mv
    document = json.loads((tmp_path / "out" / "Muller_1.json").read_text(encoding="utf-8"))
    assert document["signal"]["n_samples"] == len(signal_mv)
    assert np.isfinite(signal_mv).any()


def test_the_same_pixels_give_the_same_signal_in_any_container(tmp_path, page_png):
    folder = tmp_path / "in"
    folder.mkdir()
    write_bytes(folder / "a.png", page_png)
    with Image.open(folder / "a.png") as image:
        image.convert("RGB").save(folder / "b.tif", compression="tiff_lzw")
    options = ("--format", "npz", "--jobs", 2)
    code, _, _ = finish(start(folder, "-o", tmp_path / "out", *options))
    assert code == 0
    arrays = [np.load(tmp_path / "out" / f"{name}.npz")["samples_mv"] for name in "ab"]
    np.testing.assert_array_equal(arrays[0], arrays[1])


def test_ctrl_c_ends_with_130_and_keeps_what_was_done(tmp_path, page_png):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    Image.new("RGB", (400, 300), "white").save(folder / "a.png")
    for k in range(6):
        write_bytes(folder / f"b{k}.png", page_png)
    process = start(folder, "-o", out, "--jobs", 1)
    end = time.monotonic() + 60
    report = out / "report.jsonl"
    while not report.exists() or "\n" not in report.read_text():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert err.splitlines()[-1].startswith("cinc-ecg: [interrupted]")
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert 1 <= len(rows) < 7
    assert rows[0]["source"].endswith("a.png")
    assert not list(out.rglob(".cinc-ecg-tmp-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_output_folder_is_one_line(tmp_path, page_png):
    write_bytes(tmp_path / "a.png", page_png)
    (tmp_path / "out").mkdir(mode=0o500)
    code, _, err = finish(start(tmp_path / "a.png", "-o", tmp_path / "out"))
    assert code == 2
    assert err.startswith("cinc-ecg: [output_unwritable]")
