"""`cinc-ecg validate`: a clean submission passes; each planted fault is found by its check."""

import json
import os
import sys
import zipfile

import pytest

from cinc_ecg.challenge.validate.code import check_code
from cinc_ecg.challenge.validate.dockerfile import check_dockerfile
from cinc_ecg.challenge.validate.drivers import check_drivers
from cinc_ecg.challenge.validate.files import check_files
from cinc_ecg.challenge.validate.needs import check_requirements
from cinc_ecg.challenge.validate.report import counts
from cinc_ecg.challenge.validate.run import ValidateOptions, check_static, validate
from cinc_ecg.challenge.validate.sandbox import Sandbox
from cinc_ecg.cli.app import run

STATIC = ValidateOptions(resolve=False)


def states(checks):
    return {check.name: check.state for check in checks}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def append(path, text):
    path.write_text(path.read_text() + text)


def prepend(path, text):
    path.write_text(text + path.read_text())


def link_out(root):
    outside = root.parent / "outside.py"
    outside.write_text("x = 1\n")
    (root / "more.py").symlink_to(outside)


def installed_package(root):
    """A package that lies elsewhere and is found by a path the team's machine has."""
    elsewhere = root.parent / "elsewhere" / "ecgteam"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("")
    append(
        root / "team_code.py",
        f"\nimport sys\nsys.path.append({str(elsewhere.parent)!r})\nimport ecgteam\n",
    )


