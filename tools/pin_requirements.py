"""Write requirements.txt: the package's dependencies and theirs, pinned as in constraints.txt.

What torch brings of CUDA is left to torch itself, so that the file serves the CPU build too.
Usage: python tools/pin_requirements.py (from the repository's root, in its environment)
"""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from cinc_ecg.challenge.requirements import installed_closure, read_pins

HEAD = """\
# Exact versions for the Challenge's image, on Python 3.11; written by tools/pin_requirements.py.
# The CUDA libraries are left to torch, which pins its own.
"""


def requirements_text(root: Path) -> str:
    """Return the text of requirements.txt for a repository."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = installed_closure(Requirement(line).name for line in project["dependencies"])
    pins = {pin.name: pin for pin in read_pins((root / "constraints.txt").read_text())}
    brought = ("nvidia-", "cuda-", "triton")
    lines = [pins[name].line for name in needed if not name.startswith(brought)]
    return HEAD + "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    repository = Path(__file__).resolve().parents[1]
    (repository / "requirements.txt").write_text(requirements_text(repository))
