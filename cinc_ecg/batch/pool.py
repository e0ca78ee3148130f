"""A process pool that outlives its workers.

`concurrent.futures` gives up all running work when one worker dies and cannot stop a single task;
here a crash or a timeout costs exactly the task it happened in, and a fresh worker takes the place.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

_POLL_S = 0.5
#: Importing takes seconds on a busy machine and is not the first task's fault.
_START_LIMIT_S = 120.0
_READY = "ready"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one task ended.

    Attributes:
        task: As submitted.
        state: "done" (`value` holds the result), "raised" (`value` is one line about it), "crashed"
            (the worker died), "timeout".
        value: See state; None for the last two.
        seconds: Wall time spent on it.
    """

    task: Any
    state: Literal["done", "raised", "crashed", "timeout"]
    value: Any
    seconds: float


class _Worker:
    """One process and what it is doing."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = mp.get_context("spawn")  # forking threads or PDFium's state is unsafe
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, function), daemon=True
        )
        self.process.start()
        theirs.close()
        self.task: Any = None
        self.busy = False
        self.ready = False
        self.since = 0.0
        self.served = 0

    def give(self, task: Any) -> None:
        self.task, self.busy, self.since = task, True, time.monotonic()
        self.served += 1
        self.connection.send(task)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()

    def retire(self) -> None:
        """Let an idle worker end by itself."""
        self.connection.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Work through tasks until the other end closes; the parent alone reacts to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.send(_READY)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, function(task))
        except Exception as error:  # noqa: BLE001 - the border: reported as the task's outcome
            text = (str(error).splitlines() or [""])[0][:300]
            answer = (False, f"{type(error).__name__}: {text}")
        try:
            connection.send(answer)
        except (BrokenPipeError, OSError):
            return


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Runs tasks in `jobs` processes and yields how each ended, in order of completion.

    Args:
        function: Module-level function of one picklable task.
        jobs: Number of processes.
        wall_s: Longest time one task may take; its worker is killed then.
        max_tasks: A worker is replaced after so many tasks, which bounds leaks.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        jobs: int = 1,
        wall_s: float = 120.0,
        max_tasks: int = 200,
    ) -> None:
        self._function = function
        self._jobs = max(1, jobs)
        self._wall_s = wall_s
        self._max_tasks = max_tasks
        self._queue: deque[Any] = deque()
        self._workers: list[_Worker] = []

    def add(self, tasks: Iterable[Any], *, first: bool = False) -> None:
        """Queue tasks, at the end or at the front; allowed while `run` is being iterated."""
        if first:
            self._queue.extendleft(reversed(list(tasks)))
        else:
            self._queue.extend(tasks)

    def run(self) -> Iterator[Ended]:
        """Yield one `Ended` per task until none is left; always leaves no process behind."""
        try:
            while self._queue or any(worker.busy for worker in self._workers):
                self._hand_out()
                yield from self._collect()
        finally:
            for worker in self._workers:
                if worker.busy:
                    worker.stop()
                else:
                    worker.retire()
            self._workers.clear()

    def _hand_out(self) -> None:
        for worker in [w for w in self._workers if not w.busy and w.served >= self._max_tasks]:
            worker.retire()
            self._workers.remove(worker)
        idle = [worker for worker in self._workers if not worker.busy]
        while self._queue:
            if not idle:
                if len(self._workers) >= self._jobs:
                    return
                self._workers.append(_Worker(self._function))
                idle.append(self._workers[-1])
            worker = idle.pop()
            task = self._queue.popleft()
            try:
                worker.give(task)
            except OSError:  # it died while idle: the task has not begun
                self._queue.appendleft(task)
                self._discard(worker)

    def _collect(self) -> Iterator[Ended]:
        busy = [worker for worker in self._workers if worker.busy]
        wait([worker.connection for worker in busy], timeout=_POLL_S)
        for worker in busy:
            seconds = time.monotonic() - worker.since
            limit = self._wall_s if worker.ready else max(self._wall_s, _START_LIMIT_S)
            if worker.connection.poll():
                ended = self._receive(worker, seconds)
                if ended is not None:
                    yield ended
            elif seconds > limit:
                self._discard(worker)
                yield Ended(worker.task, "timeout", None, seconds)

    def _receive(self, worker: _Worker, seconds: float) -> Ended | None:
        """Take a worker's message; its first one only says that its clock may start."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self._discard(worker)
            return Ended(worker.task, "crashed", None, seconds)
        if message == _READY:
            worker.ready, worker.since = True, time.monotonic()
            return None
        good, value = message
        worker.busy = False
        return Ended(worker.task, "done" if good else "raised", value, seconds)

    def _discard(self, worker: _Worker) -> None:
        worker.busy = False
        worker.stop()
        self._workers.remove(worker)
