"""Static checks of team_code.py and of the package beside it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from cinc_ecg.challenge import helpers
from cinc_ecg.challenge.context import copy_context
from cinc_ecg.challenge.requirements import python_files
from cinc_ecg.challenge.validate.files import DRIVERS
from cinc_ecg.challenge.validate.report import Check, verdict
from cinc_ecg.challenge.validate.sandbox import Sandbox
from cinc_ecg.io.atomic import make_folder

_TIMEOUT_S = 300.0
#: Function -> number of its arguments.
_FUNCTIONS = {"train_models": 3, "load_models": 2, "run_models": 4}
#: What else a star import of the organizers' helper file brings.
_LEAKED = {"np", "os", "sp", "sys", "wfdb", "fftconvolve", "gaussian_filter"}
_WRITERS = {
    "open", "makedirs", "mkdir", "write_text", "write_bytes", "save", "savez", "savetxt",
    "savefig", "save_pretrained", "to_csv", "to_pickle", "dump", "copy2", "copyfile", "move",
    "imwrite", "touch", "mkdtemp", "set_dir", "chdir", "symlink", "rename",
}  # fmt: skip
_OUTSIDE = ("/", "~")
_DEVICES = ("/dev/", "/proc/", "/sys/")
#: Imports team_code in a bare copy and tells where everything came from.
_PROBE = """
import inspect, json, sys
import team_code
files = {n: getattr(m, "__file__", None) for n, m in list(sys.modules.items())}
arguments = {}
for name in sys.argv[1:]:
    function = getattr(team_code, name, None)
    if callable(function):
        kinds = [p.kind for p in inspect.signature(function).parameters.values()]
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments[name] = sum(k in plain for k in kinds)
prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix]
print("\\n" + json.dumps({"files": files, "arguments": arguments, "prefixes": prefixes}))
"""


def check_code(tree: Path, sandbox: Sandbox) -> Iterator[Check]:
    """Yield what is to be said of the code, importing it once in a bare copy."""
    if not (tree / "team_code.py").is_file():
        return
    yield from _imports(tree, sandbox)
    parsed = {}
    for path in python_files(tree):
        try:
            parsed[path] = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except SyntaxError:
            continue  # requirements.complete names it
    yield _helpers(tree, parsed)
    yield _writes(tree, parsed)


def _imports(tree: Path, sandbox: Sandbox) -> Iterator[Check]:
    copy = make_folder(sandbox.folder / "bare").resolve()
    copy_context(tree, copy)
    probe = ["-c", _PROBE, *_FUNCTIONS]
    done = sandbox.run(probe, copy, timeout_s=_TIMEOUT_S)
    name, fix = "code.import", "the folder must work as it is, with nothing of it installed"
    if done.code != 0:
        yield Check(name, "fail", f"import team_code fails: {done.reason}", fix)
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    homes = [*(Path(p).resolve() for p in found["prefixes"]), copy, sandbox.folder.resolve()]
    foreign = [
        f"{module} comes from {file}"
        for module, file in sorted(found["files"].items())
        if file and not any(Path(file).resolve().is_relative_to(home) for home in homes)
    ]
    yield verdict(name, foreign, "team_code imports in a bare copy, without installing", fix)
    counts = found["arguments"]
    wrong = [
        f"{function} takes {counts[function]} arguments, not {number}"
        if function in counts
        else f"{function} is missing"
        for function, number in _FUNCTIONS.items()
        if counts.get(function) != number
    ]
    yield verdict(
        "code.functions",
        wrong,
        "team_code has the three functions with their arguments",
        "train_models(data_folder, model_folder, verbose), load_models(model_folder, verbose), "
        "run_models(record, digitization_model, classification_model, verbose)",
    )


def _helpers(tree: Path, parsed: dict[Path, ast.Module]) -> Check:
    """Find names taken from helper_code that the organizers' file does not have."""
    known = set(helpers.__all__) | _LEAKED | {"*"}
    problems = []
    for path, module in parsed.items():
        if path.name in DRIVERS and path.parent == tree:
            continue
        where = path.relative_to(tree)
        aliases = set()
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and node.module == "helper_code":
                odd = sorted({alias.name for alias in node.names} - known)
                problems += [f"{where}:{node.lineno} takes {name}" for name in odd]
            elif isinstance(node, ast.Import):
                aliases |= {a.asname or a.name for a in node.names if a.name == "helper_code"}
        problems += [
            f"{where}:{node.lineno} takes {node.attr}"
            for node in ast.walk(module)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in aliases
            and node.attr not in known
        ]
    return verdict(
        "code.helpers",
        problems,
        "nothing is taken from helper_code that the organizers' file lacks",
        "move the function into a file of your own; helper_code.py is replaced",
    )


def _writes(tree: Path, parsed: dict[Path, ast.Module]) -> Check:
    problems = []
    for path, module in parsed.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _name(node.func) in _WRITERS:
                for text in _strings(node):
                    if (
                        text.startswith(_OUTSIDE)
                        and not text.startswith(_DEVICES)
                        and len(text) > 1
                    ):
                        place = f"{path.relative_to(tree)}:{node.lineno}"
                        problems.append(f"{place} {_name(node.func)}({text!r})")
    return verdict(
        "code.writes",
        problems,
        "no file is written to a fixed place outside the folder",
        "write to the model or output folder you are given, caches below the working folder",
    )


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _strings(call: ast.Call) -> Iterator[str]:
    """Yield the texts among a call's arguments, and the one its object is made from; a file that is
    only opened for reading has none."""
    values: list[ast.expr] = [*call.args, *(k.value for k in call.keywords)]
    texts = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        inner = call.func.value
        texts += [
            v.value for v in inner.args if isinstance(v, ast.Constant) and isinstance(v.value, str)
        ]
    if _name(call.func) == "open":
        modes = [t for t in texts if set(t) <= set("rwaxbt+U") and t]
        if not any(set(mode) & set("wax+") for mode in modes):
            return
    yield from texts
