"""`cinc-ecg evaluate`: tables per class and per condition of a trained model."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinc_ecg.cli.model_options import AsJson, BatchSize, Data, Device, Fold, Simulated, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cinc_ecg.training.evaluate import Condition


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    data: Data = None,
    simulated: Simulated = 0,
    source: Source = "rendered",
    conditions: Annotated[
        str,
        typer.Option(
            "--conditions",
            help="Any of clean,varied,worn,bad,coarse (pages) or whole,3x4+1,3x4,6x2 (signals).",
        ),
    ] = "",
    fold: Fold = None,
    thresholds: Annotated[
        str,
        typer.Option(
            "--thresholds",
            help="card (the model's own), fixed (0.5), F1, Youden or G_beta, fitted on one half of "
            "the records and used on the other.",
        ),
    ] = "card",
    bootstrap: Annotated[
        int, typer.Option("--bootstrap", min=0, help="Draws for the 95 % intervals; 0 = none.")
    ] = 1000,
    batch_size: BatchSize = 8,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for report.md, report.json and plots."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a trained model: SNR per condition, and per class area, precision, recall and F."""
    from cinc_ecg.cli.progress import progress_bar
    from cinc_ecg.training.evaluate import EvaluateOptions, evaluate_model

    options = EvaluateOptions(
        data=str(data) if data else "",
        simulated=simulated,
        source=source,
        conditions=tuple(item.strip() for item in conditions.split(",") if item.strip()),
        fold=fold,
        thresholds=thresholds.casefold(),
        draws=bootstrap,
        batch_size=batch_size,
        device=device,
    )
    results = []
    with progress_bar("evaluating") as update:
        for condition in evaluate_model(model, options):
            results.append(condition)
            update(len(results), len(options.conditions) or len(results) + 1)
    text = report_text(results)
    if out is not None:
        _write(out, results, text, model / "log.jsonl")
    print(json.dumps(_plain(results)) if as_json else text, end="" if not as_json else "\n")
    skipped = {entry.name for condition in results for entry in condition.measured.skipped}
    if skipped:
        print(f"{len(skipped)} records left out: {', '.join(sorted(skipped)[:5])}", file=sys.stderr)


def report_text(results: Sequence[Condition]) -> str:
    """Return the tables as Markdown."""
    heads = ("condition", "samples", "SNR (dB)", "macro AUC", "macro F1", "micro F1", "weighted F1")
    lines = [f"| {' | '.join(heads)} |", "|-" * len(heads) + "|"]
    for entry in results:
        snr, dx = entry.measured.snr_db, entry.dx
        cells = [
            entry.name,
            str(entry.measured.n_samples),
            _number(snr, entry.snr_db_95, 2),
            _number(dx.macro_auc, dx.macro_auc_95, 3) if dx else "",
            _number(dx.macro_f1, None, 3) if dx else "",
            _number(dx.micro_f1, None, 3) if dx else "",
            _number(dx.weighted_f1, None, 3) if dx else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for entry in results:
        if entry.dx is None:
            continue
        lines += ["", f"Classes, {entry.name}:", ""]
        lines.append("| class | with | known | AUC | threshold | precision | recall | F1 | G2 |")
        lines.append("|-|-|-|-|-|-|-|-|-|")
        for row in entry.dx.rows:
            cells = [row.name, str(row.n_with), str(row.n_known)]
            cells.append(_number(row.auc, (row.auc_low, row.auc_high), 3))
            figures = (row.threshold, row.precision, row.recall, row.f1, row.g_beta)
            cells += [_number(value, None, 3) for value in figures]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None, span: tuple[float, float] | None, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return "-" if value is not None else ""
    text = f"{value:.{digits}f}"
    if span is not None and all(math.isfinite(end) for end in span):
        text += f" ({span[0]:.{digits}f} to {span[1]:.{digits}f})"
    return text


def _plain(results: Sequence[Condition]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [
        {
            "condition": entry.name,
            **entry.measured.figures(),
            "snr_db_95": entry.snr_db_95,
            "dx": _finite(asdict(entry.dx)) if entry.dx else None,
            "left_out": [asdict(skipped) for skipped in entry.measured.skipped],
        }
        for entry in results
    ]


def _finite(value: Any) -> Any:
    """Replace numbers that JSON cannot hold by null."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(out: Path, results: Sequence[Condition], text: str, log: Path) -> None:
    from cinc_ecg.io.atomic import make_folder, write_bytes, write_text
    from cinc_ecg.report.curves import draw_f1_bars, draw_history, draw_roc

    make_folder(out)
    write_text(out / "report.md", text)
    write_text(out / "report.json", json.dumps(_plain(results), indent=2) + "\n")
    if log.is_file():
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        write_bytes(out / "history.png", draw_history(lines))
    for entry in results:
        if entry.dx is None:
            continue
        measured, names = entry.measured, [row.name for row in entry.dx.rows]
        stem = "".join(c if c.isalnum() else "-" for c in entry.name)
        roc = draw_roc(measured.logits, measured.labels, measured.known, names)
        bars = draw_f1_bars(names, [row.f1 for row in entry.dx.rows])
        write_bytes(out / f"roc-{stem}.png", roc)
        write_bytes(out / f"f1-{stem}.png", bars)
