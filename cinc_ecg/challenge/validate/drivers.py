"""Do the drivers do what the organizers' do? Judged by what they do with a stand-in team code.

The organizers replace train_model.py, run_model.py and helper_code.py; what a team changed in them
is lost. So their behaviour is compared with the published description, not their text.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from cinc_ecg.challenge.context import context_files, copy_context
from cinc_ecg.challenge.validate.files import DRIVERS
from cinc_ecg.challenge.validate.report import Check, verdict
from cinc_ecg.challenge.validate.sandbox import Outcome, Sandbox
from cinc_ecg.io.atomic import make_folder, write_text

_TIMEOUT_S = 120.0
_FIX = "take the organizers' {} unchanged; they put theirs in its place anyway"
#: Stands in for the team: notes each call, fails on the second record.
_TEAM = """
import json
import numpy as np

def _note(*call):
    with open("calls.jsonl", "a") as stream:
        stream.write(json.dumps([str(x) if not isinstance(x, bool) else x for x in call]) + "\\n")

def train_models(data_folder, model_folder, verbose):
    _note("train_models", data_folder, model_folder, verbose)

def load_models(model_folder, verbose):
    _note("load_models", model_folder, verbose)
    return "digitization", "classification"

def run_models(record, digitization_model, classification_model, verbose):
    _note("run_models", record, digitization_model, classification_model, verbose)
    if record.endswith("r2"):
        raise RuntimeError("this record fails")
    return np.full((20, 2), 0.25), ["NORM", "PVC"]
