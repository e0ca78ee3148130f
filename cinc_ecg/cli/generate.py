"""`cinc-ecg generate`: pages with exact truth, from recordings or simulated ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinc_ecg.cli.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cinc_ecg.synth.artefacts import Step
    from cinc_ecg.synth.generate import GenerateOptions, GenerateTask

EXIT_SOME_FAILED, EXIT_NOTHING_DONE = 1, 2


def generate(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Option("-i", "--input", help="WFDB record or folder of records; repeatable."),
    ] = None,
    simulated: Annotated[
        int, typer.Option("-n", "--simulate", min=0, help="Simulate so many recordings.")
    ] = 0,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            help="clean, lowres, scan, bw, crumpled, stained, faded, fax, photo, photo-hard, "
            "screen, or vary: another page each time.",
        ),
    ] = "clean",
    severity: Annotated[
        float, typer.Option("--severity", min=0, max=1, help="How bad 'vary' gets.")
    ] = 0.5,
    layout: Annotated[
        str | None, typer.Option("--layout", help="Layout, for example 3x4+1 or 6x2.")
    ] = None,
    mm_per_s: Annotated[
        float | None, typer.Option("--mm-per-s", min=1, max=200, help="Paper speed.")
    ] = None,
    mm_per_mv: Annotated[
        float | None, typer.Option("--mm-per-mv", min=0.5, max=100, help="Gain.")
    ] = None,
    dpi: Annotated[float | None, typer.Option("--dpi", min=50, max=800, help="Resolution.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any page setting, as in pen.width_mm=0.4; repeatable."),
    ] = None,
    artefacts: Annotated[
        list[str] | None,
        typer.Option(
            "--artefact", help="Artefact on top, as in noise:sigma=25,grain_px=1; repeatable."
        ),
    ] = None,
    rhythm: Annotated[
        str | None, typer.Option("--rhythm", help="Rhythm of simulated recordings, as in af.")
    ] = None,
    fs: Annotated[
        float, typer.Option("--fs", min=50, max=4000, help="Rate of simulated recordings in Hz.")
    ] = 500.0,
    challenge: Annotated[
        bool,
        typer.Option(
            "--challenge",
            help="Also write the record masked to what is printed, with an '# Image:' line.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same files.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes; 0 = all cores.")] = 1,
) -> None:
    """Draw pages of electrocardiograms with exact truth: NAME-0.png, NAME-0.truth.json and .npz.

    Exit code 0: all done; 1: some failed; 2: all failed, or wrong usage.
    """
    from cinc_ecg.errors import ConfigError
    from cinc_ecg.io.atomic import make_folder
    from cinc_ecg.synth.generate import GenerateOptions
    from cinc_ecg.synth.presets import PRESETS

    if preset != "vary" and preset not in PRESETS:
        known = ", ".join(f"{name} ({kind.summary})" for name, kind in PRESETS.items())
        raise ConfigError(f"preset {preset!r} is not known; use vary or {known}")
    values = _values(settings or [])
    chosen = {
        "layout.template": layout,
        "scale.mm_per_s": mm_per_s,
        "scale.mm_per_mv": mm_per_mv,
        "paper.dpi": dpi,
    }
    values |= {name: value for name, value in chosen.items() if value is not None}
    options = GenerateOptions(
        folder=out,
        preset=preset,
        severity=severity,
        values=values,
        steps=tuple(_step(text) for text in artefacts or []),
        challenge=challenge,
        seed=seed,
    )
    tasks = _tasks(inputs or [], simulated, options, _simulation(rhythm, fs))
    _check(options)
    make_folder(out)
    pages, failures = 0, 0
    with progress_bar("drawing") as update:
        for done, (written, problem) in enumerate(_run(tasks, jobs), 1):
            pages += written
            if problem:
                failures += 1
                print(f"cinc-ecg: {problem}", file=sys.stderr)
            update(done, len(tasks))
    print(f"{pages} pages of {len(tasks) - failures} recordings in {out}")
    if failures:
        raise typer.Exit(EXIT_NOTHING_DONE if failures == len(tasks) else EXIT_SOME_FAILED)


def _values(items: list[str]) -> dict[str, Any]:
    """Parse name=value pairs; a value is JSON where it can be, text otherwise."""
    import json

    from cinc_ecg.errors import ConfigError

    values: dict[str, Any] = {}
    for item in items:
        name, sign, text = item.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"{item!r} is no setting; write name=value, as in pen.width_mm=0.4")
        try:
            values[name.strip()] = json.loads(text)
        except json.JSONDecodeError:
            values[name.strip()] = text
    return values


def _step(text: str) -> Step:
    from cinc_ecg.synth.artefacts import Step

    name, _, parameters = text.partition(":")
    return Step(name.strip(), _values([p for p in parameters.split(",") if p.strip()]))


def _simulation(rhythm: str | None, fs_hz: float) -> Any:
    from cinc_ecg.errors import ConfigError
    from cinc_ecg.synth.ecg import EcgSettings
    from cinc_ecg.synth.rhythm import RHYTHMS

    for known in RHYTHMS:
        if rhythm == known:
            return EcgSettings(fs_hz=fs_hz, rhythm=known)
    if rhythm is not None:
        raise ConfigError(f"rhythm {rhythm!r} is not known; use one of {', '.join(RHYTHMS)}")
    return EcgSettings(fs_hz=fs_hz)


def _tasks(
    inputs: list[Path], simulated: int, options: GenerateOptions, simulation: Any
) -> list[GenerateTask]:
    from cinc_ecg.errors import InputError
    from cinc_ecg.io.records import find_records
    from cinc_ecg.synth.generate import GenerateTask, unique_names

    records: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found = [path / name for name in find_records(path)]
            if not found:
                raise InputError(f"{path}: holds no WFDB records (*.hea)", code="no_records")
            records += found
        else:
            records.append(path)
    if not records and not simulated:
        raise InputError("nothing to draw; give --input RECORDS or --simulate N", code="no_records")
    tasks = [
        GenerateTask(name, k, options, record)
        for k, (name, record) in enumerate(zip(unique_names(records), records, strict=True))
    ]
    return tasks + [
        GenerateTask(f"sim{k:05d}", len(records) + k, options, None, simulation)
        for k in range(simulated)
    ]


def _check(options: GenerateOptions) -> None:
    """Find wrong settings before anything is written: draw one short page."""
    from dataclasses import replace

    from cinc_ecg.synth.ecg import EcgSettings, simulate
    from cinc_ecg.synth.generate import make_page

    small = replace(options, values={"paper.dpi": 50.0, **options.values})
    make_page(simulate(EcgSettings(fs_hz=100.0), seed=0), small, 0)


def _run(tasks: list[GenerateTask], jobs: int) -> Iterator[tuple[int, str]]:
    """Yield (pages written, problem or "") per recording, in order of completion."""
    from cinc_ecg.batch.pool import Pool, usable_cores
    from cinc_ecg.errors import CincEcgError
    from cinc_ecg.synth.generate import generate_pages

    workers = min(jobs or usable_cores(), len(tasks))
    if workers <= 1:
        for task in tasks:
            try:
                yield len(generate_pages(task)), ""
            except CincEcgError as error:
                yield 0, f"[{error.reason_code}] {error}"
        return
    pool = Pool(generate_pages, jobs=workers)
    pool.add(tasks)
    for ended in pool.run():
        if ended.state == "done":
            yield len(ended.value), ""
        else:
            yield 0, f"[{ended.state}] {ended.task.name}: {ended.value or 'gave no result'}"
