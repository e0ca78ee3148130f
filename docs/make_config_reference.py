"""Write docs/reference/configuration.md: `python docs/make_config_reference.py`."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from cinc_ecg.training.config import TrainConfig, named_configs
from cinc_ecg.training.dx_config import DxTrainConfig

TARGET = Path(__file__).parent / "reference" / "configuration.md"
HEAD = """\
# Training configuration

Written by `python docs/make_config_reference.py` from the program; do not edit.

Every key of `cinc-ecg train`, with its default. A YAML file (`--config`, or a name below) is laid
over the defaults, `key=value` arguments over that. An unknown key or a wrong value is an error that
names its neighbours. `--dry-run` prints the result; OUT/config.yaml keeps it, and the model's card
tells what inference needs.

Named configurations: {names}. How to use them: [train a model](../how-to/train.md).
"""

DX_HEAD = """\
## The diagnosis model

The keys of `cinc-ecg train dx` ([how to](../how-to/classify.md#a-model-of-your-own)).
"""


def attributes(cls: type) -> dict[str, str]:
    """Return field -> description from a docstring's `Attributes:` section."""
    section = (cls.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        entry = re.match(r" {4,8}(\w+(?:, \w+)*): (.*)", line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        elif line.strip() and names:
            for name in names:
                found[name] += " " + line.strip()
    return found


def leaves(defaults: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted name, default, description) of every key of a configuration."""
    described = attributes(type(defaults))
    for entry in fields(defaults):
        value = getattr(defaults, entry.name)
        if is_dataclass(value):
            yield from leaves(value, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, value, described.get(entry.name, "")


def _value(default: Any) -> str:
    if isinstance(default, tuple | list):
        return f"`[{', '.join(str(item) for item in default)}]`"
    return f"`{default}`" if default != "" else "`''`"


def text() -> str:
    """Return the page."""
    lines = [HEAD.format(names=", ".join(f"`{name}`" for name in named_configs()))]
    for group in fields(TrainConfig):
        kind = get_type_hints(TrainConfig)[group.name]
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        lines += [f"## {group.name}", "", summary, "", "| key | default | meaning |", "|-|-|-|"]
        for name, default, meaning in leaves(kind(), f"{group.name}."):
            lines.append(f"| `{name}` | {_value(default)} | {meaning} |")
        lines.append("")
    lines += [DX_HEAD, "| key | default | meaning |", "|-|-|-|"]
    for name, default, meaning in leaves(DxTrainConfig()):
        lines.append(f"| `{name}` | {_value(default)} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
