"""Which files of a folder a Docker build sees, following its `.dockerignore`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cinc_ecg.io.atomic import make_folder, output_error

IGNORE_FILE = ".dockerignore"
#: Never part of a submission, whatever the ignore file says.
_NEVER = {".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def context_files(tree: Path) -> list[Path]:
    """Return the files of a build context, relative to its folder and sorted.

    Version control, caches and virtual environments are left out as well, though Docker would take
    them: nobody means to submit them.
    """
    ignored = _ignore_rules(tree)
    found: list[Path] = []
    for base, folders, names in os.walk(tree):
        folders[:] = [
            f for f in folders if f not in _NEVER and not (Path(base) / f / "pyvenv.cfg").exists()
        ]
        inside = Path(base).relative_to(tree)
        found += [inside / name for name in names if not is_ignored(inside / name, ignored)]
    return sorted(found)


def copy_context(tree: Path, target: Path, files: Iterable[Path] | None = None) -> list[Path]:
    """Copy a build context (or some of its files) to another folder and return what was copied.

    Raises:
        OutputError: The target cannot be written.
    """
    chosen = context_files(tree) if files is None else sorted(files)
    for path in chosen:
        make_folder((target / path).parent)
        try:
            shutil.copy2(tree / path, target / path)
        except OSError as error:
            raise output_error(error, target / path) from error
    return chosen


def is_ignored(path: Path, rules: Iterable[tuple[re.Pattern[str], bool]]) -> bool:
    """Tell whether rules exclude a path: the last one that fits it or a folder above it decides."""
    pure = PurePosixPath(path.as_posix())
    names = [str(pure), *(str(parent) for parent in pure.parents if str(parent) != ".")]
    ignored = False
    for pattern, exclude in rules:
        if any(pattern.fullmatch(name) for name in names):
            ignored = exclude
    return ignored


def _ignore_rules(tree: Path) -> list[tuple[re.Pattern[str], bool]]:
    file = tree / IGNORE_FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = (line.strip() for line in text.splitlines())
    return [
        (_pattern(line.lstrip("!").strip()), not line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    ]


def _pattern(glob: str) -> re.Pattern[str]:
    """Translate Docker's pattern: * and ? within a name, ** over folders."""
    glob = glob.strip("/").removeprefix("./")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))
