"""The trial run: train, run and score a submission on hidden data, as the organizers will."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinc_ecg.challenge.validate.report import Check, State, passed, verdict
from cinc_ecg.challenge.validate.sandbox import Outcome, Sandbox, network_note
from cinc_ecg.challenge.validate.trial_data import TrialData
from cinc_ecg.data.labels import CHALLENGE_CLASSES
from cinc_ecg.errors import CincEcgError
from cinc_ecg.io.records import find_records, read_header, read_signal

#: 24 hours for about 1,000 records, for training and for running alike.
BUDGET_S = 24 * 3600 / 1000
#: What a submission may use of the machine's 64 GB.
BUDGET_MB = 60_000.0
_FIX_SCORE = "run cinc-ecg score on these folders: its message names the record and the reason"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial works with.

    Attributes:
        tree: A copy of the submission, run in place.
        sandbox: Runs the commands.
        data: Its data.
        timeout_s: For each command.
    """

    tree: Path
    sandbox: Sandbox
    data: TrialData
    timeout_s: float

    def train(self, data: Path, model: Path) -> Outcome:
        """Run the training script."""
        arguments: list[str | Path] = ["train_model.py", "-d", data, "-m", model, "-v"]
        return self.sandbox.run(arguments, self.tree, timeout_s=self.timeout_s)

    def run(self, data: Path, model: Path, output: Path, *flags: str) -> Outcome:
        """Run the run script."""
        arguments: list[str | Path] = [
            "run_model.py",
            "-d",
            data,
            "-m",
            model,
            "-o",
            output,
            "-v",
            *flags,
        ]
        return self.sandbox.run(arguments, self.tree, timeout_s=self.timeout_s)


def try_out(trial: Trial, work: Path) -> Iterator[Check]:
    """Train, run the pre-trained and the trained model, score both; yield what was found."""
    before = snapshot(trial.tree), snapshot(trial.data.training), snapshot(trial.data.hidden)
    n_training = len(find_records(trial.data.training))
    yield passed("trial.network", network_note())
    trained = trial.train(trial.data.training, work / "model")
    yield _ended("trial.train", trained, f"trained on {n_training} records")
    if (trial.tree / "model").is_dir():
        yield from _run_and_score(trial, trial.tree / "model", work / "pretrained", "pretrained")
    if trained.code == 0:
        yield from _budget("trial.train", trained, n_training)
        yield _model(work / "model")
        yield from _run_and_score(trial, work / "model", work / "retrained", "retrained")
    yield _untouched(trial, before)


def _run_and_score(trial: Trial, model: Path, output: Path, name: str) -> Iterator[Check]:
    records = find_records(trial.data.hidden)
    done = trial.run(trial.data.hidden, model, output)
    yield _ended(f"{name}.run", done, f"{len(records)} records")
    if done.code != 0:
        return
    yield from _budget(f"{name}.run", done, len(records))
    yield verdict(
        f"{name}.outputs",
        (text for record in records for text in output_problems(trial.data.hidden, output, record)),
        "every record has its outputs, with the header's rate, length, leads and known labels",
        "return (signal, labels): samples in mV by leads as in the header, NaN where nothing is "
        "known; labels among the eleven classes",
    )
    yield _score(trial, output, name)


def _ended(name: str, done: Outcome, good: str) -> Check:
    problems = [] if done.code == 0 else [f"ends with {done.code}: {done.reason}"]
    fix = "the last line of its error output is shown; run the same command by hand for all of it"
    return verdict(name, problems, good, fix)


def _budget(name: str, done: Outcome, n_records: int) -> Iterator[Check]:
    """Compare time and memory with what the organizers give."""
    seconds = done.seconds / n_records
    text = f"{seconds:.1f} s per record here, start included; the budget is {BUDGET_S:.0f} s"
    fix = "load and prepare in load_models, not per record; use the GPU; read pictures smaller"
    if seconds <= BUDGET_S / 2:
        yield passed(f"{name}_time", text)
    else:
        yield Check(f"{name}_time", "fail" if seconds > BUDGET_S else "warn", text, fix)
    text = f"{done.peak_mb:.0f} MB at most in one process; {BUDGET_MB:.0f} MB are there"
    if done.peak_mb <= BUDGET_MB / 2:
        yield passed(f"{name}_memory", text)
    else:
        state: State = "fail" if done.peak_mb > BUDGET_MB else "warn"
        yield Check(f"{name}_memory", state, text, "go through the records one by one")


