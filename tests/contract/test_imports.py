"""The import table (imports.toml) is the architecture; this test enforces it."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cinc_ecg"
TABLE = tomllib.loads((Path(__file__).parent / "imports.toml").read_text())
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name not in ("__main__.py",)]


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_keeps_the_import_table(path):
    part = part_of(path)
    if part == "__init__":
        return  # lazy names only, under TYPE_CHECKING
    assert part in TABLE["allowed"], f"{part} is not in imports.toml"
    for name in imported_names(path):
        top, _, rest = name.partition(".")
        if top == "cinc_ecg":
            target = rest.split(".")[0]
            if target in ("", "__version__"):
                continue
            assert target == part or target in TABLE["allowed"][part], f"{path}: imports {name}"
        elif top in TABLE["third_party"]:
            assert part in TABLE["third_party"][top], f"{path}: imports {name}"
        assert top not in ("helper_code", "team_code", "tests", "benchmarks"), (
            f"{path}: imports {name}"
        )


def test_import_graph_has_no_cycle():
    allowed = TABLE["allowed"]
    done: set[str] = set()

    def visit(part: str, path: tuple[str, ...]) -> None:
        assert part not in path, " -> ".join((*path, part))
        if part not in done:
            for target in allowed[part]:
                visit(target, (*path, part))
            done.add(part)

    for part in allowed:
        visit(part, ())
    assert done == set(allowed)
