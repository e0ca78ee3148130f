"""`cinc-ecg classify`: pictures in, diagnostic labels and probabilities out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cinc_ecg.types import Prediction

EXIT_SOME_FAILED, EXIT_NOTHING_DONE = 1, 2


def classify(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES...",
            help="Pictures or PDFs, folders of them, or quoted patterns ('scans/*.png').",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option("-m", "--model", help="Model folder; the packaged model otherwise."),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per page.")
    ] = False,
) -> None:
    """Digitize pictures and name what the signal shows, with probabilities.

    For research, not a medical device: what it misses, and how often, is in the model's card.
    Exit code 0: all done; 1: some failed; 2: all failed, or wrong usage; 130: interrupted.
    """
    from cinc_ecg.batch.inputs import find_sources
    from cinc_ecg.cli.progress import progress_bar
    from cinc_ecg.inference import Predictor

    predictor = Predictor.load(model)
    paths = [source.path for source in find_sources(inputs)]
    predictions: list[Prediction] = []
    with progress_bar("reading") as update:
        for number, path in enumerate(paths):
            for prediction in predictor.predict_file(path):
                predictions.append(prediction)
                print(_json(prediction) if json_lines else _text(prediction))
            update(number + 1, len(paths), path.name)
    good = sum(prediction.diagnosis is not None for prediction in predictions)
    if good < len(predictions):
        raise typer.Exit(EXIT_SOME_FAILED if good else EXIT_NOTHING_DONE)


def _json(prediction: Prediction) -> str:
    values: dict[str, Any] = {"picture": prediction.record, "page": prediction.page + 1}
    if prediction.digitization is not None:
        values["layout"] = prediction.digitization.layout.name
    if prediction.diagnosis is not None:
        values["labels"] = list(prediction.diagnosis.labels)
        values["probabilities"] = prediction.diagnosis.probabilities
        values["thresholds"] = prediction.diagnosis.thresholds
    if prediction.failure is not None:
        values["failure"] = {"code": prediction.failure.code, "text": prediction.failure.text}
    return json.dumps(values)


def _text(prediction: Prediction) -> str:
    name = (
        prediction.record if not prediction.page else f"{prediction.record}[{prediction.page + 1}]"
    )
    if prediction.diagnosis is None:
        failure = prediction.failure
        return f"{name}: [{failure.code}] {failure.text}" if failure else f"{name}: no signal"
    ranked = sorted(prediction.diagnosis.probabilities.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{label} {p:.2f}" for label, p in ranked)
    labels = ", ".join(prediction.diagnosis.labels) or "no label"
    return f"{name}: {labels}  ({shown})"
