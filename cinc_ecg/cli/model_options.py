"""Options that the commands about trained models share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Challenge folder with signals (the truth), and labels if any."),
]
Simulated = Annotated[
    int, typer.Option("--simulated", min=0, help="Records to simulate, without --data.")
]
Source = Annotated[
    str, typer.Option("--source", help="rendered: pages drawn from the signals; images: own.")
]
Fold = Annotated[
    int | None,
    typer.Option("--fold", min=0, help="Only this fold, cut as in training; all otherwise."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
