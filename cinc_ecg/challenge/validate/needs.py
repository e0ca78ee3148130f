"""Static checks of requirements.txt: pinned, known names, free of contradictions, complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cinc_ecg.challenge.reach import reachable_files
from cinc_ecg.challenge.requirements import (
    MISNAMED,
    Pin,
    conflicts,
    distributions_of,
    read_pins,
    third_party,
)
from cinc_ecg.challenge.validate.files import DRIVERS
from cinc_ecg.challenge.validate.report import Check, verdict

_TIMEOUT_S = 600
_OFFLINE = re.compile(
    r"NewConnectionError|NameResolution|name resolution|ConnectTimeout|Network is"
)


def check_requirements(
    tree: Path, *, resolve: bool, python: str = sys.executable
) -> Iterator[Check]:
    """Yield what is to be said of requirements.txt; with `resolve`, ask pip as well."""
    file = tree / "requirements.txt"
    if not file.is_file():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    pins = read_pins(text)
    yield verdict(
        "requirements.pinned",
        [f"{pin.line!r} pins no exact version" for pin in pins if pin.version is None],
        f"{len(pins)} requirements, all pinned",
        "write NAME==VERSION with the version you tested; pip freeze shows it",
    )
    yield verdict(
        "requirements.names",
        [f"{p.name} should be {MISNAMED[p.name]}" for p in pins if p.name in MISNAMED],
        "no import name stands for a distribution",
        "use the name of the distribution, not of the module",
    )
    yield verdict(
        "requirements.consistent",
        conflicts(pins),
        "no pin contradicts another, as far as is known here",
        "change one of the two; pip install -r requirements.txt in a fresh environment must pass",
    )
    yield _complete(tree, pins)
    if resolve:
        yield _resolvable(file, python)


def _complete(tree: Path, pins: list[Pin]) -> Check:
    names = {pin.name for pin in pins}
    try:
        reached = reachable_files(tree, ["team_code.py", *DRIVERS])
        used = third_party(tree, deferred=False, files=reached)
    except SyntaxError as error:
        problem = f"{error.filename}:{error.lineno}: {error.msg}"
        return Check("requirements.complete", "fail", problem, "mend the syntax error")
    missing = [
        f"{path.relative_to(tree)} imports {module}"
        for module, path in used.items()
        if not names & set(distributions_of(module))
    ]
    return verdict(
        "requirements.complete",
        missing,
        "every imported distribution is listed",
        "add what provides the module to requirements.txt, pinned; the image has nothing else",
    )


def _resolvable(file: Path, python: str) -> Check:
    """Let pip resolve the file without installing anything."""
    name, fix = "requirements.resolvable", "pip says what; change the pins until it finds a set"
    command = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--retries", "1", "--disable-pip-version-check", "-r", str(file)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**os.environ, "PIP_NO_INPUT": "1"},
        )
    except subprocess.TimeoutExpired:
        return Check(name, "warn", f"pip was not done after {_TIMEOUT_S} s", "try it by hand")
    if done.returncode == 0:
        return Check(name, "pass", "pip finds a set that fits, for this Python")
    if _OFFLINE.search(done.stderr):
        return Check(name, "warn", "no network to ask pip", "try again with one, or --no-resolve")
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return verdict(name, [" ".join(errors) or "pip failed"], "", fix)
