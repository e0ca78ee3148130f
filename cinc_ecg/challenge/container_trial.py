"""Run a built image as the organizers do, and compare what it writes with a run on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.container import Engine, Mount, RunOptions
from cinc_ecg.challenge.context import copy_context
from cinc_ecg.challenge.evaluate import evaluate
from cinc_ecg.challenge.evaluate_record import EvaluateOptions
from cinc_ecg.challenge.validate.report import Check, passed, verdict
from cinc_ecg.challenge.validate.sandbox import Sandbox
from cinc_ecg.challenge.validate.trial import Trial, output_problems
from cinc_ecg.challenge.validate.trial_data import TrialData
from cinc_ecg.errors import CincEcgError
from cinc_ecg.io.atomic import make_folder
from cinc_ecg.io.records import find_records, read_header, read_signal

#: Versions of libraries differ between machines; the outputs keep one microvolt.
_TOLERANCE_MV = 0.002
_TRAIN = ("python", "train_model.py", "-d", "training_data", "-m", "model", "-v")
_RUN = ("python", "run_model.py", "-d", "test_data", "-m", "model", "-o", "test_outputs", "-v")


@dataclass(frozen=True, slots=True)
class ContainerTrial:
    """A built image and what to run it on.

    Attributes:
        engine: Runs it.
        image: Its tag.
        options: GPUs, user and time; the mounts are added.
        data: Training, hidden and reference folders.
        work: Gets the model and the outputs.
    """

    engine: Engine
    image: str
    options: RunOptions
    data: TrialData
    work: Path


def run_image(trial: ContainerTrial) -> Iterator[Check]:
    """Train, run and score in containers without network; data are read-only."""
    model, outputs = trial.work / "model", trial.work / "outputs"
    for folder in (model, outputs):
        make_folder(folder).chmod(0o777)  # the container's user may be another one
    done = _run(trial, _TRAIN, Mount(trial.data.training, "/challenge/training_data", True))
    n_training = len(find_records(trial.data.training))
    text = f"{n_training} records in {done[1]:.1f} s"
    yield verdict("container.train", done[0], text, "see the log beside the submission")
    if done[0]:
        return
    records = find_records(trial.data.hidden)
    done = _run(
        trial,
        _RUN,
        Mount(trial.data.hidden, "/challenge/test_data", True),
        Mount(outputs, "/challenge/test_outputs"),
    )
    text = f"{len(records)} records in {done[1]:.1f} s, {done[1] / len(records):.1f} s each"
    yield verdict("container.run", done[0], text, "see the log beside the submission")
    if done[0]:
        return
    yield verdict(
        "container.outputs",
        (
            text
            for record in records
            for text in output_problems(trial.data.hidden, outputs, record)
        ),
        "every record has its outputs",
        "compare with a run outside the container",
    )
    yield _score(trial, outputs)


def _run(
    trial: ContainerTrial, command: tuple[str, ...], *mounts: Mount
) -> tuple[list[str], float]:
    """Run one command; return what went wrong and the seconds it took."""
    mounts = (*mounts, Mount(trial.work / "model", "/challenge/model"))
    options = RunOptions(mounts, trial.options.gpus, trial.options.user, trial.options.timeout_s)
    done = trial.engine.run(trial.image, command, options)
    lines = [line for line in done.text.splitlines() if line.strip()]
    problem = f"ends with {done.code}: {lines[-1][:300] if lines else ''}"
    return ([problem] if done.code else []), done.seconds


def _score(trial: ContainerTrial, outputs: Path) -> Check:
    try:
        found = evaluate(trial.data.reference, outputs, EvaluateOptions(jobs=1))
    except CincEcgError as error:
        return Check("container.score", "fail", str(error), "see the record it names")
    return passed("container.score", f"SNR {found.snr_db:.3f} dB, F-measure {found.f_measure:.3f}")


def compare_locally(trial: ContainerTrial, submission: Path, python: str) -> Check:
    """Run the container's model on this machine too and compare signals and labels.

    Args:
        trial: After `run_image`.
        submission: The folder the image was built from.
        python: Interpreter that has its requirements.
    """
    tree = make_folder(trial.work / "local_tree")
    copy_context(submission, tree)
    sandbox = Sandbox(make_folder(trial.work / "sandbox"), python)
    local = Trial(tree, sandbox, trial.data, trial.options.timeout_s)
    done = local.run(trial.data.hidden, trial.work / "model", trial.work / "local")
    name, fix = "container.same", "compare the versions of the libraries here and in the image"
    if done.code != 0:
        return Check(name, "warn", f"the run on this machine fails: {done.reason}", fix)
    problems = []
    largest = 0.0
    for record in find_records(trial.data.hidden):
        differs, text = _difference(trial.work / "outputs" / record, trial.work / "local" / record)
        largest = max(largest, differs)
        if text:
            problems.append(f"{record}: {text}")
    return verdict(
        name,
        problems,
        f"same outputs as on this machine, within {largest * 1000:.0f} microvolts",
        fix,
        "warn",
    )


def _difference(a: Path, b: Path) -> tuple[float, str]:
    """Return the largest difference of two records in mV, and what is wrong, if anything."""
    if read_header(a).labels != read_header(b).labels:
        return 0.0, "other labels"
    dat = [path.with_name(path.name + ".dat").is_file() for path in (a, b)]
    if not all(dat):
        return 0.0, "a signal on one side only" if any(dat) else ""
    first, second = read_signal(a).samples_mv, read_signal(b).samples_mv
    if first.shape != second.shape or (np.isnan(first) != np.isnan(second)).any():
        return 0.0, "other samples are missing"
    both = np.isfinite(first)
    differs = float(np.abs(first - second)[both].max()) if both.any() else 0.0
    return differs, f"differs by {differs:.3f} mV" if differs > _TOLERANCE_MV else ""
