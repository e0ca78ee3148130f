"""Write docs/reference/cli.md from the command line itself: `python docs/make_cli_reference.py`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cinc_ecg.cli.app import app

TARGET = Path(__file__).parent / "reference" / "cli.md"
HEAD = """\
# Command line

Written by `python docs/make_cli_reference.py` from the program; do not edit.

Exit codes: 0 ok; 1 some pages or records failed; 2 all failed, or wrong usage; 130 interrupted.
`score`, `validate`, `package` and `doctor` end with 1 whenever something is wrong. A mistake of
usage is one line on stderr with a [reason code](reason-codes.md), never a traceback.
`cinc-ecg --version` prints the version.
"""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, groups opened."""
    inner = getattr(command, "commands", None)
    if not inner:
        yield name, command
        return
    for word, below in inner.items():
        yield from commands(below, f"{name} {word}")


def all_commands() -> list[tuple[str, Any]]:
    """Return (full name, command) of the whole program in the order of its help."""
    return list(commands(typer.main.get_command(app), "cinc-ecg"))


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = (parameter.name or "").upper()
        return f"`{name if parameter.required else f'[{name}]'}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in sorted(names, key=lambda n: n.startswith("--")))


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or value is False or value == () or callable(value):
        return ""
    if value is True:
        return "on"
    if str(value) == sys.executable:
        return "this one"
    return f"`{value}`"


def _section(name: str, command: Any) -> str:
    help_text = "\n".join(line.strip() for line in (command.help or "").splitlines())
    rows = [
        f"| {_names(p)} | {' '.join((p.help or '').split()).replace('|', chr(92) + '|')} "
        f"| {_default(p)} |"
        for p in command.params
        if p.name != "help"
    ]
    head = [f"## {name}\n", f"{help_text.strip()}\n"]
    return "\n".join([*head, "| option | meaning | default |", "|---|---|---|", *rows])


def text() -> str:
    """Return the whole page."""
    return HEAD + "".join(f"\n{_section(name, command)}\n" for name, command in all_commands())


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
