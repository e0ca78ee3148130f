"""The documentation says what the program does: commands, reason codes, links, code blocks."""

import ast
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from benchmarks import readme_table

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
#: Codes that are no literals where they are raised: the command line's own and the batch's.
SPOKEN = {"usage", "interrupted", "worker_crashed", "timeout", "internal", "no_images"}


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def literals(node):
    """Yield the strings an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def codes_of(path):
    """Yield every reason code that a module states."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("code", "reason_code"):
                    yield from literals(keyword.value)
            name = getattr(node.func, "id", "")
            if name == "Note" and node.args:
                yield from literals(node.args[0])
            if name == "_stop":
                yield from literals(node.args[-1])
        if isinstance(node, ast.ClassDef) and path.name == "errors.py":
            for line in node.body:
                if isinstance(line, ast.Assign | ast.AnnAssign) and line.value:
                    yield from literals(line.value)


def documented_codes():
    text = (DOCS / "reference" / "reason-codes.md").read_text()
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {code for cell in cells for code in re.findall(r"`(\w+)`", cell)}


def test_every_reason_code_is_documented_and_every_documented_one_exists():
    stated = {c for path in (ROOT / "cinc_ecg").rglob("*.py") for c in codes_of(path)}
    assert len(stated) > 40
    assert stated | SPOKEN == documented_codes()


def test_spoken_codes_are_in_the_program():
    text = "".join(path.read_text() for path in (ROOT / "cinc_ecg").rglob("*.py"))
    for code in SPOKEN:
        assert f'"{code}"' in text or f"[{code}]" in text, code


def test_command_line_reference_is_up_to_date():
    page = (DOCS / "reference" / "cli.md").read_text()
    reference = load("make_cli_reference")
    for name, command in reference.all_commands():
        assert f"\n## {name}\n" in page
        for parameter in command.params:
            for option in getattr(parameter, "opts", ()):
                assert f"`{option}`" in page or not option.startswith("-"), (name, option)
    assert page == reference.text(), "run: python docs/make_cli_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, target


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shell_lines(page):
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                yield line.split(" #")[0].strip()


def all_shell_lines():
    return [(str(p.relative_to(ROOT)), line) for p in PAGES for line in shell_lines(p)]


@pytest.mark.parametrize(("page", "line"), all_shell_lines())
def test_documented_commands_exist(page, line):
    """Every command of the documentation is one of the program's, with options that it has."""
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {w for w in words[1:] if "=" not in w} <= set(targets)
    elif words[0] == "cinc-ecg":
        commands = dict(load("make_cli_reference").all_commands())
        name = next(n for n in (" ".join(words[:3]), " ".join(words[:2])) if n in commands)
        known = {o for p in commands[name].params for o in [*p.opts, *p.secondary_opts]}
        used = {w.split("=")[0] for w in words if re.match(r"--?[a-z]", w)}
        assert used <= known, page
    elif words[0] == "python":
        target = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
        assert (ROOT / target).exists() or not target.startswith(("benchmarks", "docs")), page
    else:
        assert words[0] in {"git", "cd", "pip", "docker", "for", "done", "sort", "export", "source"}


def python_pages():
    return [page for page in PAGES if blocks(page, "python") and "scoring" not in page.name]


@pytest.mark.parametrize("page", python_pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of one page run one after the other, on a page that was just drawn."""
    from cinc_ecg.report.encode import encode_png
    from cinc_ecg.synth.ecg import simulate
    from cinc_ecg.synth.page import render
    from cinc_ecg.synth.settings import PageSettings, with_values

    monkeypatch.chdir(tmp_path)
    drawn, _ = render(simulate(seed=1), with_values(PageSettings(), {"paper.dpi": 150.0}), seed=1)
    (tmp_path / "page.png").write_bytes(encode_png(drawn.pixels))
    space = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), space)


def test_readme_keeps_the_promised_order():
    text = (ROOT / "README.md").read_text()
    landmarks = ("docs/images/clean.jpg", "make demo", "Not a medical device", readme_table.START)
    places = [text.index(mark) for mark in landmarks]
    assert places == sorted(places)
    assert "docs/benchmarks.md" in text


def test_citation_and_change_log_name_this_version():
    from cinc_ecg import __version__

    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    licence = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert f"license: {licence}" in (ROOT / "CITATION.cff").read_text()


def test_pictures_are_small():
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size <= 250_000, picture.name


BENCHMARK = """\
# Benchmark

| condition | pages | mean | median | worst | ≥ 10 dB | mistaken | refused | silent | s/page | MB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| clean | 40 | 21.5 | 22.0 | 3.1 | 98 % | 0/480 | 0 | 0 | 3.1 | 800 |
| camera3 | 40 | 7.0 | 8.0 | -4.0 | 40 % | 3/480 | 9 | 2 | 4.0 | 900 |

## Variants

| condition | pages |
| --- | ---: |
| layouts: 6x2 | 4 |
"""


def test_readme_table_is_refreshed_between_its_markers(tmp_path):
    readme, page = tmp_path / "README.md", tmp_path / "benchmarks.md"
    readme.write_text(f"before\n{readme_table.START}\nold\n{readme_table.END}\nafter\n")
    page.write_text(BENCHMARK)
    assert readme_table.main(["--readme", str(readme), "--benchmark", str(page)]) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    rows = [[c.strip() for c in r.strip("|").split("|")] for r in text.splitlines() if "|" in r]
    header, camera = rows[0], rows[-1]
    assert rows[2][0] == "clean"
    assert "layouts: 6x2" not in text
    cells = dict(zip(header, camera, strict=True))
    assert (cells["condition"], cells["mean"], cells["refused"]) == ("camera3", "7.0", "9")
    assert cells["silent"] == "2"  # failures are shown
    assert readme_table.main(["--readme", str(readme), "--benchmark", str(page)]) == 0
    assert readme.read_text() == text


def test_readme_table_says_what_is_missing(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("no markers")
    page = tmp_path / "benchmarks.md"
    assert readme_table.main(["--readme", str(readme), "--benchmark", str(page)]) == 2
    page.write_text(BENCHMARK)
    assert readme_table.main(["--readme", str(readme), "--benchmark", str(page)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert readme.read_text() == "no markers"


def test_configuration_reference_is_up_to_date():
    reference = load("make_config_reference")
    page = (DOCS / "reference" / "configuration.md").read_text()
    assert page == reference.text(), "run: python docs/make_config_reference.py"
    described = {name: meaning for name, _, meaning in reference.leaves(reference.TrainConfig())}
    assert not [name for name, meaning in described.items() if not meaning]
