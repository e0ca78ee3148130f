"""The robustness tests that the organizers announce: changed data, and a record that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cinc_ecg.challenge.validate.report import Check, passed
from cinc_ecg.challenge.validate.trial import Trial, output_problems, snapshot
from cinc_ecg.challenge.validate.trial_data import (
    copy_to,
    share_of,
    with_a_broken_picture,
    without_class,
    without_labels,
)
from cinc_ecg.errors import CincEcgError
from cinc_ecg.io.records import find_records, read_header

_Change = Callable[[Path, Path], str]
_FIX_TRAIN = "train_models must cope: skip records without labels, take the classes from the data"
_FIX_SAME = "the organizers check that training changes the model; let it depend on the data"
#: Name -> how the training data are changed, and whether labels are all that changes.
CHANGES: dict[str, tuple[_Change, bool]] = {
    "missing_labels": (without_labels, True),
    "removed_class": (without_class, True),
    "less_data": (partial(share_of, share=0.15), False),
    "more_data": (partial(share_of, share=1.5), False),
}


def try_changes(trial: Trial, work: Path) -> Iterator[Check]:
    """Train on changed data; the training must end well and give another model that runs."""
    usual = snapshot(work / "model")
    classifies = any_labels(work / "retrained")
    sample = work / "one_record"
    first = find_records(trial.data.hidden)[0]
    copy_to(trial.data.hidden / first, sample / first)
    for name, (change, labels_only) in CHANGES.items():
        folder = work / name
        what = change(trial.data.training, folder / "data")
        done = trial.train(folder / "data", folder / "model")
        check = f"robust.{name}"
        if done.code != 0:
            yield Check(check, "fail", f"{what}: training fails: {done.reason}", _FIX_TRAIN)
            continue
        if snapshot(folder / "model") == usual and (classifies or not labels_only):
            yield Check(check, "fail", f"{what}: the model is the same as without", _FIX_SAME)
            continue
        ran = trial.run(sample, folder / "model", folder / "outputs")
        if ran.code != 0:
            yield Check(check, "fail", f"{what}: that model does not run: {ran.reason}", _FIX_TRAIN)
            continue
        yield passed(check, f"{what}: trains and runs")


def any_labels(output: Path) -> bool:
    """Tell whether a model's outputs name any label."""
    return any(read_header(output / record).labels for record in find_records(output))


def try_failure(trial: Trial, work: Path, model: Path) -> Iterator[Check]:
    """Run on data of which one picture is broken, with and without -f."""
    data = work / "broken" / "data"
    broken = with_a_broken_picture(trial.data.hidden, data, 2)
    others = [record for record in find_records(data) if record != broken]
    done = trial.run(data, model, work / "broken" / "without")
    if done.code == 0:
        yield passed("robust.failing_record", f"{broken} with a broken picture stops nothing")
    else:
        yield Check(
            "robust.failing_record",
            "warn",
            f"{broken} with a broken picture stops the run: {done.reason}",
            "catch it in run_models and return what you know; it is not published whether the "
            "organizers run with -f",
        )
    output = work / "broken" / "with"
    done = trial.run(data, model, output, "-f")
    problems = [] if done.code == 0 else [f"ends with {done.code}: {done.reason}"]
    try:
        problems += [text for record in others for text in output_problems(data, output, record)]
    except CincEcgError as error:
        problems.append(str(error))
    if problems:
        yield Check(
            "robust.allow_failures",
            "fail",
            "; ".join(problems[:3]),
            "one bad record must not touch the others; keep no state between records",
        )
    else:
        yield passed("robust.allow_failures", "with -f the other records get their outputs")
