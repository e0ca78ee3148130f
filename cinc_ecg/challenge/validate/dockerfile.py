"""Static checks of the Dockerfile."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from cinc_ecg.challenge.requirements import read_pins
from cinc_ecg.challenge.validate.report import Check, passed, verdict

FIXED_LINES = ("RUN mkdir /challenge", "COPY ./ /challenge", "WORKDIR /challenge")
#: Stock wheel of torch -> its CUDA version.
_STOCK_CUDA = {
    "2.0": "11.7", "2.1": "12.1", "2.2": "12.1", "2.3": "12.1", "2.4": "12.1", "2.5": "12.4",
    "2.6": "12.4", "2.7": "12.6", "2.8": "12.8", "2.9": "12.8", "2.10": "12.8", "2.12": "13.0",
}  # fmt: skip
_OUTSIDE = re.compile(r"(?<![\w./-])(?:/root|/tmp|/var/tmp|/home|~)(?=/|\s|$)[\w./-]*")
_LOADS = re.compile(r"\b(?:wget|curl|gdown|git\s+clone|huggingface-cli|hf\s+download|unzip|tar)\b")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile: its word in capitals and the rest in one line."""

    word: str
    rest: str


def read_instructions(text: str) -> list[Instruction]:
    """Parse a Dockerfile: comments dropped, continued lines joined."""
    kept = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n", " ", "\n".join(line.rstrip() for line in kept))
    found = []
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        found.append(Instruction(word.upper(), " ".join(rest.split())))
    return found


def base_images(instructions: list[Instruction]) -> list[str]:
    """Return the images named by FROM, build arguments replaced by their defaults.

    Stages of the file itself are left out.
    """
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    images = []
    for one in instructions:
        if one.word == "ARG":
            name, _, value = one.rest.partition("=")
            arguments[name] = value.strip("\"'")
        if one.word == "FROM":
            words = [w for w in one.rest.split() if not w.startswith("--")]
            image = _substitute(words[0], arguments) if words else ""
            if image not in stages:
                images.append(image)
            if len(words) == 3:
                stages.add(words[2])
    return images


