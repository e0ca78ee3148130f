"""`cinc-ecg package`: the folder to submit, its image, and a run of it as the organizers do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

EXIT_FAILED = 1


def package(
    output_folder: Annotated[
        Path, typer.Option("-o", "--output_folder", help="New folder: submission, logs, image.")
    ],
    folder: Annotated[Path, typer.Argument(help="Root of the repository.")] = Path(),
    cuda: Annotated[
        str | None, typer.Option("--cuda", help="Take torch for this CUDA version, as in 12.6.")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Take torch without CUDA.")] = False,
    base_image: Annotated[
        str | None, typer.Option("--base-image", help="Instead of the Dockerfile's.")
    ] = None,
    all_requirements: Annotated[
        bool, typer.Option("--all-requirements", help="Keep what nothing imports, too.")
    ] = False,
    build: Annotated[bool, typer.Option(help="Build the image.")] = True,
    build_arg: Annotated[
        list[str] | None, typer.Option("--build-arg", help="NAME=VALUE for the build; repeatable.")
    ] = None,
    tag: Annotated[str, typer.Option("--tag", help="Name of the image.")] = "image",
    data: Annotated[
        Path | None, typer.Option("-d", "--data", help="Records to train, run and score on.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=4, help="Use at most so many records of the data.")
    ] = 6,
    gpus: Annotated[
        str, typer.Option("--gpus", help="auto (all when there is one), all or none.")
    ] = "auto",
    user: Annotated[
        str | None, typer.Option("--user", help="Run as UID:GID instead of root.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python", help="Interpreter for the run to compare with; this one otherwise."
        ),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Save the image as image.tar.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the folder to submit and its Dockerfile, build it, run it without network.

    Ends with 1 when something fails in the container.
    """
    from cinc_ecg.challenge.package import PackageOptions, write_submission
    from cinc_ecg.challenge.package_run import BuildOptions, build_and_run
    from cinc_ecg.challenge.validate.report import counts, report_json

    if gpus not in ("auto", "all", "none"):
        raise typer.BadParameter(f"{gpus!r}: use auto, all or none", param_hint="--gpus")
    options = PackageOptions(cuda, cpu, base_image, all_requirements)
    submission = write_submission(folder, output_folder / "submission", options)
    report: dict[str, Any] = {
        "folder": str(submission.folder),
        "sizes": submission.sizes,
        "requirements": list(submission.requirements),
        "left_out": list(submission.left_out),
    }
    if not json_output:
        for name, size in submission.sizes.items():
            print(f"{size / 1e6:10.3f} MB  {name}")
        print(f"{sum(submission.sizes.values()) / 1e6:10.3f} MB  {submission.folder}")
        if submission.left_out:
            print(f"not imported, left out of requirements.txt: {', '.join(submission.left_out)}")
    failed = False
    if build:
        interpreter = python or sys.executable
        arguments = dict(item.partition("=")[::2] for item in build_arg or [])
        built = build_and_run(
            submission.folder,
            output_folder,
            BuildOptions(tag, arguments, data, limit, gpus, user, interpreter, save),  # type: ignore[arg-type]
        )
        failed = counts(built.checks)["fail"] > 0
        report |= report_json(built.checks) | {"image": built.image}
        if not json_output:
            from cinc_ecg.cli.validate import print_checks

            print_checks(built.checks)
    if json_output:
        print(json.dumps(report, indent=1))
    if failed:
        raise typer.Exit(EXIT_FAILED)
