"""How fast training strips are drawn: `python -m benchmarks.strip_speed`, one core or a GPU.

The bound in the design is 20 strips per second and core.
"""

from __future__ import annotations

import argparse
import time

import cv2
import torch

from cinc_ecg.data.render_torch import render_strips
from cinc_ecg.data.signal_pool import simulated_pool
from cinc_ecg.data.strip_scene import StripSettings, draw_scene


def main() -> None:
    """Print strips per second of processor time, and of time by the clock."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strips", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pool, settings = simulated_pool(8, 0), StripSettings()
    render_strips([draw_scene(pool, settings, 1, 0)], arguments.device)
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, arguments.strips, 4):
        scenes = [draw_scene(pool, settings, 0, start + k) for k in range(4)]
        render_strips(scenes, arguments.device)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    n = arguments.strips
    print(f"{settings.height_px} x {settings.width_px} px: {n / cpu:.1f} strips/s of processor")
    print(f"time, {n / wall:.1f} strips/s by the clock ({arguments.device})")


if __name__ == "__main__":
    main()
