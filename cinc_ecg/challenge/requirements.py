"""Requirements files and what a tree of Python files imports: shared by validate and package."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cinc_ecg.challenge.reach import reachable_files

#: Import names that people write where the distribution is called otherwise.
MISNAMED = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "pil": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
}


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a requirements file.

    Attributes:
        line: As written, without its comment.
        name: Normalized name of the distribution; "" where the line cannot be read.
        version: The exact version, or None where the line does not pin one.
    """

    line: str
    name: str
    version: str | None


def read_pins(text: str) -> list[Pin]:
    """Parse a requirements file; options (lines that start with -) are left out."""
    lines = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return [_pin(line) for line in lines if line and not line.startswith("-")]


def _pin(line: str) -> Pin:
    try:
        wanted = Requirement(line.split(" --", maxsplit=1)[0])
    except InvalidRequirement:
        return Pin(line, "", None)
    exact = [s.version for s in wanted.specifier if s.operator in ("==", "===")]
    pinned = len(wanted.specifier) == 1 and exact and "*" not in exact[0]
    return Pin(line, canonicalize_name(wanted.name), exact[0] if pinned else None)


def installed_closure(names: Iterable[str]) -> dict[str, str]:
    """Return distribution -> installed version of some distributions and all they need here.

    Distributions that are not installed are left out.
    """
    found: dict[str, str] = {}
    waiting = [(canonicalize_name(name), "") for name in names]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        for wanted in wanted_by(name, extra):
            key = canonicalize_name(wanted.name)
            waiting += [(key, ""), *((key, e) for e in wanted.extras)]
    return dict(sorted(found.items()))


def wanted_by(name: str, extra: str = "") -> list[Requirement]:
    """Return what an installed distribution requires on this machine; nothing if not installed."""
    try:
        lines = metadata.distribution(name).requires or []
    except metadata.PackageNotFoundError:
        return []
    parsed = [Requirement(line) for line in lines]
    return [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": extra})]


def conflicts(pins: Iterable[Pin]) -> Iterator[str]:
    """Yield what contradicts: a name pinned twice, or a pin that another pin's metadata excludes.

    Metadata are known for distributions installed here in the pinned version only.
    """
    versions: dict[str, str] = {}
    for pin in pins:
        if pin.version is None:
            continue
        if versions.setdefault(pin.name, pin.version) != pin.version:
            yield f"{pin.name} is pinned to {versions[pin.name]} and to {pin.version}"
    for name, version in versions.items():
        if _installed_version(name) != version:
            continue
        for wanted in wanted_by(name):
            held = versions.get(canonicalize_name(wanted.name))
            if held and not wanted.specifier.contains(held, prereleases=True):
                yield f"{name}=={version} needs {wanted.name}{wanted.specifier}, pinned is {held}"


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python_files(tree: Path) -> list[Path]:
    """Return the Python files of a tree that can matter when it runs: no hidden folders, no
    environments, no tests."""
    skipped = {"tests", "test", "docs", "benchmarks", "node_modules", "__pycache__", "build"}
    found = []
    for path in sorted(tree.rglob("*.py")):
        parts = path.relative_to(tree).parts[:-1]
        environment = any(
            (tree / Path(*parts[: k + 1]) / "pyvenv.cfg").exists() for k in range(len(parts))
        )
        if not environment and not any(p in skipped or p.startswith(".") for p in parts):
            found.append(path)
    return found


def imports_of(path: Path, *, deferred: bool) -> set[str]:
    """Return the top-level names of the modules a file imports.

    Args:
        path: A Python file.
        deferred: Count imports inside functions and `try` as well; they may never run.

    Raises:
        SyntaxError: The file is not Python.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    nodes = ast.walk(tree) if deferred else _at_import(tree.body)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def _at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that surely run when a module is imported."""
    for node in body:
        yield node
        if isinstance(node, ast.With | ast.ClassDef):
            yield from _at_import(node.body)


def third_party(
    tree: Path, *, deferred: bool, files: Iterable[Path] | None = None
) -> dict[str, Path]:
    """Return the imported modules that neither Python nor the tree has, each with a file that
    imports it.

    Args:
        tree: Root of the submission.
        deferred: See `imports_of`.
        files: The files to look at; all of the tree's by default.
    """
    local = {p.stem for p in tree.glob("*.py")} | {p.name for p in tree.iterdir() if p.is_dir()}
    found: dict[str, Path] = {}
    for path in python_files(tree) if files is None else files:
        for name in imports_of(path, deferred=deferred):
            if name not in sys.stdlib_module_names and name not in local:
                found.setdefault(name, path)
    return dict(sorted(found.items()))


def distributions_of(module: str) -> tuple[str, ...]:
    """Return the distributions that provide a module: by what is installed here, or by the name."""
    known = _module_map().get(module)
    return tuple(
        canonicalize_name(name) for name in known or [MISNAMED.get(module.lower(), module)]
    )


@cache
def _module_map() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def needed_pins(tree: Path, pins: Iterable[Pin], roots: Iterable[str]) -> list[Pin]:
    """Return the pins that some root scripts need, directly or through another distribution.

    Args:
        tree: Root of the submission.
        pins: All there are.
        roots: File names in the root, such as run_model.py.
    """
    files = reachable_files(tree, roots)
    modules = third_party(tree, deferred=True, files=files)
    wanted = {d for module in modules for d in distributions_of(module)}
    needed = set(installed_closure(wanted)) | wanted
    return [pin for pin in pins if pin.name in needed]
