"""Run a command the way the organizers do: clean environment, no network, measured."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cinc_ecg.io.atomic import make_folder

_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
_POLL_S = 0.02
#: Put on the path where no network namespace can be made: refuses every internet connection.
_BLOCKER = """
import socket

def _refuse(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError(101, "Network is unreachable (blocked by cinc-ecg validate)")
    return _connect(self, address, *rest)

_connect = socket.socket.connect
socket.socket.connect = _refuse
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Exit code; negative: the signal that ended it.
        stdout, stderr: What it printed.
        seconds: Wall-clock time.
        peak_mb: Largest resident memory of one of its processes.
        timed_out: It was stopped for taking too long.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_mb: float
    timed_out: bool = False

    @property
    def reason(self) -> str:
        """The last line of its error output, or how it ended."""
        if self.timed_out:
            return f"not done after {self.seconds:.0f} s"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A folder to work in, with its own home and temporary folder.

    Attributes:
        folder: Holds `home` and `tmp`, made when first used.
        python: The interpreter to run.
    """

    folder: Path
    python: str

    @property
    def home(self) -> Path:
        """The home folder the commands see."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files the commands see."""
        return self.folder / "tmp"

    def run(self, arguments: Sequence[str | Path], cwd: Path, *, timeout_s: float) -> Outcome:
        """Run Python with some arguments and wait for it.

        Args:
            arguments: After the interpreter.
            cwd: Where.
            timeout_s: Kill it, with its children, after so long.
        """
        logs = make_folder(self.folder / "logs")
        environment = self._environment()
        command = [*network_prefix(), self.python, *map(str, arguments)]
        with (logs / "stdout").open("wb") as out, (logs / "stderr").open("wb") as err:
            started = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
            )
            code, peak_kb, timed_out = _wait(process, started + timeout_s)
            seconds = time.monotonic() - started
        texts = [(logs / name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Outcome(code, texts[0], texts[1], seconds, peak_kb / 1024, timed_out)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        folders = {"HOME": make_folder(self.home), "TMPDIR": make_folder(self.temporary)}
        environment = kept | {name: str(folder) for name, folder in folders.items()}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        if not network_prefix():
            blocker = make_folder(self.folder / "blocker")
            (blocker / "sitecustomize.py").write_text(_BLOCKER)
            environment["PYTHONPATH"] = str(blocker)
        return environment


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, int, bool]:
    """Wait for a process; return exit code, peak memory in kB and whether time ran out."""
    timed_out = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss, timed_out
        if not timed_out and time.monotonic() > deadline:
            timed_out = True
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(_POLL_S)


@cache
def network_prefix() -> tuple[str, ...]:
    """Return the words before a command that take the network away; none where it is not allowed.

    A namespace of its own, with the loopback interface up where that can be done, is what
    `docker run --network none` gives.
    """
    if shutil.which("unshare") is None or shutil.which("sh") is None:
        return ()
    up = 'command -v ip >/dev/null && ip link set lo up 2>/dev/null; exec "$@"'
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        prefix = (*words, "sh", "-c", up, "sh")
        done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
        if done.returncode == 0:
            return prefix
    return ()


def network_note() -> str:
    """Say how the network was taken away."""
    if network_prefix():
        return "no network: a network namespace of its own"
    return "no network: Python's connections refused (no network namespace is allowed here)"
