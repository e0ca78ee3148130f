"""Build a submission's image, look at its size, run it on some records, save image and log."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cinc_ecg.challenge.container import Engine, Gpus, RunOptions, has_gpu
from cinc_ecg.challenge.container_trial import ContainerTrial, compare_locally, run_image
from cinc_ecg.challenge.validate.report import Check, passed
from cinc_ecg.challenge.validate.trial_data import make_trial_data
from cinc_ecg.io.atomic import make_folder

LOG = "container.log"
IMAGE = "image.tar"


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build and try an image.

    Attributes:
        tag: Its name.
        arguments: Build arguments.
        data: Records with labels, signals and pictures to try it on; None only builds.
        limit: Use at most so many of them.
        gpus: "auto" asks for GPUs when this machine has one.
        user: "uid:gid" to run as; None is root, as with the organizers.
        python: Interpreter for the run to compare with.
        save: Save the image to a file.
        timeout_s: For each command in the container.
    """

    tag: str = "image"
    arguments: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None
    limit: int = 6
    gpus: Gpus = "auto"
    user: str | None = None
    python: str = sys.executable
    save: bool = False
    timeout_s: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Built:
    """What was built and found: figures of the image, and checks."""

    image: dict[str, Any]
    checks: tuple[Check, ...]


def build_and_run(submission: Path, output: Path, options: BuildOptions) -> Built:
    """Build, run, compare and save; every command and its output go to a log in `output`.

    Raises:
        ContainerError: No engine, a failing build, or GPUs asked for that are not there.
        InputError: The data cannot be used.
    """
    make_folder(output)
    with (output / LOG).open("w", encoding="utf-8") as stream:

        def log(text: str) -> None:
            stream.write(text + "\n")
            stream.flush()

        engine = Engine(log=log)
        version = engine.require()
        built = engine.build(submission, options.tag, options.arguments)
        size = engine.size_bytes(options.tag) or 0
        base = engine.base_size_bytes(submission, options.arguments)
        text = f"built in {built.seconds:.0f} s; {size / 1e6:.0f} MB"
        text += f", {(size - base) / 1e6:.0f} MB above its base" if base is not None else ""
        checks = [passed("container.build", text)]
        if options.data is not None:
            checks += _try(engine, submission, options, options.data)
        if options.save:
            engine.save(options.tag, output / IMAGE)
            saved = (output / IMAGE).stat().st_size / 1e6
            checks.append(passed("container.save", f"{output / IMAGE}: {saved:.0f} MB"))
    image = {
        "tag": options.tag,
        "engine": version,
        "build_seconds": round(built.seconds, 1),
        "bytes": size,
        "base_bytes": base,
    }
    return Built(image, tuple(checks))


def _try(engine: Engine, submission: Path, options: BuildOptions, data: Path) -> list[Check]:
    wants_gpu = options.gpus == "all" or (options.gpus == "auto" and has_gpu())
    note = "with all GPUs" if wants_gpu else "without a GPU"
    checks = [passed("container.gpus", f"{note} (--gpus {options.gpus})")]
    with tempfile.TemporaryDirectory(prefix="cinc-ecg-package-") as name:
        work = Path(name)
        work.chmod(0o755)
        trial_data = make_trial_data(data, work, limit=options.limit, seed=0)
        run = RunOptions((), "all" if wants_gpu else "none", options.user, options.timeout_s)
        trial = ContainerTrial(engine, options.tag, run, trial_data, make_folder(work / "run"))
        found = list(run_image(trial))
        checks += found
        if all(check.state != "fail" for check in found):
            checks.append(compare_locally(trial, submission, options.python))
    return checks
