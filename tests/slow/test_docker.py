"""Real containers: the image is built and run as the organizers do.

Needs a Docker engine (DOCKER_HOST says where, if not at the default place) and the base image of
the Dockerfile, or another one named by CINC_ECG_TEST_BASE_IMAGE. Run with: pytest -m docker
"""

import os
import shutil
from pathlib import Path

import pytest

from cinc_ecg.challenge.container import Engine, Mount, RunOptions, has_gpu
from cinc_ecg.challenge.package import PackageOptions, write_submission
from cinc_ecg.challenge.package_run import IMAGE, LOG, BuildOptions, build_and_run
from cinc_ecg.challenge.validate.dockerfile import base_images, read_instructions
from cinc_ecg.errors import ContainerError
from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.io.records import write_record
from cinc_ecg.report.encode import encode_png
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "tests" / "contract" / "stand_in"
TAG = "cinc-ecg-test"


@pytest.fixture(scope="module")
def base_image():
    engine = Engine()
    try:
        engine.require()
    except ContainerError as error:
        pytest.skip(str(error))
    stated = base_images(read_instructions((ROOT / "Dockerfile").read_text()))[-1]
    image = os.environ.get("CINC_ECG_TEST_BASE_IMAGE", stated)
    if engine.size_bytes(image) is None:
        pytest.skip(f"docker pull {image}, or name another in CINC_ECG_TEST_BASE_IMAGE")
    return image


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for k, labels in enumerate(("NORM", "NORM, PVC", "Old MI", "CD", "NORM", "STTC")):
        signal = simulate(EcgSettings(), seed=k)
        page, _ = render(signal, seed=k)
        write_bytes(folder / f"{k:05d}_hr-0.png", encode_png(page.pixels))
        comments = ["Age: 56", "Sex: Female", f"Labels: {labels}", f"Image: {k:05d}_hr-0.png"]
        write_record(folder / f"{k:05d}_hr", signal, comments=comments)
    return folder


@pytest.fixture(scope="module")
def submission(base_image, tmp_path_factory):
    target = tmp_path_factory.mktemp("package") / "submission"
    return write_submission(ROOT, target, PackageOptions(base_image=base_image)).folder


@pytest.mark.parametrize("user", [None, "1000:1000"])
def test_the_image_trains_runs_and_agrees_with_this_machine(submission, data, tmp_path, user):
    save = user is None
    options = BuildOptions(TAG, data=data, limit=6, gpus="none", user=user, save=save)
    built = build_and_run(submission, tmp_path, options)
    assert {check.name: check.text for check in built.checks if check.state != "pass"} == {}
    names = {check.name for check in built.checks}
    assert {"container.train", "container.run", "container.score", "container.same"} <= names
    assert 0 < built.image["base_bytes"] < built.image["bytes"]
    assert (tmp_path / IMAGE).is_file() == save
    log = (tmp_path / LOG).read_text()
    assert "--network none" in log
    assert "python run_model.py -d test_data -m model -o test_outputs -v" in log
    assert "Done." in log


def test_the_organizers_files_over_ours_run_in_the_image(submission, data, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(submission, tree)
    for path in STAND_IN.glob("*.py"):
        shutil.copy(path, tree / path.name)
    options = BuildOptions(TAG, data=data, limit=6, gpus="none")
    built = build_and_run(tree, tmp_path / "out", options)
    assert {check.name: check.text for check in built.checks if check.state != "pass"} == {}


def test_caches_and_temporary_files_lie_below_challenge(submission, tmp_path):
    engine = Engine()
    engine.build(submission, TAG)
    code = (
        "import os, tempfile, pathlib; "
        "places = [tempfile.gettempdir(), os.path.expanduser('~')]; "
        "[pathlib.Path(p, 'probe').write_text('x') for p in places]; "
        "print(os.getcwd(), *places)"
    )
    for user in (None, "1234:1234"):
        done = engine.run(TAG, ["python", "-c", code], RunOptions(user=user))
        assert done.text.split() == ["/challenge", "/challenge/.cache/tmp", "/challenge/.cache"]


def test_data_are_read_only_and_there_is_no_network(submission, data):
    engine = Engine()
    engine.build(submission, TAG)
    options = RunOptions((Mount(data, "/challenge/test_data", True),))
    done = engine.run(TAG, ["python", "-c", "open('test_data/x', 'w')"], options)
    assert done.code == 1
    assert "Read-only" in done.text
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = engine.run(TAG, ["python", "-c", code], options)
    assert done.code == 1
    assert "unreachable" in done.text


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_asking_for_a_gpu_where_there_is_none_says_so(submission, data, tmp_path):
    options = BuildOptions(TAG, data=data, limit=6, gpus="all")
    with pytest.raises(ContainerError, match="--gpus none"):
        build_and_run(submission, tmp_path, options)
