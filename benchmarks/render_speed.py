"""How fast pages are drawn: `python -m benchmarks.render_speed`, one core.

The bound in the design is two plain 200-dpi pages per second.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from benchmarks.pages import condition_page, list_conditions, needs_folder
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render

_REPEATS = 5


def main() -> None:
    """Print seconds of CPU per page: the plain page, then every condition that is rendered."""
    cv2.setNumThreads(1)
    signal = simulate(seed=0)
    render(signal)
    seconds = [_cpu_seconds(lambda k=k: render(signal, seed=k)) for k in range(_REPEATS)]
    print(f"plain page  {np.median(seconds):6.3f} s  {1 / np.median(seconds):5.1f} pages/s")
    seconds = [_cpu_seconds(lambda k=k: simulate(seed=k)) for k in range(_REPEATS)]
    print(f"simulation  {np.median(seconds):6.3f} s")
    for name in list_conditions():
        if not needs_folder(name):
            seconds = [
                _cpu_seconds(lambda name=name, k=k: condition_page(name, k, signal, 0))
                for k in range(_REPEATS)
            ]
            print(f"{name:10s}  {np.median(seconds):6.3f} s")


def _cpu_seconds(work: object) -> float:
    assert callable(work)
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