"""
_HEADER = (
    "{0} 2 100 20\n{0}.dat 16 1000.0(0)/mV 16 0    I\n{0}.dat 16 1000.0(0)/mV 16 0    II\n"
    "# Image: {0}-0.png\n"
)


def check_drivers(tree: Path, sandbox: Sandbox) -> Iterator[Check]:
    """Run the drivers of a tree with a stand-in team code in a scratch copy."""
    if any(not (tree / name).is_file() for name in DRIVERS):
        return
    work = make_folder(sandbox.folder / "drivers")
    copy_context(tree, work, [p for p in context_files(tree) if p.suffix == ".py"])
    write_text(work / "team_code.py", _TEAM)
    for name in ("r1", "r2", "sub/r3"):
        make_folder((work / "data" / name).parent)
        header = _HEADER.format(Path(name).name)
        write_text(work / "data" / f"{name}.hea", header)
    make_folder(work / "nothing")
    yield _train(work, sandbox)
    yield _run(work, sandbox)
    yield _surface(tree)


def _call(work: Path, sandbox: Sandbox, *words: str) -> tuple[Outcome, list[list[object]]]:
    """Run a driver; return how it ended and which functions it called."""
    notes = work / "calls.jsonl"
    notes.unlink(missing_ok=True)
    done = sandbox.run(words, work, timeout_s=_TIMEOUT_S)
    lines = notes.read_text().splitlines() if notes.is_file() else []
    return done, [json.loads(line) for line in lines]


def _train(work: Path, sandbox: Sandbox) -> Check:
    problems = []
    script = "train_model.py"
    short, long = ["-d", "data", "-m"], ["-v", "--data_folder", "data", "--model_folder"]
    for words in (short, long):
        verbose = "-v" in words
        done, calls = _call(work, sandbox, script, *words, "model")
        if done.code != 0:
            problems.append(f"{' '.join(words)} model ends with {done.code}: {done.reason}")
        elif calls != [["train_models", "data", "model", verbose]]:
            problems.append(f"{' '.join(words)} model: not train_models(data, model, {verbose})")
    done, _ = _call(work, sandbox, script, "-d", "data")
    if done.code != 2:
        problems.append(f"without -m it ends with {done.code}, not 2")
    good = "train_model.py has the organizers' flags and calls"
    return verdict("drivers.train", problems, good, _FIX.format(script))


def _run(work: Path, sandbox: Sandbox) -> Check:
    script = "run_model.py"
    base = [script, "-d", "data", "-m", "model", "-o"]
    problems: list[str] = []
    done, calls = _call(work, sandbox, *base, "out", "-v", "-f")
    expected = [["load_models", "model", True]]
    for name in ("r1", "r2", "sub/r3"):
        expected.append(["run_models", f"data/{name}", "digitization", "classification", True])
    if done.code != 0:
        problems.append(f"with -f it ends with {done.code}: {done.reason}")
    else:
        if calls != expected:
            problems.append("load_models and run_models are not called as described")
        problems += _said(done) + _written(work / "out")
    done, _ = _call(work, sandbox, *base, "out2")
    if done.code == 0:
        problems.append("without -f a failing record does not stop it")
    if done.stdout.strip():
        problems.append("it prints without -v")
    done, _ = _call(work, sandbox, script, "-d", "nothing", "-m", "model", "-o", "out3")
    if done.code != 1 or "No data were provided." not in done.stderr:
        problems.append("a folder without records does not end with 'No data were provided.'")
    done, _ = _call(work, sandbox, script, "-d", "data", "-m", "model")
    if done.code != 2:
        problems.append(f"without -o it ends with {done.code}, not 2")
    good = "run_model.py has the organizers' flags, calls, text and files"
    return verdict("drivers.run", problems, good, _FIX.format(script))


def _said(done: Outcome) -> list[str]:
    expected = [
        "Loading the Challenge model...",
        "Finding the Challenge data...",
        "Running the Challenge model(s) on the Challenge data...",
        "- 1/3: r1...",
        "- 2/3: r2...",
        "... failed.",
        "- 3/3: sub/r3...",
        "Done.",
    ]
    differs = done.stdout.splitlines() != expected
    return ["its text with -v is not the organizers'"] if differs else []


def _written(out: Path) -> list[str]:
    problems = []
    for name, failed in (("r1", False), ("r2", True), ("sub/r3", False)):
        header = out / f"{name}.hea"
        text = header.read_text(errors="replace") if header.is_file() else ""
        bare = Path(name).name
        if failed:
            if text != _HEADER.format(bare):
                problems.append(f"{name}: a failed record is not just the copied header")
            continue
        lines = text.splitlines()
        if not re.match(rf"{bare} 2 100(\.0)? 20\b", text) or not (out / f"{name}.dat").is_file():
            problems.append(f"{name}: the signal is not written")
        if lines[-2:] != [f"# Image: {bare}-0.png", "# Labels: NORM, PVC"]:
            problems.append(f"{name}: comments and labels are not written as described")
    return problems


def _surface(tree: Path) -> Check:
    """Look for what a driver has no business to do: settings, other modules, other functions."""
    problems = []
    usual = {"argparse", "os", "sys", "helper_code", "team_code", "__future__"}
    package = {p.name for p in tree.iterdir() if (p / "__init__.py").is_file()}
    allowed = {
        "train_model.py": {"train_models", "*"},
        "run_model.py": {"load_models", "run_models", "*"},
    }
    for script, functions in allowed.items():
        try:
            parsed = ast.parse((tree / script).read_text(encoding="utf-8", errors="replace"))
        except SyntaxError as error:
            problems.append(f"{script}:{error.lineno}: {error.msg}")
            continue
        for node in ast.walk(parsed):
            if isinstance(node, ast.Import | ast.ImportFrom):
                problems += _odd_import(script, node, usual | package, functions)
            elif isinstance(node, ast.Attribute) and node.attr in ("environ", "putenv"):
                problems.append(f"{script}:{node.lineno} changes or reads the environment")
    return verdict(
        "drivers.surface",
        problems,
        "the drivers import and set nothing of their own",
        "move it into team_code.py: the organizers' drivers do not have it",
    )


def _odd_import(
    script: str, node: ast.Import | ast.ImportFrom, modules: set[str], functions: set[str]
) -> list[str]:
    if isinstance(node, ast.Import):
        tops = {alias.name.split(".")[0] for alias in node.names}
    else:
        tops = {(node.module or "").split(".")[0]}
        if node.module == "team_code":
            odd = {alias.name for alias in node.names} - functions
            if odd:
                return [f"{script}:{node.lineno} takes {', '.join(sorted(odd))} from team_code"]
    return [f"{script}:{node.lineno} imports {name}" for name in sorted(tops - modules)]
