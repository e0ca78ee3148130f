"""From what a user names (files, folders, patterns) to a list of pictures with an output name
each."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cinc_ecg.errors import InputError
from cinc_ecg.io.records import record_name

#: What is looked for in folders; a file named explicitly may have any suffix.
PICTURE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".heic",
        ".heif",
        ".pdf",
        ".ppm",
        ".pgm",
        ".pbm",
    ]
)


@dataclass(frozen=True, slots=True)
class Source:
    """One input file and where its outputs go: `folder` (relative to the output folder) and
    `stem`."""

    path: Path
    folder: str
    stem: str


def find_sources(inputs: Sequence[str], *, exclude: Path | None = None) -> list[Source]:
    """Expand files, folders and patterns into pictures, each once, in a stable order.

    Folders are searched with all sub-folders, which the outputs mirror; links to folders are not
    followed. Two pictures that would get the same output name are told apart by a hash of their
    names. A named file that does not exist is kept: it becomes a failed row of the report.

    Args:
        inputs: As typed.
        exclude: A folder left out of the search (the output folder, if it lies inside an input).

    Raises:
        InputError: nothing named, or a folder or pattern without any picture (input_nothing).
    """
    found: dict[str, tuple[Path, str]] = {}
    for text in inputs:
        pictures = list(_expand(text, exclude))
        if not pictures:
            raise InputError(f"{text}: no pictures there", code="input_nothing")
        for path, folder in pictures:
            found.setdefault(os.path.abspath(path), (path, folder))
    if not found:
        raise InputError("no inputs given", code="input_nothing")
    return _named(list(found.values()))


def _expand(text: str, exclude: Path | None) -> Iterator[tuple[Path, str]]:
    path = Path(text)
    if _is_folder(path):
        yield from _walk(path, exclude)
    elif _exists(path) or not glob.has_magic(text):
        yield path, ""
    else:
        for name in sorted(glob.glob(text, recursive=True)):
            if _is_folder(Path(name)):
                yield from _walk(Path(name), exclude)
            else:
                yield Path(name), ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def _walk(top: Path, exclude: Path | None) -> Iterator[tuple[Path, str]]:
    left_out = exclude.resolve() if exclude else None
    for base, folders, names in os.walk(top):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(base, name).resolve() != left_out
        )
        for name in sorted(names):
            if Path(name).suffix.casefold() in PICTURE_SUFFIXES and not name.startswith("."):
                yield Path(base, name), os.path.relpath(base, top) if base != str(top) else ""


def _named(found: list[tuple[Path, str]]) -> list[Source]:
    stems = [record_name(path.stem) for path, _ in found]
    folders = ["/".join(_safe(part) for part in Path(folder).parts) for _, folder in found]
    uses = Counter(zip(folders, stems, strict=True))
    return [
        Source(path, folder, stem if uses[folder, stem] == 1 else f"{stem}-{_tag(path)}")
        for (path, _), folder, stem in zip(found, folders, stems, strict=True)
    ]


def _safe(part: str) -> str:
    return part if part not in ("", ".", "..") else "_"


def _tag(path: Path) -> str:
    name = os.path.abspath(path).encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).hexdigest()[:8]