#: Fault -> (how it is planted, the check that must find it, how bad it is).
STATIC_FAULTS = {
    "no run script": (lambda r: (r / "run_model.py").unlink(), "files.required", "fail"),
    "model folder misnamed": (lambda r: (r / "model").rename(r / "models"), "files.model", "fail"),
    "weights are a pointer": (
        lambda r: (r / "model" / "w.pt").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        "files.model",
        "fail",
    ),
    "no authors": (lambda r: (r / "AUTHORS.txt").write_text("\n"), "files.authors", "fail"),
    "no licence": (lambda r: (r / "LICENSE.txt").unlink(), "files.licence", "warn"),
    "link out of the tree": (link_out, "files.links", "fail"),
    "model ignored by docker": (
        lambda r: (r / ".dockerignore").write_text("*\n!*.py\n!requirements.txt\n"),
        "files.ignored",
        "fail",
    ),
    "unpinned requirement": (
        lambda r: edit(r / "requirements.txt", "scipy==1.17.1", "scipy>=1.10"),
        "requirements.pinned",
        "fail",
    ),
    "module name for distribution": (
        lambda r: append(r / "requirements.txt", "sklearn==0.0.post12\n"),
        "requirements.names",
        "fail",
    ),
    "two versions of one thing": (
        lambda r: append(r / "requirements.txt", "numpy==1.26.4\n"),
        "requirements.consistent",
        "fail",
    ),
    "import not required": (
        lambda r: prepend(r / "team_code.py", "import pandas\n"),
        "requirements.complete",
        "fail",
    ),
    "fixed line changed": (
        lambda r: edit(r / "Dockerfile", "COPY ./ /challenge", "COPY . /challenge/"),
        "docker.fixed_lines",
        "fail",
    ),
    "latest base": (
        lambda r: edit(r / "Dockerfile", "python:3.11.13-slim-bookworm", "python:latest"),
        "docker.base",
        "fail",
    ),
    "cache in /root": (
        lambda r: append(r / "Dockerfile", "ENV TORCH_HOME=/root/.cache/torch\n"),
        "docker.paths",
        "fail",
    ),
    "other cuda than torch": (
        lambda r: (
            edit(r / "Dockerfile", "python:3.11.13-slim", "nvidia/cuda:11.8.0-runtime"),
            append(r / "requirements.txt", "torch==2.4.0+cu121\n"),
        ),
        "docker.cuda",
        "fail",
    ),
    "torchvision of another build": (
        lambda r: append(r / "requirements.txt", "torch==2.4.0+cpu\ntorchvision==0.19.0\n"),
        "docker.cuda",
        "fail",
    ),
    "package only installed": (installed_package, "code.import", "fail"),
    "function with one argument less": (
        lambda r: edit(r / "team_code.py", "def load_models(model_folder, verbose)",
                       "def load_models(model_folder)"),
        "code.functions",
        "fail",
    ),
    "own helper function": (
        lambda r: (
            append(r / "helper_code.py", "\ndef my_filter(x):\n    return x\n"),
            edit(r / "team_code.py", "find_records, load", "find_records, my_filter, load"),
        ),
        "code.helpers",
        "fail",
    ),
    "writes to /tmp": (
        lambda r: append(
            r / "team_code.py", "\ndef note():\n    open('/tmp/note.txt', 'w').write('x')\n"
        ),
        "code.writes",
        "fail",
    ),
    "edited training script": (
        lambda r: edit(r / "train_model.py", "(args.data_folder, args.model_folder, args.verbose)",
                       "(args.data_folder, args.model_folder, True)"),
        "drivers.train",
        "fail",
    ),
    "edited run script": (
        lambda r: edit(r / "run_model.py", '"... failed."', '"... skipped."'),
        "drivers.run",
        "fail",
    ),
    "setting in a driver": (
        lambda r: prepend(r / "run_model.py", "import os\nos.environ['OMP_NUM_THREADS'] = '1'\n"),
        "drivers.surface",
        "fail",
    ),
    "python too old for the package": (
        lambda r: (
            edit(r / "Dockerfile", "python:3.11.13", "python:3.8.20"),
            (r / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.11"\n'),
        ),
        "docker.python",
        "fail",
    ),
}  # fmt: skip


def test_the_clean_tree_passes_the_static_checks(tree, tmp_path):
    found = list(check_static(tree, tmp_path / "work", STATIC))
    assert {name: s for name, s in states(found).items() if s != "pass"} == {}
    assert len(found) > 20
    assert all(check.text for check in found)
    assert sum(counts(found).values()) == len(found)


@pytest.mark.parametrize("fault", STATIC_FAULTS)
def test_a_planted_fault_is_found_and_the_remedy_named(tree, tmp_path, fault):
    plant, check_name, state = STATIC_FAULTS[fault]
    plant(tree)
    found = part_of(check_name, tree, tmp_path / "work")
    assert states(found)[check_name] == state
    assert all(check.fix for check in found if check.state != "pass")
    others = {name for name, s in states(found).items() if s != "pass"} - {check_name}
    assert others == set()


def part_of(check_name, tree, work):
    """Run the part of the static checks that a check belongs to."""
    work.mkdir()
    sandbox = Sandbox(work, sys.executable)
    parts = {
        "files": lambda: check_files(tree),
        "requirements": lambda: check_requirements(tree, resolve=False),
        "docker": lambda: check_dockerfile(tree),
        "code": lambda: check_code(tree, sandbox),
        "drivers": lambda: check_drivers(tree, sandbox),
    }
    return list(parts[check_name.split(".")[0]]())


#: Fault of the team code -> (old text, new text, the check that must find it, how bad it is).
TRIAL_FAULTS = {
    "needs every label": (
        'if line.startswith("# Labels:"):',
        'assert "# Labels:" in load_header(os.path.join(data_folder, record))\n'
        '            if line.startswith("# Labels:"):',
        "robust.missing_labels",
        "fail",
    ),
    "training changes nothing": (
        'json.dump({"n": len(records), "counts": counts}, stream)',
        'json.dump({"n": 1, "counts": {}}, stream)',
        "robust.less_data",
        "fail",
    ),
    "label misspelt": ('["NORM"]', '["Norm"]', "retrained.outputs", "fail"),
    "wrong rate": ("n, leads = int(fields[3])", "n, leads = int(fields[3]) // 2",
                   "retrained.outputs", "fail"),
    "asks the network": (
        "    fields = load",
        "    import urllib.request\n"
        "    urllib.request.urlopen('http://192.0.2.1/weights', timeout=2)\n    fields = load",
        "pretrained.run",
        "fail",
    ),
    "writes beside the data": (
        "    fields = load",
        "    open(record + '.cache', 'w').write('x')\n    fields = load",
        "trial.writes",
        "fail",
    ),
    "saves no model": (
        'os.path.join(model_folder, "model.json"), "w"',
        '"model/model.json", "w"',
        "trial.model",
        "fail",
    ),
    "a broken picture stops the run": (
        "    fields = load",
        "    assert os.path.getsize(record + '-0.png') > 200\n    fields = load",
        "robust.failing_record",
        "warn",
    ),
}  # fmt: skip


def test_the_clean_tree_passes_the_trial(tree, data):
    found = validate(tree, ValidateOptions(data, limit=6, resolve=False))
    assert {c.name: c.text for c in found if c.state != "pass"} == {}
    names = states(found)
    assert {"trial.train", "pretrained.run", "retrained.score", "robust.more_data"} <= set(names)
    assert {"robust.allow_failures", "retrained.run_time", "retrained.run_memory"} <= set(names)


@pytest.mark.slow
@pytest.mark.parametrize("fault", TRIAL_FAULTS)
def test_a_fault_that_only_shows_when_tried_is_found(tree, data, fault):
    old, new, check_name, state = TRIAL_FAULTS[fault]
    edit(tree / "team_code.py", old, new)
    found = validate(tree, ValidateOptions(data, limit=6, resolve=False))
    assert states(found)[check_name] == state
    assert all(check.fix for check in found if check.state != "pass")


def wheel(folder, name, version, requires=()):
    """Write the smallest wheel that pip takes."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(("wanted", "state"), [("alpha<2", "pass"), ("alpha<1", "fail")])
def test_requirements_that_pip_cannot_resolve_are_found(tree, tmp_path, monkeypatch, wanted, state):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "alpha", "1.0")
    wheel(wheels, "beta", "1.0", [wanted])
    for name in [n for n in os.environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    (tree / "requirements.txt").write_text("alpha==1.0\nbeta==1.0\n")
    assert states(check_requirements(tree, resolve=True))["requirements.resolvable"] == state


def test_the_command_prints_json_and_ends_with_1_when_a_check_fails(tree, capsys):
    (tree / "AUTHORS.txt").unlink()
    assert run(["validate", str(tree), "--no-resolve", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "cinc_ecg/validation"
    assert report["counts"]["fail"] == 1
    [failed] = [check for check in report["checks"] if check["state"] == "fail"]
    assert failed["name"] == "files.authors"
    assert run(["validate", str(tree), "--no-resolve"]) == 1
    printed = capsys.readouterr().out
    assert "AUTHORS.txt is missing or empty" in printed
    assert failed["fix"].split(",")[0] in " ".join(printed.split())


def test_a_missing_folder_is_one_line(tmp_path, capsys):
    assert run(["validate", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_data_without_pictures_cannot_be_tried(tree, data, tmp_path, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in data.glob("*.hea"):
        (bare / path.name).write_text(path.read_text())
    assert run(["validate", str(tree), "-d", str(bare), "--no-resolve"]) == 2
    assert "data_incomplete" in capsys.readouterr().err
