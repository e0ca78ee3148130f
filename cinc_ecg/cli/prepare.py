"""`cinc-ecg prepare`: Challenge data from PTB-XL; the flags of the official scripts, and more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cinc_ecg.cli.progress import progress_bar

if TYPE_CHECKING:
    from cinc_ecg.challenge.prepare.folders import PrepareReport

EXIT_SOME_FAILED, EXIT_NOTHING_DONE = 1, 2

prepare = typer.Typer(help="Prepare Challenge data.", no_args_is_help=True)

Input = Annotated[Path, typer.Option("-i", "--input_folder", help="Folder with the records.")]
Output = Annotated[
    Path, typer.Option("-o", "--output_folder", help="Output folder; may be the input folder.")
]
PtbxlDatabase = Annotated[
    Path, typer.Option("-pd", "--ptbxl_database_file", help="PTB-XL's ptbxl_database.csv.")
]
PtbxlMapping = Annotated[
    Path, typer.Option("-pm", "--ptbxl_mapping_file", help="PTB-XL's scp_statements.csv.")
]
SlDatabase = Annotated[
    Path, typer.Option("-sd", "--sl_database_file", help="PTB-XL+'s 12sl_statements.csv.")
]
SlMapping = Annotated[
    Path, typer.Option("-sm", "--sl_mapping_file", help="PTB-XL+'s 12slv23ToSNOMED.csv.")
]


@prepare.command("ptbxl")
def ptbxl(
    input_folder: Input,
    ptbxl_database_file: PtbxlDatabase,
    ptbxl_mapping_file: PtbxlMapping,
    sl_database_file: SlDatabase,
    sl_mapping_file: SlMapping,
    output_folder: Output,
) -> None:
    """Write demographics and Challenge labels into the headers."""
    from cinc_ecg.challenge.prepare.labels import LabelFiles
    from cinc_ecg.challenge.prepare.ptbxl import prepare_ptbxl

    files = LabelFiles(ptbxl_database_file, ptbxl_mapping_file, sl_database_file, sl_mapping_file)
    with progress_bar("Preparing") as update:
        report = prepare_ptbxl(input_folder, output_folder, files, progress=update)
    _finish(report, output_folder)


@prepare.command("images")
def images(input_folder: Input, output_folder: Output) -> None:
    """Name each record's pictures in its header."""
    from cinc_ecg.challenge.prepare.images import prepare_images

    with progress_bar("Preparing") as update:
        report = prepare_images(input_folder, output_folder, progress=update)
    _finish(report, output_folder)


@prepare.command("hide")
def hide(
    input_folder: Input,
    output_folder: Output,
    include_waveforms: Annotated[
        bool, typer.Option("-w", "--include_waveforms", help="Keep the sample files.")
    ] = False,
    include_labels: Annotated[
        bool, typer.Option("-l", "--include_labels", help="Keep the labels.")
    ] = False,
    include_images: Annotated[
        bool, typer.Option("-m", "--include_images", help="Keep the pictures.")
    ] = False,
) -> None:
    """Trim headers to what hidden data has. In place, sample files not kept are deleted."""
    from cinc_ecg.challenge.prepare.hide import Keep, prepare_hide

    keep = Keep(include_waveforms, include_labels, include_images)
    with progress_bar("Hiding") as update:
        report = prepare_hide(input_folder, output_folder, keep, progress=update)
    _finish(report, output_folder)


@prepare.command("split")
def split(
    input_folder: Input,
    output_folder: Annotated[Path, typer.Option("-o", "--output_folder", help="Output folder.")],
    parts: Annotated[
        str, typer.Option("--parts", help="Names and shares, as in train=0.8,test=0.2.")
    ] = "train=0.8,test=0.2",
    patients: Annotated[
        Path | None,
        typer.Option("--patients", help="Table with ecg_id and patient_id (ptbxl_database.csv)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same split.")] = 0,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the records too, not only their lists.")
    ] = False,
) -> None:
    """Split records by patient with the same mix of labels in every part."""
    from cinc_ecg.challenge.prepare.split import prepare_split

    with progress_bar("Splitting") as update:
        found, report = prepare_split(
            input_folder,
            output_folder,
            _shares(parts),
            patients=patients,
            seed=seed,
            copy=copy,
            progress=update,
        )
    for part, records in found.items():
        typer.echo(f"{part}: {len(records)} records")
    _finish(report, output_folder)


@prepare.command("challenge")
def challenge(
    input_folder: Input,
    ptbxl_database_file: PtbxlDatabase,
    ptbxl_mapping_file: PtbxlMapping,
    sl_database_file: SlDatabase,
    sl_mapping_file: SlMapping,
    output_folder: Annotated[Path, typer.Option("-o", "--output_folder", help="Output folder.")],
    hidden: Annotated[
        float, typer.Option("--hidden", min=0, max=0.9, help="Share of records to hide.")
    ] = 0.1,
    pages: Annotated[int, typer.Option("--pages", min=1, help="Pictures per record.")] = 1,
    preset: Annotated[
        str, typer.Option("--preset", help="As in `generate`: clean, photo, vary, ...")
    ] = "clean",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Take so many records only.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same files.")] = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes (default: all cores).")
    ] = None,
) -> None:
    """Make training, hidden and hidden_ref folders with drawn pages; a second run goes on."""
    from cinc_ecg.challenge.prepare.labels import LabelFiles
    from cinc_ecg.challenge.prepare.pages import PageOptions, prepare_challenge

    files = LabelFiles(ptbxl_database_file, ptbxl_mapping_file, sl_database_file, sl_mapping_file)
    options = PageOptions(hidden, pages, preset, seed=seed, limit=limit, jobs=jobs)
    with progress_bar("Drawing") as update:
        report = prepare_challenge(input_folder, output_folder, files, options, progress=update)
    _finish(report, output_folder)


def _shares(text: str) -> dict[str, float]:
    """Parse train=0.8,test=0.2."""
    from cinc_ecg.errors import ConfigError

    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise ConfigError(
                f"{item!r} is no part; write name=share, as in train=0.8,test=0.2"
            ) from None
    return shares


def _finish(report: PrepareReport, folder: Path) -> None:
    """Say what was done; end with 1 when some records failed and 2 when all did."""
    for problem in report.problems:
        typer.echo(f"cinc-ecg: {problem}", err=True)
    typer.echo(f"{report.done} records in {folder}")
    if report.problems:
        raise typer.Exit(EXIT_SOME_FAILED if report.done else EXIT_NOTHING_DONE)
