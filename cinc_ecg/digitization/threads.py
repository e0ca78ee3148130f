"""Parts of one page side by side: a few threads, their number set once per process.

NumPy, OpenCV and torch leave the interpreter's lock while they compute, and rows of a page do not
depend on each other. Each part is computed by one thread from first to last and the results keep
their order, so a result is the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import cv2

_T = TypeVar("_T")

#: More threads than rows of a page find no work.
_MOST = 4
_state = {"threads": 1}


def set_threads(n: int) -> None:
    """Set the threads for one page, at most 4; OpenCV's own are set to one. One is the default."""
    _state["threads"] = min(max(1, n), _MOST)
    cv2.setNumThreads(1)


def side_by_side(function: Callable[..., _T], *columns: Iterable[object]) -> list[_T]:
    """Return `list(map(function, *columns))`, computed in the process's threads for one page.

    Args:
        function: Depends on nothing but its arguments and changes nothing.
        columns: One iterable per argument, of one length.

    Raises:
        Exception: The first one that `function` raised.
    """
    parts = list(zip(*columns, strict=True))
    threads = min(_state["threads"], len(parts))
    if threads < 2:
        return [function(*part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda part: function(*part), parts))


def beside(function: Callable[[], _T]) -> Callable[[], _T]:
    """Begin a computation beside what follows; return what waits for its result or its error.

    With one thread nothing begins before the result is asked for. The computation counts as none of
    the threads: it is for work that leaves the interpreter's lock, beside work that holds it.

    Args:
        function: Depends on nothing that may change meanwhile and changes nothing.
    """
    if _state["threads"] < 2:
        return cache(function)
    pool = ThreadPoolExecutor(1)
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future.result
