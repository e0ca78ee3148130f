"""`cinc-ecg validate`: would the organizers' run of this folder succeed?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cinc_ecg.challenge.validate.report import Check

EXIT_FAILED = 1
_COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def validate(
    folder: Annotated[Path, typer.Argument(help="Root of the submission.")] = Path(),
    data: Annotated[
        Path | None,
        typer.Option("-d", "--data", help="Records to train, run and score on (a trial)."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=4, help="Use at most so many records of the data.")
    ] = 12,
    robustness: Annotated[
        bool,
        typer.Option(help="Train on changed data and run on a broken record, too."),
    ] = True,
    resolve: Annotated[
        bool, typer.Option(help="Let pip resolve requirements.txt; needs a network.")
    ] = True,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            help="Interpreter that has the submission's requirements; this one otherwise.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws and splits the records.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds for each command of the trial.")
    ] = 3600.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a submission: files, requirements, Dockerfile, code, drivers; with data, try it.

    Ends with 1 when a check fails; warnings do not count.
    """
    from cinc_ecg.challenge.validate.report import counts, report_json
    from cinc_ecg.challenge.validate.run import ValidateOptions, validate

    options = ValidateOptions(
        data, limit, robustness, resolve, python or sys.executable, seed, timeout
    )
    watched = sys.stderr.isatty()

    def observe(check: Check) -> None:
        if watched:
            print(f"\r\x1b[K{check.name}: {check.state}", end="", file=sys.stderr, flush=True)

    checks = validate(folder, options, observe=observe)
    if watched:
        print("\r\x1b[K", end="", file=sys.stderr)
    if json_output:
        print(json.dumps(report_json(checks, folder=str(folder), trial=data is not None), indent=1))
    else:
        print_checks(checks)
    if counts(checks)["fail"]:
        raise typer.Exit(EXIT_FAILED)


def print_checks(checks: Sequence[Check]) -> None:
    """Print a table, and below it how to mend what is not well."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cinc_ecg.challenge.validate.report import counts

    console = Console(soft_wrap=False, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "check", "found"):
        table.add_column(name, overflow="fold")
    for check in checks:
        colour = _COLOURS[check.state]
        table.add_row(f"[{colour}]{check.state}[/]", check.name, escape(check.text))
    console.print(table)
    for check in checks:
        if check.state != "pass":
            console.print(f"\n[{_COLOURS[check.state]}]{check.name}[/]: {escape(check.fix)}")
    found = counts(checks)
    console.print(f"\n{found['pass']} passed, {found['warn']} warnings, {found['fail']} failed")
