import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.batch import ledger
from cinc_ecg.batch import run as batch_run
from cinc_ecg.batch.inputs import find_sources
from cinc_ecg.batch.pool import Pool
from cinc_ecg.batch.run import BatchSettings, run_batch
from cinc_ecg.batch.work import DigitizeOptions, Job, work
from cinc_ecg.errors import InputError, NotAnEcg, OutputError
from cinc_ecg.geometry import flat_geometry
from cinc_ecg.io import records
from cinc_ecg.types import Calibration, Digitization, Layout, LeadStatus, Quality, Signal

OPTIONS = DigitizeOptions(formats=("wfdb", "json"))


def fake_read_page(image, options):
    """Turn a picture's first column into a lead; the colour of the corner says what goes wrong."""
    red, green, blue = (int(v) for v in image.pixels[0, 0])
    if (red, green, blue) == (255, 0, 0):
        os._exit(7)
    if (red, green, blue) == (0, 255, 0):
        time.sleep(60)
    if (red, green, blue) == (0, 0, 255):
        raise NotAnEcg("no trace rows\nat all")
    if (red, green, blue) == (255, 255, 0):
        raise RuntimeError("a bug")
    samples = image.pixels[:, :1, 1].astype(np.float32) / 255
    return Digitization(
        Signal(samples, options.fs_hz or 100.0, ("II",)),
        Layout("rows", ()),
        flat_geometry(image.width, image.height, 8.0),
        Calibration(25, 10, "grid", "grid"),
        (),
        (LeadStatus("II", "ok", 0, 1, 1),),
        Quality(8.0, None, 1.0),
    )


def fake_work(task):
    with Path(os.environ["WORK_LOG"]).open("a") as stream:
        stream.write(f"{type(task).__name__} {task.source.path.name}\n")
    if "slow" in str(task.source.path) and isinstance(task, Job):
        time.sleep(0.3)
    return work(task, read_page=fake_read_page)


def twice(value):
    if value == "die":
        os._exit(1)
    if value == "hang":
        time.sleep(60)
    if value == "raise":
        raise ValueError("x\ny")
    return value * 2


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "work.log"
    path.touch()
    monkeypatch.setenv("WORK_LOG", str(path))
    return path


def save(path, colour=(9, 99, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (120, 110), colour).save(path)
    return str(path)


def run(inputs, out, **options):
    settings = BatchSettings(**({"jobs": 2, "wall_s": 30.0} | options))
    return run_batch(inputs, out, OPTIONS, settings, worker=fake_work)


def test_pool_outlives_crashes_hangs_and_exceptions():
    pool = Pool(twice, jobs=2, wall_s=4.0, max_tasks=2)
    pool.add([1, "die", 2, "hang", 3, "raise", 4, 5])
    ended = {str(e.task): (e.state, e.value) for e in pool.run()}
    assert ended == {
        "1": ("done", 2),
        "2": ("done", 4),
        "3": ("done", 6),
        "4": ("done", 8),
        "5": ("done", 10),
        "die": ("crashed", None),
        "hang": ("timeout", None),
        "raise": ("raised", "ValueError: x"),
    }


def test_one_bad_file_never_stops_the_rest(tmp_path, log):
    inputs = [
        save(tmp_path / "in/a ä.png"),
        save(tmp_path / "in/crash.png", (255, 0, 0)),
        save(tmp_path / "in/blank.png", (0, 0, 255)),
        save(tmp_path / "in/bug.png", (255, 255, 0)),
        str(tmp_path / "in/none.png"),
        save(tmp_path / "in/z.png"),
    ]
    (tmp_path / "in/text.png").write_text("hello")
    (tmp_path / "in/zero.png").touch()
    inputs += [str(tmp_path / "in/text.png"), str(tmp_path / "in/zero.png")]
    outcomes = run(inputs, tmp_path / "out")
    assert [(o.status, o.reason_code) for o in outcomes] == [
        ("ok", "ok"),
        ("failed", "worker_crashed"),
        ("refused", "not_an_ecg"),
        ("failed", "internal"),
        ("failed", "image_missing"),
        ("ok", "ok"),
        ("failed", "image_unreadable"),
        ("failed", "image_empty"),
    ]
    assert all("\n" not in o.message and o.source in o.message for o in outcomes)
    assert records.read_signal(tmp_path / "out/a_a").leads == ("II",)
    rows = [json.loads(line) for line in (tmp_path / "out/report.jsonl").read_text().splitlines()]
    assert [row["reason_code"] for row in rows] == [o.reason_code for o in outcomes]
    assert len((tmp_path / "out/report.csv").read_text().splitlines()) == 9
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")) == [
        "a_a.dat",
        "a_a.hea",
        "a_a.json",
        "report.csv",
        "report.jsonl",
        "z.dat",
        "z.hea",
        "z.json",
    ]


