"""`cinc-ecg train digitizer`: the network that tells which ink of a row is its trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path


def train_digitizer(
    *,
    data: Path | None,
    out: Path,
    overrides: Sequence[str],
    budget_s: float,
    device: str,
    resume: bool,
    dry_run: bool,
    watch: Callable[[int, int, str], None] | None,
) -> str:
    """Train a strip reader on strips drawn from recordings, and return one line about it.

    Args:
        data: Folder of WFDB records, of which a quarter (chosen by name) is held out; None
            simulates all recordings.
        out: Folder for model and state.
        overrides: "key=value" of `cinc_ecg.training.digitizer.DigitizerConfig`.
        budget_s: Time to spend; 0 leaves `budget_s` of the configuration.
        device: "auto", "cpu" or "cuda".
        resume: Go on from the state in `out`.
        dry_run: Return the resolved configuration and train nothing.
        watch: Told about every few steps.

    Raises:
        ConfigError: A setting is wrong, or the device is not there.
        InputError: The folder holds no usable recording.
        TrainingError: The state cannot be resumed, or the loss is no number.
    """
    from cinc_ecg.config import load_config, to_yaml
    from cinc_ecg.training.digitizer import (
        DigitizerConfig,
        check_device,
        collect_signals,
        set_threads,
    )
    from cinc_ecg.training.digitizer import train_digitizer as run

    extra = [f"budget_s={budget_s}"] if budget_s else []
    config = load_config(DigitizerConfig, overrides=[*overrides, *extra])
    if dry_run:
        return to_yaml(config)
    set_threads(config.threads)

    def report(done: int, total: int, losses: dict[str, float]) -> None:
        if watch is not None:
            watch(done, total, f"loss {losses.get('total', float('nan')):.3f}")

    pool = collect_signals(data, config)
    result = run(pool, out, config, device=check_device(device), resume=resume, watch=report)
    losses = json.dumps({name: round(value, 3) for name, value in result.losses.items()})
    return (
        f"{len(pool)} recordings, {result.steps} steps in {result.elapsed_s:.0f} s; "
        f"losses {losses}; model in {out}"
    )
