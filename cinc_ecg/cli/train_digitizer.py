"""`cinc-ecg train digitizer`: the network that reads strips, or the one that looks at pages."""

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
    init: str | None = None,
    pages: Path | None = None,
) -> str:
    """Train a reader on strips or pages drawn from recordings, and return one line about it.

    Args:
        data: Folder of WFDB records, of which a quarter (chosen by name) is held out; None
            simulates all recordings.
        out: Folder for model and state.
        overrides: "key=value" of `cinc_ecg.training.digitizer.DigitizerConfig`; after
            "network=pages" of `cinc_ecg.training.page_reader.PageReaderConfig`.
        budget_s: Time to spend; 0 leaves `budget_s` of the configuration.
        device: "auto", "cpu" or "cuda".
        resume: Go on from the state in `out`.
        dry_run: Return the resolved configuration and train nothing.
        watch: Told about every few steps.
        init: Folder of a reader whose weights are the start, or "packaged"; with `pages` a strip
            reader, or a model that `train_model.py` wrote.
        pages: Challenge folder to fine-tune on; settings are then those of
            `cinc_ecg.training.fine_tune.FineTuneConfig`.

    Raises:
        ConfigError: A setting is wrong, or the device is not there.
        InputError: The folder holds no usable recording.
        TrainingError: The state cannot be resumed, or the loss is no number.
    """
    if pages is not None:
        return _fine_tune(
            init, pages, data, out, overrides, budget_s, device, resume, dry_run, watch
        )
    from cinc_ecg.config import load_config, to_yaml
    from cinc_ecg.training.digitizer import DigitizerConfig
    from cinc_ecg.training.digitizer import train_digitizer as train_strips
    from cinc_ecg.training.digitizer_run import (
        RunConfig,
        check_device,
        collect_signals,
        set_threads,
    )
    from cinc_ecg.training.page_reader import PageReaderConfig, train_page_reader

    network, overrides = _network(overrides)
    schema: type[RunConfig] = PageReaderConfig if network == "pages" else DigitizerConfig
    extra = [f"budget_s={budget_s}"] if budget_s else []
    extra += [f"init={init}"] if init else []
    config = load_config(schema, overrides=[*overrides, *extra])
    if dry_run:
        return to_yaml(config)
    set_threads(config.threads)

    def report(done: int, total: int, losses: dict[str, float]) -> None:
        if watch is not None:
            watch(done, total, f"loss {losses.get('total', float('nan')):.3f}")

    pool = collect_signals(data, config)
    where = check_device(device)
    if isinstance(config, PageReaderConfig):
        result = train_page_reader(pool, out, config, device=where, resume=resume, watch=report)
    else:
        assert isinstance(config, DigitizerConfig)
        result = train_strips(pool, out, config, device=where, resume=resume, watch=report)
    losses = json.dumps({name: round(value, 3) for name, value in result.losses.items()})
    return (
        f"{len(pool)} recordings, {result.steps} steps in {result.elapsed_s:.0f} s; "
        f"losses {losses}; model in {out}"
    )


def _network(overrides: Sequence[str]) -> tuple[str, list[str]]:
    """Take "network=strips" or "network=pages" out of the settings.

    Raises:
        ConfigError: It names another one.
    """
    from cinc_ecg.errors import ConfigError

    named = [item.partition("=")[2] for item in overrides if item.startswith("network=")]
    network = named[-1] if named else "strips"
    if network not in ("strips", "pages"):
        raise ConfigError(f"network={network}: is not known; use network=strips or network=pages")
    return network, [item for item in overrides if not item.startswith("network=")]


def _own_strips(model: Path) -> Path:
    """Return where a model folder keeps its strip reader: a trained Challenge model in "strips"."""
    return model / "strips" if (model / "strips").is_dir() else model


def _fine_tune(
    init: str | None,
    pages: Path,
    data: Path | None,
    out: Path,
    overrides: Sequence[str],
    budget_s: float,
    device: str,
    resume: bool,
    dry_run: bool,
    watch: Callable[[int, int, str], None] | None,
) -> str:
    """Fine-tune a strip reader; see `train_digitizer`."""
    from cinc_ecg.config import load_config, to_yaml
    from cinc_ecg.data.recordings import read_folder, report_notes
    from cinc_ecg.data.signal_pool import read_pool
    from cinc_ecg.errors import ConfigError
    from cinc_ecg.models.readers import PACKAGED
    from cinc_ecg.training.digitizer_run import check_device, set_threads
    from cinc_ecg.training.fine_tune import FineTuneConfig, fine_tune

    if init is None:
        raise ConfigError(
            "--pages fine-tunes a reader: name it with --init (a model folder, or packaged)"
        )
    if resume:
        raise ConfigError("fine-tuning takes minutes and cannot be resumed; leave out --resume")
    extra = [f"budget_s={budget_s}"] if budget_s else []
    config = load_config(FineTuneConfig, overrides=[*overrides, *extra])
    if dry_run:
        return to_yaml(config)
    if config.threads:
        set_threads(config.threads)

    def report(done: int, total: int, losses: dict[str, float]) -> None:
        if watch is not None:
            watch(done, total, f"loss {losses['total']:.3f}")

    recordings, notes = read_folder(pages)
    report_notes(notes)
    result = fine_tune(
        PACKAGED if init == "packaged" else _own_strips(Path(init)),
        recordings,
        out,
        config,
        more=read_pool(data) if data is not None else None,
        device=check_device(device),
        watch=report,
    )
    return (
        f"{len(recordings)} records, {result.steps} steps in {result.elapsed_s:.0f} s; "
        f"{result.decision}; {json.dumps(result.counts)}; model in {out}"
    )
