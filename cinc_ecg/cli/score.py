"""`cinc-ecg score`: the Challenge's scorer, and more figures on the same folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cinc_ecg.cli.progress import progress_bar

#: The official evaluator ends with 1 whenever it stops.
EXIT_STOPPED = 1


def score(
    folder_ref: Annotated[
        Path, typer.Option("-d", "--folder_ref", help="Folder with reference signals and labels.")
    ],
    folder_est: Annotated[
        Path, typer.Option("-o", "--folder_est", help="Folder with the outputs to score.")
    ],
    no_shift: Annotated[
        bool, typer.Option("-n", "--no_shift", help="Do not align the signals first.")
    ] = False,
    extra_scores: Annotated[
        bool,
        typer.Option("-x", "--extra_scores", help="Add SNR median, KS, ASCI, weighted difference."),
    ] = False,
    summary_score_file: Annotated[
        Path | None,
        typer.Option("-s", "--summary_score_file", help="Write the summary here, not to stdout."),
    ] = None,
    total_snr_file: Annotated[
        Path | None,
        typer.Option("-ta", "--total_snr_file", help="Write SNR per record and lead (TSV)."),
    ] = None,
    total_f_measure_file: Annotated[
        Path | None,
        typer.Option("-tb", "--total_f_measure_file", help="Write F-measure per class (TSV)."),
    ] = None,
    official_version: Annotated[
        str,
        typer.Option(
            "--official-version",
            help="2024-09 scored the Challenge; 2025-10 is the public code since.",
        ),
    ] = "2024-09",
    report: Annotated[
        bool, typer.Option("--report", help="Also print spread, leads, conditions, distances.")
    ] = False,
    clinical: Annotated[
        bool,
        typer.Option(
            "--clinical",
            help="Compare heart rate, PR, QRS, QT, ST and R too (with --report or --json).",
        ),
    ] = False,
    bland_altman: Annotated[
        Path | None,
        typer.Option("--bland-altman", help="Draw the clinical differences (.png, .pdf, .svg)."),
    ] = None,
    kaggle_cap: Annotated[
        float, typer.Option("--kaggle-cap", help="Ceiling of a picture's linear Kaggle ratio.")
    ] = 384.0,
    kaggle_lag: Annotated[
        float, typer.Option("--kaggle-lag", help="Largest shift in the Kaggle score, in seconds.")
    ] = 0.2,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON instead of text.")
    ] = False,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient", help="Go on where the official evaluator stops; such records score 0 dB."
        ),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes (default: all cores).")
    ] = None,
) -> None:
    """Score output folders exactly as the Challenge's evaluator does.

    Flags, text, tables and exit codes are the official ones; options with hyphens are ours.
    """
    from cinc_ecg.challenge.evaluate import evaluate
    from cinc_ecg.challenge.evaluate_record import EvaluateOptions
    from cinc_ecg.challenge.evaluate_report import (
        measured,
        problems,
        report_json,
        report_text,
        warnings,
    )
    from cinc_ecg.challenge.evaluate_text import f_measure_table, snr_table, summary_text
    from cinc_ecg.errors import CincEcgError
    from cinc_ecg.metrics.official_align import VERSIONS

    version = next((v for v in VERSIONS if v == official_version), None)
    if version is None:
        raise typer.BadParameter(
            f"{official_version!r}: use {' or '.join(VERSIONS)}", param_hint="--official-version"
        )
    options = EvaluateOptions(
        version=version,
        align=not no_shift,
        extra=extra_scores,
        distances=report or json_output,
        clinical=clinical or bland_altman is not None,
        lenient=lenient,
        kaggle_cap=kaggle_cap,
        kaggle_max_lag_s=kaggle_lag,
        jobs=jobs,
    )
    try:
        with progress_bar("Scoring") as progress:
            evaluation = evaluate(folder_ref, folder_est, options, progress=progress)
        _write(summary_score_file, summary_text(evaluation))
        _write(total_snr_file, snr_table(evaluation))
        _write(total_f_measure_file, f_measure_table(evaluation))
        if bland_altman is not None:
            from cinc_ecg.metrics.clinical import draw_bland_altman

            draw_bland_altman(measured(evaluation), bland_altman)
    except CincEcgError as error:
        typer.echo(f"cinc-ecg: [{error.reason_code}] {error}", err=True)
        raise typer.Exit(EXIT_STOPPED) from None
    for line in warnings(evaluation):
        typer.echo(f"warning: {line}", err=True)
    for line in problems(evaluation):
        typer.echo(f"not scored: {line}", err=True)
    if json_output:
        typer.echo(json.dumps(report_json(evaluation, options), indent=1))
        return
    if summary_score_file is None:
        typer.echo(summary_text(evaluation))  # with one more line break, as the official one
    if report:
        typer.echo(report_text(evaluation, options), nl=False)


def _write(path: Path | None, text: str) -> None:
    """Write a table where the user asked for one."""
    from cinc_ecg.errors import OutputError

    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
