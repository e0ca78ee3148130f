"""All checks, one after the other."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cinc_ecg.challenge.context import copy_context
from cinc_ecg.challenge.validate.code import check_code
from cinc_ecg.challenge.validate.dockerfile import check_dockerfile
from cinc_ecg.challenge.validate.drivers import check_drivers
from cinc_ecg.challenge.validate.files import check_files
from cinc_ecg.challenge.validate.needs import check_requirements
from cinc_ecg.challenge.validate.report import Check
from cinc_ecg.challenge.validate.robust import try_changes, try_failure
from cinc_ecg.challenge.validate.sandbox import Sandbox
from cinc_ecg.challenge.validate.trial import Trial, try_out
from cinc_ecg.challenge.validate.trial_data import make_trial_data
from cinc_ecg.errors import InputError
from cinc_ecg.io.atomic import make_folder


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """How much to validate.

    Attributes:
        data: Records with labels, signals and pictures for a trial; None checks statically only.
        limit: Use at most so many of them.
        robustness: Train on changed data too.
        resolve: Let pip resolve requirements.txt (needs a network).
        python: Interpreter with the submission's requirements.
        seed: Draws the records and splits them.
        timeout_s: For each command of the trial.
    """

    data: Path | None = None
    limit: int = 12
    robustness: bool = True
    resolve: bool = True
    python: str = sys.executable
    seed: int = 0
    timeout_s: float = 3600.0


def validate(
    tree: Path,
    options: ValidateOptions | None = None,
    *,
    observe: Callable[[Check], None] | None = None,
) -> list[Check]:
    """Check a submission.

    Args:
        tree: The root of its repository.
        options: How much.
        observe: Called with each finding as it is made.

    Raises:
        InputError: There is no such folder, or the data cannot be used.
    """
    options = options or ValidateOptions()
    if not tree.is_dir():
        raise InputError(f"{tree}: not a folder", code="folder_unreadable")
    found = []
    with tempfile.TemporaryDirectory(prefix="cinc-ecg-validate-") as name:
        for check in _checks(tree, Path(name), options):
            found.append(check)
            if observe:
                observe(check)
    return found


def _checks(tree: Path, work: Path, options: ValidateOptions) -> Iterator[Check]:
    yield from check_static(tree, work / "static", options)
    if options.data is None:
        return
    folder = make_folder(work / "trial")
    data = make_trial_data(options.data, folder, limit=options.limit, seed=options.seed)
    copy = make_folder(folder / "tree")
    copy_context(tree, copy)
    sandbox = Sandbox(make_folder(folder / "sandbox"), options.python)
    trial = Trial(copy, sandbox, data, options.timeout_s)
    trained = True
    for check in try_out(trial, folder):
        trained = trained and not (check.name == "trial.train" and check.state == "fail")
        yield check
    if not options.robustness:
        return
    if trained:
        yield from try_changes(trial, folder)
    yield from try_failure(trial, folder, folder / "model" if trained else copy / "model")


def check_static(tree: Path, work: Path, options: ValidateOptions) -> Iterator[Check]:
    """Yield what can be found without data; the drivers run with a stand-in team code."""
    sandbox = Sandbox(make_folder(work), options.python)
    yield from check_files(tree)
    yield from check_requirements(tree, resolve=options.resolve, python=options.python)
    yield from check_dockerfile(tree)
    yield from check_code(tree, sandbox)
    yield from check_drivers(tree, sandbox)
