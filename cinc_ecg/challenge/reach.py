"""Which Python files of a tree some scripts can reach by importing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?::\w+)?")


def reachable_files(tree: Path, roots: Iterable[str]) -> list[Path]:
    """Return the files that scripts in a tree's root reach, themselves included, sorted.

    Imports count wherever they stand. A text that is the dotted name of a module of the tree (with
    ":function" behind it or not) counts as an import: so are plugins named.

    Args:
        tree: The folder from which modules are imported.
        roots: Names of scripts in it; missing ones are left out.

    Raises:
        SyntaxError: A reached file is not Python.
    """
    waiting = [tree / name for name in roots if (tree / name).is_file()]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in _names(path, tree):
            waiting += _files(tree, name)
    return sorted(found)


def _names(path: Path, tree: Path) -> Iterator[str]:
    """Yield the dotted names a file imports, "module.name" for each name taken from a module."""
    parsed = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: counted from the file's own package
                package = path.relative_to(tree).parent.parts
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted = _DOTTED.fullmatch(node.value)
            if dotted:
                yield dotted[1]


def _files(tree: Path, name: str) -> Iterator[Path]:
    """Yield the files run by importing a dotted name: packages on the way and the module."""
    folder = tree
    for part in name.split("."):
        module = folder / f"{part}.py"
        if module.is_file():
            yield module
        folder = folder / part
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
