"""Write the folder to submit: what the Challenge runs, what it needs, and its Dockerfile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cinc_ecg.challenge.context import context_files, copy_context
from cinc_ecg.challenge.reach import reachable_files
from cinc_ecg.challenge.requirements import needed_pins, read_pins
from cinc_ecg.challenge.validate.files import REQUIRED
from cinc_ecg.errors import ConfigError, InputError
from cinc_ecg.io.atomic import make_folder, write_text

#: Where builds of torch for one platform come from.
TORCH_INDEX = "https://download.pytorch.org/whl/"
_ROOTS = ("team_code.py", "train_model.py", "run_model.py", "helper_code.py")
_PAPERS = ("README.md", "AUTHORS.txt", "LICENSE.txt", "LICENSE", "CITATION.cff", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """What to write.

    Attributes:
        cuda: CUDA version of torch, as in "12.6"; None leaves the stock build.
        cpu: Take torch without CUDA.
        base_image: Replaces the Dockerfile's default.
        all_requirements: Keep also requirements that nothing reachable imports.
    """

    cuda: str | None = None
    cpu: bool = False
    base_image: str | None = None
    all_requirements: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A written folder.

    Attributes:
        folder: Its root.
        sizes: Bytes per top-level entry, largest first.
        requirements: Lines of its requirements.txt.
        left_out: Names of requirements that nothing reachable imports.
    """

    folder: Path
    sizes: dict[str, int]
    requirements: tuple[str, ...]
    left_out: tuple[str, ...]


def write_submission(tree: Path, target: Path, options: PackageOptions | None = None) -> Submission:
    """Copy what a submission needs out of a repository.

    Root scripts, the local packages they reach (whole, with their data files), model/, the papers,
    requirements.txt without what nothing reachable imports, and the Dockerfile with the wanted
    defaults.

    Args:
        tree: Root of the repository.
        target: A new or empty folder.
        options: What to write.

    Raises:
        InputError: The tree lacks a required file, or the target is not empty.
        ConfigError: The Dockerfile has no argument for what is wanted.
    """
    options = options or PackageOptions()
    missing = [name for name in REQUIRED if not (tree / name).is_file()]
    if missing:
        raise InputError(f"{tree}: no {', '.join(missing)}; is this a submission's root?")
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: not empty; name a new folder", code="folder_not_empty")
    make_folder(target)
    copied = copy_context(tree, target, _chosen(tree))
    dockerfile = _dockerfile((tree / "Dockerfile").read_text(encoding="utf-8"), options)
    write_text(target / "Dockerfile", dockerfile)
    text = (tree / "requirements.txt").read_text(encoding="utf-8")
    kept, left_out = _requirements(tree, text, options)
    write_text(target / "requirements.txt", kept)
    sizes: dict[str, int] = {}
    for path in {*copied, Path("Dockerfile"), Path("requirements.txt")}:
        top = path.parts[0] + ("/" if len(path.parts) > 1 else "")
        sizes[top] = sizes.get(top, 0) + (target / path).stat().st_size
    largest_first = dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
    lines = tuple(line for line in kept.splitlines() if line and not line.startswith("#"))
    return Submission(target, largest_first, lines, left_out)


def _chosen(tree: Path) -> list[Path]:
    """Return the files to copy, relative to the tree."""
    reached = {p.relative_to(tree) for p in reachable_files(tree, _ROOTS)}
    packages = {path.parts[0] for path in reached if len(path.parts) > 1} | {"model"}
    names = {*_PAPERS, *_ROOTS, ".dockerignore"}
    taken = [p for p in context_files(tree) if p in reached or p.parts[0] in packages]
    papers = [Path(name) for name in sorted(names) if (tree / name).is_file()]
    return sorted({*taken, *papers})


def _requirements(tree: Path, text: str, options: PackageOptions) -> tuple[str, tuple[str, ...]]:
    """Return the text of requirements.txt and the names left out of it."""
    if options.all_requirements:
        return text, ()
    pins = read_pins(text)
    needed = {pin.line for pin in needed_pins(tree, pins, _ROOTS)}
    kept = [
        line
        for line in text.splitlines()
        if not (found := read_pins(line)) or found[0].line in needed
    ]
    left_out = tuple(pin.name for pin in pins if pin.line not in needed)
    return "\n".join(kept) + "\n", left_out


def torch_index(options: PackageOptions) -> str | None:
    """Return the index that holds the wanted build of torch; None for the stock one.

    Raises:
        ConfigError: The CUDA version cannot be read, or CPU and CUDA are both asked for.
    """
    if options.cpu and options.cuda:
        raise ConfigError("torch is either for the CPU or for a CUDA version: give one of them")
    if options.cpu:
        return TORCH_INDEX + "cpu"
    if options.cuda is None:
        return None
    version = re.fullmatch(r"(\d+)\.(\d+)", options.cuda)
    if version is None:
        raise ConfigError(f"{options.cuda!r} is no CUDA version; write it as in 12.6")
    return f"{TORCH_INDEX}cu{version[1]}{version[2]}"


def _dockerfile(text: str, options: PackageOptions) -> str:
    """Return a Dockerfile with the defaults of its arguments replaced."""
    for name, value in (
        ("BASE_IMAGE", options.base_image),
        ("TORCH_INDEX_URL", torch_index(options)),
    ):
        if value is None:
            continue
        line = re.search(rf"^ARG {name}=.*$", text, flags=re.M)
        if line is None:
            raise ConfigError(f"the Dockerfile has no line 'ARG {name}=...' to be set")
        text = text.replace(line[0], f'ARG {name}="{value}"', 1)
    return text
