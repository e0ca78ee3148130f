"""`cinc-ecg predict`: a trained model over a folder; loss, SNR and number of samples."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinc_ecg.cli.model_options import AsJson, BatchSize, Data, Device, Fold, Simulated, Source

if TYPE_CHECKING:
    from cinc_ecg.training.evaluate import Condition


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder written by cinc-ecg train.")],
    data: Data = None,
    simulated: Simulated = 0,
    source: Source = "rendered",
    fold: Fold = None,
    batch_size: BatchSize = 8,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Table (CSV) with a row per sample.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a trained model over records and print loss, SNR in dB and samples evaluated.

    The SNR is the mean over leads, then samples, of 10 log10(signal/error power), means removed;
    `cinc-ecg score` gives the Challenge's official number for written signals.
    """
    from cinc_ecg.training.evaluate import AS_TRAINED, EvaluateOptions, evaluate_model

    options = EvaluateOptions(
        data=str(data) if data else "",
        simulated=simulated,
        source=source,
        conditions=(AS_TRAINED,),
        fold=fold,
        draws=0,
        batch_size=batch_size,
        device=device,
    )
    (condition,) = evaluate_model(model, options)
    figures = condition.measured.figures()
    if out is not None:
        _write_table(out, condition)
    if as_json:
        print(json.dumps(figures))
        return
    words = [f"Loss: {figures['loss']:.4f}"] if "loss" in figures else []
    words += [f"SNR: {figures['snr_db']:.2f} dB"] if "snr_db" in figures else []
    words += [f"AUC: {figures['auc']:.3f}"] if "auc" in figures else []
    words.append(f"samples: {condition.measured.n_samples}")
    if condition.measured.skipped:
        words.append(f"left out: {len(condition.measured.skipped)}")
    print("  ".join(words))


def _write_table(path: Path, condition: Condition) -> None:
    """Write one row per sample: SNR per lead, probability per class."""
    from cinc_ecg.io.atomic import make_folder, write_text
    from cinc_ecg.leads import LEADS
    from cinc_ecg.models.dx import probabilities

    measured = condition.measured
    rows: dict[int, dict[str, Any]] = {}
    for number, sample in enumerate(measured.samples):
        row = {
            f"snr_db_{lead}": round(float(value), 3)
            for lead, value in zip(LEADS, sample.snr_db, strict=False)
        }
        rows[number] = {"record": sample.name, **row}
    classes = [] if condition.dx is None else [entry.name for entry in condition.dx.rows]
    for number, name in enumerate(measured.names if classes else ()):
        p = probabilities(measured.logits[number].astype(float), 1.0)
        scores = {f"p_{k}": round(float(v), 5) for k, v in zip(classes, p, strict=True)}
        rows.setdefault(number, {"record": name}).update(scores)
    buffer = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows.values() for key in row)) or ["record"]
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows(rows.values())
    make_folder(path.parent)
    write_text(path, buffer.getvalue())
