"""The folder to submit, the engine's client and the fetching of weights, without an engine."""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cinc_ecg.challenge.container import Engine, Mount, RunOptions
from cinc_ecg.challenge.fetch import fetch_weights, main
from cinc_ecg.challenge.package import PackageOptions, write_submission
from cinc_ecg.challenge.requirements import read_pins
from cinc_ecg.challenge.validate.dockerfile import (
    FIXED_LINES,
    base_images,
    read_instructions,
    torch_cuda,
)
from cinc_ecg.challenge.validate.sandbox import Sandbox
from cinc_ecg.errors import ConfigError, ContainerError, InputError

ROOT = Path(__file__).resolve().parents[3]
HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    return write_submission(ROOT, tmp_path_factory.mktemp("package") / "submission")


def test_the_submission_has_what_runs_and_nothing_else(submission):
    names = {path.name for path in submission.folder.iterdir()}
    assert {"cinc_ecg", "model", "team_code.py", "run_model.py", "Dockerfile"} <= names
    assert {"AUTHORS.txt", "LICENSE.txt", "README.md", "requirements.txt"} <= names
    assert not names & {"tests", "docs", "benchmarks", "tools", ".git", "Makefile"}
    assert not list(submission.folder.rglob("__pycache__"))
    files = [p for p in submission.folder.rglob("*") if p.is_file()]
    assert sum(submission.sizes.values()) == sum(p.stat().st_size for p in files)


def test_requirements_of_the_submission_are_a_part_of_the_repositorys(submission):
    every = {p.line for p in read_pins((ROOT / "requirements.txt").read_text())}
    kept = {p.line for p in read_pins("\n".join(submission.requirements))}
    assert kept <= every
    assert len(kept) + len(submission.left_out) == len(every)
    assert {"numpy", "scipy", "wfdb", "pillow"} <= {p.name for p in read_pins("\n".join(kept))}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the image has Python 3.11")
def test_the_repositorys_requirements_are_its_pinned_dependencies():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from pin_requirements import requirements_text
    finally:
        sys.path.remove(str(ROOT / "tools"))
    assert (ROOT / "requirements.txt").read_text() == requirements_text(ROOT)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (PackageOptions(cpu=True), 'ARG TORCH_INDEX_URL="https://download.pytorch.org/whl/cpu"'),
        (
            PackageOptions(cuda="12.6"),
            'ARG TORCH_INDEX_URL="https://download.pytorch.org/whl/cu126"',
        ),
        (PackageOptions(base_image="local/base:1"), 'ARG BASE_IMAGE="local/base:1"'),
    ],
)
def test_the_dockerfile_gets_the_wanted_defaults(tmp_path, options, line):
    written = write_submission(ROOT, tmp_path / "s", options)
    text = (written.folder / "Dockerfile").read_text()
    assert text.splitlines().count(line) == 1
    lines = [f"{one.word} {one.rest}" for one in read_instructions(text)]
    assert [found for found in lines if found in FIXED_LINES] == list(FIXED_LINES)


