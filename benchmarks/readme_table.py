"""Copy the benchmark's main table into the README: `python -m benchmarks.readme_table`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- benchmark table -->", "<!-- end of benchmark table -->"
COLUMNS = ("condition", "pages", "mean", "median", "worst", "mistaken", "refused", "silent")


def main_table(page: str) -> list[list[str]]:
    """Return header and rows of the first table of a Markdown page.

    Raises:
        ValueError: There is no table, or it lacks a column.
    """
    lines = page.splitlines()
    first = next((k for k, line in enumerate(lines) if line.startswith("| condition ")), None)
    if first is None:
        raise ValueError("holds no table; make one with: make benchmark")
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise ValueError(f"its table has no column {', '.join(missing)}")
    return [rows[0], *rows[2:]]


def compact(rows: list[list[str]]) -> str:
    """Lay the chosen columns out as a Markdown table."""
    chosen = [rows[0].index(name) for name in COLUMNS]
    rule = ["---"] + ["---:"] * (len(COLUMNS) - 1)
    lines = [[row[k] for k in chosen] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [lines[0], rule, *lines[1:]])


def refresh(readme: str, page: str) -> str:
    """Return the README with the table between its markers replaced.

    Raises:
        ValueError: A marker or the table is missing.
    """
    if START not in readme or END not in readme:
        raise ValueError(f"the README needs the lines {START} and {END}")
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{compact(main_table(page))}\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Refresh the README."""
    parser = argparse.ArgumentParser(description="Refresh the README's table.")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--benchmark", type=Path, default=ROOT / "docs" / "benchmarks.md")
    arguments = parser.parse_args(argv)
    try:
        text = refresh(
            arguments.readme.read_text(encoding="utf-8"),
            arguments.benchmark.read_text(encoding="utf-8"),
        )
    except (OSError, ValueError) as error:
        print(f"error: {arguments.benchmark}: {error}", file=sys.stderr)
        return 2
    arguments.readme.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
