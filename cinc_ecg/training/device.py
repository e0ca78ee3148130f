"""Where a run computes, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from cinc_ecg.errors import ConfigError
from cinc_ecg.training.config import TrainConfig


def make_accelerator(config: TrainConfig, device: str) -> Accelerator:
    """Return an accelerator for a device and precision.

    Raises:
        ConfigError: the device is not there (no_device).
    """
    there = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device not in there:
        raise ConfigError(f"unknown device {device!r}; use one of {', '.join(there)}")
    if not there[device]:
        raise ConfigError(f"no {device} device here; use --device cpu", code="no_device")
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    on_gpu = torch.cuda.is_available() and device in ("auto", "cuda")
    amp = config.training.amp
    if amp == "auto":
        amp = "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "off"
    # a head without a target in a batch has no gradient: processes must not wait for it
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)]
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if amp == "off" else amp,
        kwargs_handlers=handlers,
    )


def has_gpu() -> bool:
    """Tell whether a CUDA device can be used."""
    return torch.cuda.is_available()


@contextmanager
def graceful_stop() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a flag that is read between steps; a second one
    interrupts at once, and the state on disk is that of the last checkpoint."""
    wanted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield wanted
        return

    def stop(number: int, frame: object) -> None:
        if wanted.is_set():
            raise KeyboardInterrupt
        wanted.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