def test_a_page_that_takes_too_long_is_given_up(tmp_path, log):
    inputs = [save(tmp_path / "hang.png", (0, 255, 0)), save(tmp_path / "ok.png")]
    outcomes = run(inputs, tmp_path / "out", wall_s=4.0)
    assert [o.reason_code for o in outcomes] == ["timeout", "ok"]


def test_resume_redoes_nothing_that_was_committed(tmp_path, log):
    inputs = [save(tmp_path / f"in/{k}.png", (k, 99, k)) for k in range(4)]
    inputs.append(save(tmp_path / "in/blank.png", (0, 0, 255)))
    first = run(inputs[:3] + inputs[4:], tmp_path / "out")
    log.write_text("")
    second = run(inputs, tmp_path / "out", resume=True)
    assert [line for line in log.read_text().splitlines() if line.startswith("Job")] == [
        "Job 3.png"
    ]
    assert [o.resumed for o in second] == [True, True, True, False, True]
    assert [o.reason_code for o in second] == ["ok"] * 4 + ["not_an_ecg"]
    assert first[0] == dataclasses.replace(second[0], resumed=False, seconds=first[0].seconds)


def test_resume_redoes_what_changed(tmp_path, log):
    inputs = [save(tmp_path / "in/a.png"), save(tmp_path / "in/b.png")]
    out = tmp_path / "out"
    run(inputs, out)
    save(tmp_path / "in/a.png", (1, 2, 3))
    (out / "b.dat").unlink()
    assert [o.resumed for o in run(inputs, out, resume=True)] == [False, False]
    assert [o.resumed for o in run(inputs, out, resume=True)] == [True, True]
    changed = run_batch(
        inputs,
        out,
        dataclasses.replace(OPTIONS, fs_hz=250.0),
        BatchSettings(jobs=2, resume=True),
        worker=fake_work,
    )
    assert [o.resumed for o in changed] == [False, False]
    assert records.read_signal(out / "a").fs_hz == 250.0