def test_what_cannot_be_packaged_is_refused(tmp_path):
    with pytest.raises(InputError, match="Dockerfile"):
        write_submission(tmp_path, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(InputError, match="not empty"):
        write_submission(ROOT, tmp_path / "full")
    for number, wrong in enumerate(
        (PackageOptions(cuda="twelve"), PackageOptions(cuda="12.6", cpu=True))
    ):
        with pytest.raises(ConfigError):
            write_submission(ROOT, tmp_path / str(number), wrong)


def test_base_images_are_found_through_arguments_and_stages():
    text = "ARG A=x:1\nFROM ${A} AS one\nARG B\nFROM --platform=linux/amd64 y:2\nFROM one\n"
    assert base_images(read_instructions(text)) == ["x:1", "y:2"]
    joined = read_instructions("# c\nRUN a \\\n  # between\n  && b\n")
    assert [(one.word, one.rest) for one in joined] == [("RUN", "a && b")]


def test_torch_names_its_cuda():
    assert torch_cuda("2.4.0+cu121", "") == "12.1"
    assert torch_cuda("2.4.0+cpu", "") == "cpu"
    assert torch_cuda("2.4.0", "pip install --index-url https://x/whl/cu118") == "11.8"
    assert torch_cuda("2.12.1", "") == "13.0"
    assert torch_cuda("99.0", "") is None


def fake_docker(folder, body):
    """Write a client that notes its arguments and then does as told."""
    path = folder / "docker"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{body}\n')
    path.chmod(0o755)
    return str(path)


def test_containers_run_without_network_and_with_read_only_data(tmp_path):
    client = fake_docker(tmp_path, "exit 0")
    mounts = (Mount(tmp_path, "/challenge/test_data", True), Mount(tmp_path, "/challenge/model"))
    options = RunOptions(mounts, "all", "1000:1000")
    assert Engine(client).run("image", ["python", "x.py"], options).code == 0
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert call == (
        f"run --rm --network none -v {tmp_path}:/challenge/test_data:ro "
        f"-v {tmp_path}:/challenge/model --gpus all --user 1000:1000 image python x.py"
    )


def test_a_missing_gpu_client_engine_or_a_failing_build_is_one_clear_error(tmp_path):
    refusal = 'echo "could not select device driver with capabilities: [[gpu]]"; exit 125'
    with pytest.raises(ContainerError, match="--gpus none") as error:
        Engine(fake_docker(tmp_path, refusal)).run("image", ["x"], RunOptions(gpus="all"))
    assert error.value.reason_code == "no_gpu"
    with pytest.raises(ContainerError) as error:
        Engine(str(tmp_path / "nothing")).require()
    assert error.value.reason_code == "no_docker"
    with pytest.raises(ContainerError) as error:
        Engine(fake_docker(tmp_path, "exit 1")).require()
    assert error.value.reason_code == "no_engine"
    (tmp_path / "Dockerfile").write_text("FROM x:1\n")
    with pytest.raises(ContainerError, match="no such base") as error:
        Engine(fake_docker(tmp_path, "echo no such base; exit 1")).build(tmp_path, "image")
    assert error.value.reason_code == "build_failed"


def archive(path, name, data=b"weights"):
    with tarfile.open(path, "w:gz") as stream:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        stream.addfile(member, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_are_fetched_with_their_hash_only(tmp_path):
    file = tmp_path / "w.tar.gz"
    known = archive(file, "a/w.bin")
    assert fetch_weights(file.as_uri(), known.upper(), tmp_path / "model") == ["a/w.bin"]
    assert (tmp_path / "model" / "a" / "w.bin").read_bytes() == b"weights"
    for wrong in ("", "0" * 64):
        with pytest.raises(InputError, match=known):
            fetch_weights(file.as_uri(), wrong, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    outside = archive(file, "../w.bin")
    with pytest.raises(InputError, match="unpacked"):
        fetch_weights(file.as_uri(), outside, tmp_path / "other")
    assert not (tmp_path / "w.bin").exists()
    assert main([file.as_uri(), "0", str(tmp_path)]) == 2
    assert main(["only one"]) == 2


@pytest.mark.parametrize("namespace", [True, False])
def test_the_sandbox_has_no_network(tmp_path, monkeypatch, namespace):
    from cinc_ecg.challenge.validate import sandbox

    if not namespace:
        monkeypatch.setattr(sandbox, "network_prefix", lambda: ())
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = Sandbox(tmp_path, sys.executable).run(["-c", code], tmp_path, timeout_s=30)
    assert done.code == 1
    assert done.seconds < 5
    assert re.search("unreachable", done.reason)


def test_the_sandbox_measures_and_stops(tmp_path):
    box = Sandbox(tmp_path, sys.executable)
    done = box.run(["-c", "x = bytearray(200_000_000); print(len(x))"], tmp_path, timeout_s=60)
    assert (done.code, done.stdout) == (0, "200000000\n")
    assert done.peak_mb > 190
    late = box.run(["-c", "import time; time.sleep(60)"], tmp_path, timeout_s=0.5)
    assert late.timed_out
    assert late.code != 0
    assert "not done after" in late.reason


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint is not installed (make setup)")
def test_the_linter_has_nothing_to_say_of_the_dockerfiles(submission):
    files = [ROOT / "Dockerfile", submission.folder / "Dockerfile"]
    done = subprocess.run([HADOLINT, *files], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
