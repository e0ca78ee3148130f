"""`cinc-ecg train`: a named or own configuration, a Challenge folder in, a model folder out."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cinc_ecg.training.loop import TrainResult

EXIT_INTERRUPTED = 130
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")
#: Names that are trained by a function of their own.
_OWN_TRAINERS = {name: f"cinc_ecg.cli.train_{name}" for name in ("digitizer", "dx")}


def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [KEY=VALUE]...",
            help="A named configuration (whole_model, series_model, panels, challenge, ...) and "
            "settings, as in training.batch_size=4 optimizer.lr=5e-4 cv.val_fold=2.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Your own YAML file instead of a name.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Challenge folder: WFDB records, pictures, labels."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for model, log and state.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")
    ] = False,
    resume: Annotated[
        str, typer.Option("--resume", help="auto: continue a run found in --out; never: refuse.")
    ] = "never",
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time to spend, as in 90s, 20m, 1h30m.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="MODEL|packaged",
            help="digitizer: begin with this reader's weights instead of random ones.",
        ),
    ] = None,
    pages: Annotated[
        Path | None,
        typer.Option(
            "--pages",
            help="digitizer: fine-tune --init on this Challenge folder's pictures and signals.",
        ),
    ] = None,
) -> None:
    """Train a network on pages drawn from a folder's signals, on its pictures, or on signals.

    OUT holds the best model (card.json and weights), log.jsonl, config.yaml and latest.pt, from
    which --resume auto goes on. Exit code 0: trained; 2: wrong usage; 130: interrupted.
    """
    name, overrides = _split_words(words or [], config)
    if resume not in ("auto", "never"):
        raise typer.BadParameter("--resume is auto or never")
    budget_s = parse_duration(budget) if budget else 0.0
    if name != "digitizer" and (init or pages):
        raise typer.BadParameter("--init and --pages belong to `cinc-ecg train digitizer`")
    own = _OWN_TRAINERS.get(str(name))
    if own is not None and importlib.util.find_spec(own) is not None:
        start = {"init": init, "pages": pages} if name == "digitizer" else {}
        _train_otherwise(
            own, data, out, overrides, budget_s, device, resume == "auto", dry_run, start
        )
        return

    from cinc_ecg.training.config import load_train_config

    extra = [f"data.folder={json.dumps(str(data))}"] if data else []
    extra += [f"training.budget_s={budget_s}"] if budget else []
    settings = load_train_config(name, [*overrides, *extra])
    if dry_run:
        from cinc_ecg.config import to_yaml

        print(to_yaml(settings), end="")
        return
    if out is None:
        raise typer.BadParameter("--out is needed: a folder for the model")
    result = _run(settings, out, resume == "auto", device)
    _report(result, as_json, _command(words or [], config, data, out, budget, device))


def parse_duration(text: str) -> float:
    """Return the seconds of "90", "90s", "20m" or "1h30m".

    Raises:
        BadParameter: it is none of these.
    """
    if not _DURATION.fullmatch(text.strip()):
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 20m or 1h30m")
    if text.strip()[-1].isdigit():
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _split_words(words: list[str], config: Path | None) -> tuple[str | Path | None, list[str]]:
    names = [word for word in words if "=" not in word]
    if len(names) + (config is not None) > 1:
        raise typer.BadParameter("give one configuration: a name or --config FILE")
    name: str | Path | None = config if config is not None else (names[0] if names else None)
    return name, [word for word in words if "=" in word]


def _run(settings: Any, out: Path, resume: bool, device: str) -> TrainResult:
    from cinc_ecg.cli.progress import progress_bar
    from cinc_ecg.training.loop import train as run
    from cinc_ecg.training.tasks import build_task

    task = build_task(settings)
    split = task.split
    held_out = "the same" if split.held_out_is_training else str(len(split.held_out))
    print(
        f"{len(split.training)} records to train on, {held_out} held out; "
        f"{sum(p.numel() for p in task.network.parameters()):,} parameters",
        file=sys.stderr,
    )
    with progress_bar("training") as update:
        return run(
            task,
            out,
            resume=resume,
            device=device,
            watch=update,
        )


def _report(result: TrainResult, as_json: bool, command: str) -> None:
    from dataclasses import asdict

    if as_json:
        print(json.dumps({**asdict(result), "folder": str(result.folder)}))
    else:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in result.figures.items())
        print(
            f"{result.steps} steps, {result.epochs} epochs in {result.elapsed_s:.0f} s "
            f"({result.stopped}); best epoch {result.best_epoch + 1}: {figures or 'none yet'}; "
            f"model in {result.folder}"
        )
        if result.skipped:
            print(f"{len(result.skipped)} records left out: {', '.join(result.skipped[:5])}")
    if result.stopped == "interrupted":
        print(f"to go on: {command}", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED)


def _command(
    words: list[str],
    config: Path | None,
    data: Path | None,
    out: Path,
    budget: str | None,
    device: str,
) -> str:
    """Return the command line that continues the run."""
    import shlex

    parts = ["cinc-ecg", "train", *words]
    for option, value in (("--config", config), ("--data", data), ("--out", out)):
        parts += [option, str(value)] if value is not None else []
    parts += ["--budget", budget] if budget else []
    parts += ["--device", device] if device != "auto" else []
    return shlex.join([*parts, "--resume", "auto"])


def _train_otherwise(
    module: str,
    data: Path | None,
    out: Path | None,
    overrides: list[str],
    budget_s: float,
    device: str,
    resume: bool,
    dry_run: bool,
    start: dict[str, Any],
) -> None:
    from importlib import import_module

    from cinc_ecg.cli.progress import progress_bar

    if out is None:
        raise typer.BadParameter("--out is needed: a folder for the model")
    trainer = getattr(import_module(module), module.rpartition(".")[2])
    with progress_bar("training") as update:
        text = trainer(
            data=data,
            out=out,
            overrides=overrides,
            budget_s=budget_s,
            device=device,
            resume=resume,
            dry_run=dry_run,
            watch=update,
            **start,
        )
    print(text)