def test_every_page_is_a_row(tmp_path, log):
    pages = [Image.new("RGB", (120, 110), (k, 99, 9)) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    outcomes = run([str(tmp_path / "a.tif")], tmp_path / "out")
    assert [(o.page, o.outputs[0]) for o in outcomes] == [
        (0, "a-p1.dat"),
        (1, "a-p2.dat"),
        (2, "a-p3.dat"),
    ]


def test_sources_mirror_folders_and_keep_equal_names_apart(tmp_path):
    for name in ("x/a.png", "x/sub dir/a.png", "x/a.jpg", "x/notes.txt", "x/.hidden.png", "y.tiff"):
        save(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).touch()
    (tmp_path / "x/loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "x/out").mkdir()
    save(tmp_path / "x/out/a.overlay.png")
    found = find_sources(
        [str(tmp_path / "x"), str(tmp_path / "*.tiff"), str(tmp_path / "x/a.png")],
        exclude=tmp_path / "x/out",
    )
    assert [(s.path.name, s.folder) for s in found] == [
        ("a.jpg", ""),
        ("a.png", ""),
        ("a.png", "sub dir"),
        ("y.tiff", ""),
    ]
    assert len({(s.folder, s.stem) for s in found}) == 4
    assert found[2].stem == "a"
    again = find_sources([str(tmp_path / "x/a.png"), str(tmp_path / "x/a.jpg")])
    assert {s.stem for s in again} == {s.stem for s in found[:2]}


@pytest.mark.parametrize("text", ["*.png", "folder"])
def test_nothing_to_do_is_an_input_error(tmp_path, text):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as caught:
        find_sources([str(tmp_path / text)])
    assert caught.value.reason_code == "input_nothing"


def test_a_brackets_name_is_a_file_first(tmp_path):
    save(tmp_path / "scan [1].png")
    assert len(find_sources([str(tmp_path / "scan [1].png")])) == 1


def test_an_output_folder_that_is_a_file_is_refused(tmp_path, log):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError):
        run([save(tmp_path / "a.png")], tmp_path / "out")


def test_report_csv_defuses_formulas():
    row = ledger.Outcome("=evil.png", 0, "failed", "x", "@msg", notes=("+a", "b"))
    line = ledger.report_csv([row]).splitlines()[1]
    assert line.startswith("'=evil.png,0,failed,x,'@msg,")


def test_a_damaged_receipt_is_no_receipt(tmp_path):
    book = ledger.Ledger(tmp_path)
    book.commit("ab" * 32, ledger.Outcome("a", 0, "ok", "ok", "m"))
    assert book.find("ab" * 32).resumed
    (file,) = tmp_path.rglob("*.json")
    file.write_text('{"source": 3')
    assert book.find("ab" * 32) is None


@pytest.mark.parametrize(
    ("n_files", "n_pages", "jobs", "threads"),
    [(1, 1, 4, 4), (1, 1, 1, 4), (3, 1, 2, 2), (9, 1, 4, 1), (1, 9, 4, 1), (9, 9, 9, 1)],
)
def test_cores_without_a_page_go_to_the_rows_of_the_others(
    tmp_path, monkeypatch, n_files, n_pages, jobs, threads
):
    monkeypatch.setattr(batch_run, "usable_cores", lambda: 4)
    files = [save(tmp_path / f"{k}.png", (k, k, k)) for k in range(n_files)]
    sources = find_sources(files)
    (tmp_path / "out").mkdir()
    settings = BatchSettings(jobs=jobs)
    batch = batch_run._Batch(sources, tmp_path / "out", OPTIONS, settings, None, fake_work)
    found = list(batch._jobs(batch_run.Probe(0, sources[0], OPTIONS), n_pages, "0" * 64))
    assert [job.threads for job in found] == [threads] * n_pages
    assert len({job.key for job in found}) == n_pages
    batch.close()


def test_a_full_disk_is_a_row_with_its_reason(tmp_path, log, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    source = find_sources([save(tmp_path / "a.png")])[0]
    (tmp_path / "out").mkdir()
    job = Job(0, source, 0, 1, "0" * 64, str(tmp_path / "out"), OPTIONS)
    monkeypatch.setattr(Path, "write_bytes", full)
    outcome = work(job, read_page=fake_read_page)
    assert (outcome.status, outcome.reason_code) == ("failed", "disk_full")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from cinc_ecg.batch.run import BatchSettings, run_batch
from test_batch import OPTIONS, fake_work
if __name__ == "__main__":
    settings = BatchSettings(jobs=2, resume=True)
    run_batch([sys.argv[1]], Path(sys.argv[2]), OPTIONS, settings, worker=fake_work)
"""


def start_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    command = [sys.executable, str(script), str(tmp_path / "slow"), str(tmp_path / "out")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_batch_resumes_without_losing_or_repeating_a_commit(tmp_path, log, how):
    names = [f"{k:02d}.png" for k in range(10)]
    for k, name in enumerate(names):
        save(tmp_path / "slow" / name, (k, 99, k))
    out = tmp_path / "out"
    process = start_script(tmp_path)
    wait_for(lambda: len(list(out.glob(".cinc-ecg/receipts/*/*.json"))) >= 3)
    if how == signal.SIGKILL:
        os.killpg(process.pid, how)
    else:
        os.kill(process.pid, how)
    process.communicate(timeout=30)
    committed = len(list(out.glob(".cinc-ecg/receipts/*/*.json")))
    assert 3 <= committed < 10
    assert all(line.endswith("}") for line in (out / "report.jsonl").read_text().splitlines())
    for header in out.glob("*.hea"):
        assert records.read_signal(header).leads == ("II",)
    log.write_text("")
    process = start_script(tmp_path)
    process.communicate(timeout=60)
    redone = [line for line in log.read_text().splitlines() if line.startswith("Job")]
    assert len(redone) == 10 - committed
    assert sorted(path.stem for path in out.glob("*.hea")) == [name[:2] for name in names]
    assert not list(out.glob(".cinc-ecg-tmp-*"))
