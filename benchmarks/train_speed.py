"""How fast training runs: `python -m benchmarks.train_speed`, per named configuration and workers.

*step*: forward, backward and update on one batch that stays in memory. *run*: the training loop
itself, pages drawn meanwhile by 0, 1, ... worker processes; the first step is not counted. Share:
of the step rate that the run keeps. Pages are drawn from simulated recordings.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

from cinc_ecg.data.datasets import EpochBatches, make_loader
from cinc_ecg.training.config import load_train_config
from cinc_ecg.training.loop import train
from cinc_ecg.training.tasks import Task, build_task


def task_of(name: str, n_steps: int, batch: int, workers: int, threads: int) -> Task:
    """Build a run of one epoch of about `n_steps` steps."""
    n_records = max(n_steps * batch * 5 // 4, 5)  # a fifth is held out
    overrides = [
        f"data.simulated={n_records}",
        f"data.workers={workers}",
        f"training.batch_size={batch}",
        f"training.threads={threads}",
        "training.epochs=1",
        "training.accumulate=1",
    ]
    return build_task(load_train_config(name, overrides=overrides))


def step_rate(task: Task, n_steps: int, device: torch.device) -> float:
    """Return samples per second of forward, backward and update alone."""
    order = EpochBatches(len(task.train_set), task.config.training.batch_size)
    batch = next(iter(make_loader(task.train_set, order))).to(device)
    network = task.network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    seconds = []
    for _ in range(n_steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        total, _ = task.loss(network(batch.tensors), batch.tensors)
        total.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return len(batch) / statistics.median(seconds[1:])


def run_rate(task: Task, device: str) -> float:
    """Return samples per second of the training loop, its first step left out."""
    stamps: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            task,
            Path(folder) / "run",
            device=device,
            watch=lambda *_: stamps.append(time.perf_counter()),
        )
    return task.config.training.batch_size * (len(stamps) - 1) / (stamps[-1] - stamps[0])


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=["whole_model", "series_model", "panels"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--workers", default="0,1,2")
    parser.add_argument("--threads", type=int, default=1, help="of the training process")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| configuration | step, samples/s | workers | run, samples/s | share | peak GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in options.names:
        alone = task_of(name, options.steps, options.batch, 0, options.threads)
        rate = step_rate(alone, options.steps, torch.device(options.device))
        for workers in (int(part) for part in options.workers.split(",")):
            task = task_of(name, options.steps, options.batch, workers, options.threads)
            whole = run_rate(task, options.device)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(
                f"| {name} | {rate:.2f} | {workers} | {whole:.2f} | {whole / rate:.0%} "
                f"| {peak:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
