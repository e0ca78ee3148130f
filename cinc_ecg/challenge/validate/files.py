"""Static checks of the files a submission consists of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cinc_ecg.challenge.context import IGNORE_FILE, context_files
from cinc_ecg.challenge.validate.report import Check, passed, verdict

#: The organizers put their own in place of these.
DRIVERS = ("train_model.py", "run_model.py", "helper_code.py")
REQUIRED = ("Dockerfile", "requirements.txt", "team_code.py", *DRIVERS)
_POINTER = b"version https://git-lfs"
_LARGE_MB = 5000


def check_files(tree: Path) -> Iterator[Check]:
    """Yield what is to be said of the presence, place and size of files."""
    missing = [f"{name} is missing" for name in REQUIRED if not (tree / name).is_file()]
    yield verdict(
        "files.required",
        missing,
        f"{len(REQUIRED)} required files are there",
        "put them into the root of the repository, with exactly these names",
    )
    yield verdict(
        "files.readme",
        [] if (tree / "README.md").is_file() else ["README.md is missing"],
        "README.md is there",
        "write what the method is and how to run it",
        "warn",
    )
    yield _model(tree)
    yield _authors(tree)
    licence = any((tree / name).is_file() for name in ("LICENSE.txt", "LICENSE", "LICENSE.md"))
    yield verdict(
        "files.licence",
        [] if licence else ["no LICENSE.txt"],
        "there is a licence",
        "add LICENSE.txt with an open-source licence; without one BSD-3-Clause is assumed, and "
        "only open source is ranked",
        "warn",
    )
    yield _links(tree)
    yield from _context(tree)


def _model(tree: Path) -> Check:
    folder = tree / "model"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()] if folder.is_dir() else []
    problems = [] if files else ["there is no folder model/ with the pre-trained model"]
    for path in files:
        with path.open("rb") as stream:
            if stream.read(len(_POINTER)) == _POINTER:
                problems.append(f"{path.relative_to(tree)} is a Git LFS pointer, not the weights")
    return verdict(
        "files.model",
        problems,
        f"model/ has {len(files)} files",
        "put the trained model into model/ (exactly this name); git lfs pull fetches pointed files",
    )


def _authors(tree: Path) -> Check:
    path = tree / "AUTHORS.txt"
    named = path.is_file() and path.read_text(encoding="utf-8", errors="replace").strip()
    return verdict(
        "files.authors",
        [] if named else ["AUTHORS.txt is missing or empty"],
        "AUTHORS.txt names somebody",
        "name every author in AUTHORS.txt, one a line",
    )


def _links(tree: Path) -> Check:
    root = tree.resolve()
    out = [
        f"{path} leads to {(tree / path).resolve()}"
        for path in context_files(tree)
        if (tree / path).is_symlink() and not (tree / path).resolve().is_relative_to(root)
    ]
    return verdict(
        "files.links",
        out,
        "no link leads out of the folder",
        "copy the files in; an image does not have what lies elsewhere",
    )


def _context(tree: Path) -> Iterator[Check]:
    """Yield what Docker's build would and would not take."""
    taken = set(context_files(tree))
    needed = [Path(name) for name in REQUIRED if name != "Dockerfile"]
    needed += [p.relative_to(tree) for p in (tree / "model").rglob("*") if p.is_file()]
    hidden = [str(p) for p in needed if (tree / p).is_file() and p not in taken]
    yield verdict(
        "files.ignored",
        [f"{IGNORE_FILE} keeps {name} out of the image" for name in hidden],
        "nothing needed is kept out of the image",
        f"take the pattern out of {IGNORE_FILE}, or add !NAME after it",
    )
    size_mb = sum((tree / p).stat().st_size for p in taken if (tree / p).is_file()) / 1e6
    if size_mb > _LARGE_MB:
        yield Check(
            "files.size",
            "warn",
            f"the build context has {size_mb:.0f} MB",
            f"keep data and environments out with {IGNORE_FILE}",
        )
    else:
        yield passed("files.size", f"{len(taken)} files, {size_mb:.1f} MB go into the image")