def _model(folder: Path) -> Check:
    files = snapshot(folder)
    return verdict(
        "trial.model",
        [] if files else ["training ended well but left no file in the model folder"],
        f"training wrote {len(files)} files",
        "save the model into the model_folder that train_models is given, and make that folder",
    )


def output_problems(data: Path, output: Path, record: str) -> Iterator[str]:
    """Yield what is wrong with one record's outputs, judged by the header it was run on."""
    wanted = read_header(data / record)
    try:
        found = read_header(output / record)
    except CincEcgError as error:
        yield f"{record}: {error}"
        return
    wrong = [label for label in found.labels or () if label not in CHALLENGE_CLASSES]
    if wrong:
        yield f"{record}: {', '.join(map(repr, wrong))} is no class of the Challenge"
    if not (output / f"{record}.dat").is_file():
        if not found.labels:
            yield f"{record}: neither signal nor labels"
        return
    try:
        signal = read_signal(output / record)
    except CincEcgError as error:
        yield f"{record}: {error}"
        return
    shape = (wanted.fs_hz, wanted.n_samples, wanted.leads)
    if (signal.fs_hz, len(signal.samples_mv), signal.leads) != shape:
        yield (
            f"{record}: {len(signal.samples_mv)} samples of {len(signal.leads)} leads at "
            f"{signal.fs_hz:g} Hz, asked for {wanted.n_samples} of {len(wanted.leads)} at "
            f"{wanted.fs_hz:g} Hz"
        )
    if not np.isfinite(signal.samples_mv).any():
        yield f"{record}: the signal has no value at all"


def _score(trial: Trial, output: Path, name: str) -> Check:
    """Score the outputs with `cinc-ecg score` in a process of its own."""
    summary = trial.sandbox.folder / "scores.txt"
    package = Path(__file__).resolve().parents[3]
    code = f"import sys; sys.path.insert(0, {str(package)!r}); from cinc_ecg.cli.app import main; "
    arguments = ["score", "-d", str(trial.data.reference), "-o", str(output), "-s", str(summary)]
    scorer = Sandbox(trial.sandbox.folder, sys.executable)
    done = scorer.run(
        ["-c", f"{code}main({arguments!r})"], trial.sandbox.folder, timeout_s=trial.timeout_s
    )
    if done.code != 0:
        return Check(f"{name}.score", "fail", done.reason, _FIX_SCORE)
    values = {k: float(v) for k, v in re.findall(r"^(.+): (\S+)$", summary.read_text(), re.M)}
    said = [f"SNR {values['SNR']:.3f} dB", f"F-measure {values['F-measure']:.3f}"]
    given = [t for t, v in zip(said, values.values(), strict=True) if not math.isnan(v)]
    return verdict(
        f"{name}.score",
        [] if given else ["neither a signal-to-noise ratio nor an F-measure"],
        ", ".join(given),
        _FIX_SCORE,
    )


def _untouched(trial: Trial, before: tuple[dict[str, str], ...]) -> Check:
    """Look for files changed or written where they should not be."""
    problems = []
    folders = ("the submission", trial.tree), ("training data", trial.data.training)
    for (name, folder), old in zip(
        (*folders, ("hidden data", trial.data.hidden)), before, strict=True
    ):
        new = snapshot(folder)
        changed = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        problems += [f"{name}: {path}" for path in changed[:3] if not _is_cache(path)]
    for name, folder in (
        ("the home folder", trial.sandbox.home),
        ("/tmp", trial.sandbox.temporary),
    ):
        left = sorted(snapshot(folder))
        if left:
            problems.append(
                f"{name}: {left[0]}" + (f" and {len(left) - 1} more" if left[1:] else "")
            )
    return verdict(
        "trial.writes",
        problems,
        "nothing was written but the model and the outputs",
        "data are read-only and only the model folder outlives the run; /root and /tmp are not "
        "there: write to the folders given, caches below /challenge",
    )


def _is_cache(path: str) -> bool:
    return path.startswith(".cache/") or "__pycache__" in path


def snapshot(folder: Path) -> dict[str, str]:
    """Return relative path -> hash of every file under a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
