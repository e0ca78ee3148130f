"""A Docker engine, reached through its command-line client."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cinc_ecg.challenge.validate.dockerfile import base_images, read_instructions
from cinc_ecg.errors import ContainerError

Gpus = Literal["auto", "all", "none"]
_PING_S = 20
_NO_GPU = ("could not select device driver", "nvidia-container", "unknown or invalid runtime")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command of the engine ended: exit code, all it printed, wall-clock seconds."""

    code: int
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine seen in a container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a container.

    Attributes:
        mounts: Folders it sees.
        gpus: "all" asks for the GPUs, "none" does not.
        user: "uid:gid"; None runs as the image does (root).
        timeout_s: Stop it after so long.
    """

    mounts: tuple[Mount, ...] = ()
    gpus: Literal["all", "none"] = "none"
    user: str | None = None
    timeout_s: float = 24 * 3600.0


@dataclass(slots=True)
class Engine:
    """A Docker engine that answers.

    Attributes:
        program: The client.
        log: Gets every command and what it printed.
    """

    program: str = "docker"
    log: Callable[[str], None] = field(default=lambda text: None)

    def require(self) -> str:
        """Return the engine's version.

        Raises:
            ContainerError: There is no client (no_docker), or no engine answers (no_engine).
        """
        if shutil.which(self.program) is None:
            raise ContainerError(
                f"{self.program}: not installed; install Docker, or use --no-build",
                code="no_docker",
            )
        done = self._call(["version", "--format", "{{.Server.Version}}"], timeout_s=_PING_S)
        if done.code != 0:
            where = os.environ.get("DOCKER_HOST", "the default socket")
            raise ContainerError(
                f"no Docker engine answers at {where}; start it, set DOCKER_HOST, or use "
                "--no-build",
                code="no_engine",
            )
        return done.text.strip()

    def build(self, tree: Path, tag: str, arguments: Mapping[str, str] | None = None) -> Ran:
        """Build a folder's image as the organizers do: docker build -t TAG FOLDER.

        Raises:
            ContainerError: The build fails (build_failed); the message has its last line.
        """
        command = ["build", "-t", tag]
        for name, value in (arguments or {}).items():
            command += ["--build-arg", f"{name}={value}"]
        done = self._call([*command, "."], cwd=tree)
        if done.code != 0:
            raise ContainerError(
                f"{tree}: the image does not build: {_last_line(done.text)}", code="build_failed"
            )
        return done

    def size_bytes(self, image: str) -> int | None:
        """Return an image's size, or None when the engine does not have it."""
        done = self._call(["image", "inspect", "--format", "{{.Size}}", image])
        return int(done.text.strip()) if done.code == 0 else None

    def base_size_bytes(self, tree: Path, arguments: Mapping[str, str]) -> int | None:
        """Return the size of the image that a folder's Dockerfile starts from, if it is here."""
        text = (tree / "Dockerfile").read_text(encoding="utf-8")
        images = base_images(read_instructions(text))
        image = arguments.get("BASE_IMAGE", images[-1] if images else "")
        return self.size_bytes(image) if image else None

    def run(self, image: str, command: Sequence[str], options: RunOptions) -> Ran:
        """Run a command in a new container without network, and remove the container.

        Raises:
            ContainerError: GPUs were asked for and containers cannot have them (no_gpu).
        """
        words = ["run", "--rm", "--network", "none"]
        for mount in options.mounts:
            words += ["-v", f"{mount.source.resolve()}:{mount.target}{':ro' * mount.read_only}"]
        if options.gpus == "all":
            words += ["--gpus", "all"]
        if options.user:
            words += ["--user", options.user]
        done = self._call([*words, image, *command], timeout_s=options.timeout_s)
        if done.code == 125 and any(sign in done.text for sign in _NO_GPU):
            raise ContainerError(
                "containers get no GPU here: install the NVIDIA container toolkit, or run with "
                "--gpus none",
                code="no_gpu",
            )
        return done

    def save(self, image: str, file: Path) -> None:
        """Save an image to a file for `docker load`.

        Raises:
            ContainerError: It cannot be saved.
        """
        done = self._call(["save", "-o", str(file), image])
        if done.code != 0:
            raise ContainerError(f"{file}: the image cannot be saved: {_last_line(done.text)}")

    def _call(
        self, words: Sequence[str], *, cwd: Path | None = None, timeout_s: float | None = None
    ) -> Ran:
        command = [self.program, *words]
        self.log("$ " + " ".join(command))
        started = time.monotonic()
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout_s,
            )
            code, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            code, text = 124, f"{_text(error.stdout)}\nnot done after {timeout_s:.0f} s"
        ran = Ran(code, text, time.monotonic() - started)
        self.log(f"{text.rstrip()}\n[exit {code}, {ran.seconds:.1f} s]")
        return ran


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["nothing was printed"])[-1][:300]


def has_gpu() -> bool:
    """Tell whether this machine has an NVIDIA GPU that answers."""
    if shutil.which("nvidia-smi") is None:
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0
