"""`cinc-ecg import-checkpoint`: weights of a foreign .pth file into a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def import_checkpoint(
    path: Annotated[
        Path, typer.Argument(help="Foreign checkpoint: .pth, .pt, .ckpt, .bin or .safetensors.")
    ],
    into: Annotated[
        Path, typer.Option("--into", help="Model folder that receives the tensors that fit.")
    ],
    diagnose: Annotated[
        bool,
        typer.Option("--diagnose", help="List keys, shapes and which fit; write nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Copy the tensors of a foreign checkpoint that fit a model folder's network.

    The file is read as plain tensors only; a file that holds other Python objects is refused.
    """
    from dataclasses import asdict

    from cinc_ecg.models import checkpoint

    act = checkpoint.diagnose if diagnose else checkpoint.import_checkpoint
    report = act(path, into)
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return 0
    lines = list(report.lines())
    skipped = [line for line in lines[:-1] if diagnose or not line.startswith("copied")]
    print("\n".join([*skipped, lines[-1]]))
    return 0