def _substitute(text: str, values: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return values.get(match["name"], "") or (match["default"] or "")

    return re.sub(r"\$\{?(?P<name>\w+)(?::-(?P<default>[^}]*))?\}?", value, text)


def check_dockerfile(tree: Path) -> Iterator[Check]:
    """Yield what is to be said of the Dockerfile."""
    file = tree / "Dockerfile"
    if not file.is_file():
        return
    instructions = read_instructions(file.read_text(encoding="utf-8", errors="replace"))
    yield _fixed_lines(instructions)
    images = base_images(instructions)
    yield _base(images)
    yield _paths(instructions)
    yield _python(tree, images)
    yield _cuda(tree, images, instructions)


def _fixed_lines(instructions: list[Instruction]) -> Check:
    lines = [f"{one.word} {one.rest}" for one in instructions]
    problems = [f"no line {line!r}" for line in FIXED_LINES if line not in lines]
    if not problems:
        if [line for line in lines if line in FIXED_LINES] != list(FIXED_LINES):
            problems = ["the fixed lines are not in order, or repeated"]
        elif any(one.word == "WORKDIR" for one in instructions[lines.index(FIXED_LINES[2]) + 1 :]):
            problems = ["another WORKDIR follows /challenge"]
    return verdict(
        "docker.fixed_lines",
        problems,
        "the organizers' three lines are there",
        "write these three lines unchanged: " + " | ".join(FIXED_LINES),
    )


def _base(images: list[str]) -> Check:
    problems = [] if images else ["there is no FROM"]
    for image in images:
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" in image:
            continue
        if not image or tag == "":
            problems.append(f"{image or 'FROM'} has no tag")
        elif tag.split("-")[0] in ("latest", "nightly", "edge"):
            problems.append(f"{image} changes under its tag")
    return verdict(
        "docker.base",
        problems,
        f"the base image is pinned: {', '.join(images)}",
        "name a version, as in python:3.11.13-slim-bookworm; give a build argument such a default",
    )


def _paths(instructions: list[Instruction]) -> Check:
    """Look for downloads and caches that are not there when the image runs."""
    problems = []
    for one in instructions:
        found = _OUTSIDE.findall(one.rest)
        copies = one.word in ("ADD", "COPY") and "requirements" not in one.rest
        loads = copies or (one.word == "RUN" and _LOADS.search(one.rest))
        if found and (one.word == "ENV" or loads):
            problems.append(f"{one.word} uses {found[0]}")
    return verdict(
        "docker.paths",
        problems,
        "downloads and caches lie under /challenge",
        "put what is needed at run time under /challenge: /root, /tmp and /home are not available",
    )


def _python(tree: Path, images: list[str]) -> Check:
    """Compare the Python of an official image with what pyproject.toml asks for."""
    name = "docker.python"
    tagged = [re.match(r"(?:.*/)?python:(\d+\.\d+)(?:\.(\d+))?", image) for image in images]
    versions = [f"{m[1]}.{m[2] or 0}" for m in tagged if m]
    project = tree / "pyproject.toml"
    if not versions or not project.is_file():
        return passed(name, "the base image's Python is not told by its name or not restricted")
    try:
        wanted = tomllib.loads(project.read_text()).get("project", {}).get("requires-python", "")
        fits = SpecifierSet(wanted).contains(versions[-1])
    except (tomllib.TOMLDecodeError, InvalidSpecifier) as error:
        return Check(name, "fail", f"pyproject.toml: {error}", "mend pyproject.toml")
    return verdict(
        name,
        [] if fits else [f"the image has Python {versions[-1]}, the package needs {wanted}"],
        f"Python {versions[-1]} fits {wanted or 'everything'}",
        "choose another base image",
    )


def _cuda(tree: Path, images: list[str], instructions: list[Instruction]) -> Check:
    """Compare torch's CUDA with that of the base image, by their first numbers."""
    name = "docker.cuda"
    file = tree / "requirements.txt"
    pins = read_pins(file.read_text(encoding="utf-8")) if file.is_file() else []
    versions = {pin.name: pin.version for pin in pins if pin.version}
    version = versions.get("torch")
    if version is None:
        return passed(name, "torch is not used")
    torch = torch_cuda(version, "\n".join(one.rest for one in instructions))
    tags = [re.search(r"cuda[:-]?(\d+)(?:\.(\d+))?", image) for image in images]
    bases = [f"{m[1]}.{m[2] or 0}" for m in tags if m]
    if torch is None:
        text = f"it is not known which CUDA torch {version} brings"
        return Check(name, "warn", text, "compare torch.version.cuda with the base image by hand")
    if torch == "cpu":
        problems = [f"the image has CUDA {base}, torch is a CPU build" for base in bases]
    else:
        differ = [base for base in bases if base.split(".")[0] != torch.split(".")[0]]
        problems = [f"torch {version} brings CUDA {torch}, the image has {base}" for base in differ]
    vision = versions.get("torchvision", version)
    if vision.partition("+")[2] != version.partition("+")[2]:
        problems.append(f"torchvision {vision} is of another build than torch {version}")
    return verdict(
        name,
        problems,
        f"torch {version}: {'CPU only' if torch == 'cpu' else 'brings CUDA ' + torch}",
        "choose the base image, torch and torchvision for the same CUDA (==X+cuNNN from their own "
        "index), or a base image without CUDA",
    )


def torch_cuda(version: str, build: str) -> str | None:
    """Return the CUDA version of a pinned torch, "cpu", or None when unknown.

    Args:
        version: As pinned, such as 2.4.0+cu121.
        build: Text of the build's instructions, for an index such as .../whl/cu121.
    """
    tag = re.search(r"\+(cpu|cu\d+)", version) or re.search(r"/whl/(cpu|cu\d+)", build)
    if tag is None:
        return _STOCK_CUDA.get(".".join(version.split(".")[:2]))
    digits = tag[1].removeprefix("cu")
    return "cpu" if tag[1] == "cpu" else f"{digits[:-1]}.{digits[-1]}"
