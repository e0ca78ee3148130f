"""The command `cinc-ecg`: one Typer app, one module per command.

Command modules import what they run inside their bodies, so that `--help` loads neither NumPy nor
torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from cinc_ecg._version import __version__
from cinc_ecg.errors import CincEcgError

EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

#: Command -> "module:function", in the order of the help text.
COMMANDS = {
    "digitize": "cinc_ecg.cli.digitize:digitize",
    "classify": "cinc_ecg.cli.classify:classify",
    "generate": "cinc_ecg.cli.generate:generate",
    "train": "cinc_ecg.cli.train:train",
    "predict": "cinc_ecg.cli.predict:predict",
    "evaluate": "cinc_ecg.cli.evaluate:evaluate",
    "score": "cinc_ecg.cli.score:score",
    "validate": "cinc_ecg.cli.validate:validate",
    "package": "cinc_ecg.cli.package:package",
    "demo": "cinc_ecg.cli.demo:demo",
    "import-checkpoint": "cinc_ecg.cli.import_checkpoint:import_checkpoint",
    "doctor": "cinc_ecg.cli.doctor:doctor",
}
#: Group of commands -> "module:app".
GROUPS = {
    "prepare": "cinc_ecg.cli.prepare:prepare",
    "backbones": "cinc_ecg.cli.backbones:backbones",
}

app = typer.Typer(
    name="cinc-ecg",
    help="Calibrated signals from pictures of 12-lead electrocardiograms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cinc-ecg {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Calibrated signals from pictures of 12-lead electrocardiograms."""


def _register() -> None:
    for name, target in COMMANDS.items():
        module, function = target.split(":")
        app.command(name)(getattr(import_module(module), function))
    for name, target in GROUPS.items():
        module, group = target.split(":")
        app.add_typer(getattr(import_module(module), group), name=name)


_register()


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; a mistake of the user's is one line on stderr, never a traceback."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 ok, 1 some failed, 2 usage, 130
    interrupted."""
    try:
        code = app(list(args) if args is not None else None, standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            _say("[interrupted] stopped; finished results are kept")
        return code if isinstance(code, int) else EXIT_OK
    except CincEcgError as error:
        _say(f"[{error.reason_code}] {_one_line(error)}")
        return EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        _say("[interrupted] stopped; finished results are kept")
        return EXIT_INTERRUPTED
    except typer.TyperException as mistake:
        formatted = getattr(mistake, "format_message", mistake.__str__)()
        if formatted.startswith("Usage:"):  # a bare `cinc-ecg` asks for help, laid out in lines
            print(formatted, file=sys.stderr)
            return EXIT_USAGE
        text = " ".join(formatted.split()).rstrip(".")
        hint = "" if text.endswith("?") else "; --help tells more"
        _say(f"[usage] {text}{hint}")
        return EXIT_USAGE


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _say(text: str) -> None:
    print(f"cinc-ecg: {text}", file=sys.stderr)
