"""`cinc-ecg digitize`: pictures, folders or patterns in, signals out."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cinc_ecg.batch.ledger import Outcome

EXIT_SOME_FAILED, EXIT_NOTHING_DONE = 1, 2


def digitize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Pictures or PDFs, folders of them, or quoted patterns ('scans/*.png')."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")],
    formats: Annotated[
        str,
        typer.Option("--format", help="Any of wfdb,csv,npz,json,png (png: overlay and replot)."),
    ] = "wfdb,csv,json,png",
    fs: Annotated[
        float | None,
        typer.Option("--fs", min=20, max=10_000, help="Sampling rate in Hz (500 otherwise)."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes; 0 = all cores.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what an earlier run finished.")
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per page on stdout.")
    ] = False,
    layout: Annotated[
        str | None, typer.Option("--layout", help="Layout of the page, for example 3x4+1.")
    ] = None,
    leads: Annotated[
        str | None,
        typer.Option(
            "--leads",
            help="Leads in reading order, one per row or one per panel, as in I,II,III.",
        ),
    ] = None,
    mm_per_s: Annotated[
        float | None, typer.Option("--mm-per-s", min=1, max=500, help="Paper speed, if known.")
    ] = None,
    mm_per_mv: Annotated[
        float | None, typer.Option("--mm-per-mv", min=0.5, max=100, help="Gain, if known.")
    ] = None,
    reader: Annotated[
        str,
        typer.Option(
            "--strip-reader",
            help="Who reads the traces: learned (packaged weights), classical, or a folder that "
            "`train digitizer` wrote.",
        ),
    ] = "learned",
    pages: Annotated[
        str,
        typer.Option(
            "--page-reader",
            help="Who looks at the page first: learned (packaged weights), classical, or a folder "
            "that `train digitizer network=pages` wrote.",
        ),
    ] = "learned",
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Use no trained weights: both readers classical.")
    ] = False,
    wall_limit: Annotated[
        float, typer.Option("--wall-limit", min=1, help="Longest time for one page, in seconds.")
    ] = 120.0,
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", min=0.1, max=170, help="Largest picture.")
    ] = 100.0,
) -> None:
    """Digitize pictures of electrocardiograms: files, folders, patterns, all pages of PDF and TIFF.

    Every page ends in one row of OUT/report.csv and OUT/report.jsonl with a status and a reason.
    For research, not a medical device: look at the overlay before you use a signal.
    Exit code 0: all done; 1: some failed; 2: all failed, or wrong usage; 130: interrupted.
    """
    from cinc_ecg.batch.pool import usable_cores
    from cinc_ecg.batch.run import BatchSettings, run_batch
    from cinc_ecg.batch.work import FORMATS, DigitizeOptions, check_readers
    from cinc_ecg.io.formats import check_formats

    wanted = _items(formats)
    check_formats(wanted, FORMATS)
    reader, pages = ("classical", "classical") if no_weights else (reader, pages)
    check_readers(reader, pages)  # missing or damaged weights end the run before it starts
    options = DigitizeOptions(
        formats=wanted,
        fs_hz=fs,
        layout=_known_layout(layout),
        leads=_known_leads(leads),
        mm_per_s=mm_per_s,
        mm_per_mv=mm_per_mv,
        strip_reader=reader,
        page_reader=pages,
        max_pixels=round(max_megapixels * 1e6),
    )
    settings = BatchSettings(jobs=jobs or usable_cores(), resume=resume, wall_s=wall_limit)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as tidily as on Ctrl-C
    with _Display(json_lines) as display:
        outcomes = run_batch(inputs, out, options, settings, watch=display.show)
    _summarise(outcomes, out, quiet=json_lines)
    raise typer.Exit(exit_code(outcomes))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when every page gave a signal, 1 when some did, 2 when none did."""
    good = sum(outcome.status == "ok" for outcome in outcomes)
    if good == len(outcomes):
        return 0
    return EXIT_SOME_FAILED if good else EXIT_NOTHING_DONE


def _items(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


def _known_layout(name: str | None) -> str | None:
    from difflib import get_close_matches

    from cinc_ecg.errors import ConfigError
    from cinc_ecg.layouts import TEMPLATES

    if name is None or name in TEMPLATES:
        return name
    near = get_close_matches(name, TEMPLATES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(TEMPLATES)}"
    raise ConfigError(f"unknown layout {name!r}; {hint}", code="layout_unknown")


def _known_leads(text: str | None) -> tuple[str, ...] | None:
    from cinc_ecg.errors import ConfigError
    from cinc_ecg.leads import canonical_lead

    if text is None:
        return None
    names = [item.strip() for item in text.split(",")]
    leads = [canonical_lead(name) for name in names]
    unknown = [name for name, lead in zip(names, leads, strict=True) if lead is None]
    if unknown:
        raise ConfigError(
            f"unknown lead {', '.join(repr(name) for name in unknown)}; use I,II,III,aVR,...,V6",
            code="lead_unknown",
        )
    return tuple(lead for lead in leads if lead)


class _Display:
    """Progress on stderr (only where somebody looks), failures one line each, JSON on stdout."""

    def __init__(self, json_lines: bool) -> None:
        self._json = json_lines
        self._bar: Any = None
        self._row: Any = None

    def __enter__(self) -> _Display:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("digitizing"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._row = self._bar.add_task("pages", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, outcome: Outcome, done: int, known: int) -> None:
        """Say how one page ended."""
        if self._bar is not None:
            self._bar.update(self._row, completed=done, total=known)
        if outcome.status != "ok":
            line = f"cinc-ecg: [{outcome.reason_code}] {outcome.message}"
            if self._bar is not None:
                self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=sys.stderr)
        if self._json:
            from dataclasses import asdict

            print(json.dumps(asdict(outcome), ensure_ascii=True), flush=True)


def _summarise(outcomes: Sequence[Outcome], out: Path, *, quiet: bool) -> None:
    counts = {
        name: sum(outcome.status == name for outcome in outcomes)
        for name in ("ok", "refused", "failed")
    }
    kept = sum(outcome.resumed for outcome in outcomes)
    text = f"{counts['ok']} digitized, {counts['refused']} refused, {counts['failed']} failed"
    if kept:
        text += f" ({kept} of them earlier)"
    if not quiet:
        print(f"{text}; results and report.csv in {out}")
