import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from cinc_ecg.cli import app
from cinc_ecg.cli.doctor import run_checks
from cinc_ecg.errors import InputError

HEAVY = ("numpy", "torch", "scipy", "pandas", "cv2", "wfdb", "PIL", "matplotlib", "pypdfium2")


def run(capsys, *args):
    code = app.run([str(arg) for arg in args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def one_line(text, code):
    assert re.fullmatch(rf"cinc-ecg: \[{code}\] [^\n]+\n", text), text


@pytest.mark.parametrize("command", [[], *([name] for name in app.COMMANDS)])
def test_help_is_light(command):
    """Help imports nothing heavy; how long it takes is measured by benchmarks, not here."""
    program = (
        "import sys; from cinc_ecg.cli.app import run; "
        f"code = run({[*command, '--help']!r}); "
        f"print('loaded', [m for m in {HEAVY!r} if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("loaded []")
    assert "Usage:" in done.stdout


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("cinc-ecg ")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["nope"], "usage"),
        (["digitize"], "usage"),
        (["digitize", "x.png"], "usage"),
        (["digitize", "x.png", "-o", "OUT", "--jobs", "many"], "usage"),
        (["digitize", "x.png", "-o", "OUT", "--fs", "1"], "usage"),
        (["digitize", "x.png", "-o", "OUT", "--format", "edf"], "format_unknown"),
        (["digitize", "x.png", "-o", "OUT", "--layout", "3x4+9"], "layout_unknown"),
        (["digitize", "x.png", "-o", "OUT", "--leads", "I,II,IV"], "lead_unknown"),
        (["digitize", "*.no-such", "-o", "OUT"], "input_nothing"),
        (["digitize", "x.png", "-o", "FILE"], "output_unwritable"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(tmp_path, capsys, args, reason):
    (tmp_path / "file").touch()
    places = {"OUT": str(tmp_path / "out"), "FILE": str(tmp_path / "file")}
    code, out, err = run(capsys, *(places.get(arg, arg) for arg in args))
    assert code == 2
    assert out == ""
    one_line(err, reason)


@pytest.mark.parametrize("args", [(), ("prepare",)])
def test_a_bare_command_shows_its_help_in_lines(capsys, args):
    code, out, err = run(capsys, *args)
    assert code == 2
    assert len((out + err).splitlines()) > 5
    assert "[usage]" not in err


def test_nearby_layouts_are_suggested(tmp_path, capsys):
    _, _, err = run(capsys, "digitize", "x.png", "-o", tmp_path / "o", "--layout", "3x4+I")
    assert "3x4+1" in err


def test_bad_pictures_are_one_line_each_and_code_2(tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "zero.png").touch()
    names = [tmp_path / name for name in ("none.png", "text.png", "zero.png")]
    code, out, err = run(capsys, "digitize", *names, "-o", tmp_path / "out", "--json", "-j", "1")
    assert code == 2
    assert "Traceback" not in err
    assert sorted(re.findall(r"\[(\w+)\]", err)) == [
        "image_empty",
        "image_missing",
        "image_unreadable",
    ]
    assert len(err.splitlines()) == 3
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["status"] for row in rows} == {"failed"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.csv",
        "report.jsonl",
    ]


def test_errors_and_interrupts_have_their_exit_codes(capsys, monkeypatch):
    def fail_with(error):
        def command(*_args, **_options):
            raise error

        monkeypatch.setattr(app, "app", command)
        return run(capsys)

    code, _, err = fail_with(InputError("two\nlines", code="some_code"))
    assert (code, err) == (2, "cinc-ecg: [some_code] two lines\n")
    assert fail_with(KeyboardInterrupt())[0] == 130


def test_doctor_finds_this_machine_fit(capsys):
    checks = list(run_checks())
    assert not [check for check in checks if check.state == "error"]
    assert {"python", "numpy", "torch", "cuda", "opencv", "disk", "folder"} <= {
        check.name for check in checks
    }


def test_doctor_reports_a_broken_machine(capsys, monkeypatch):
    from cinc_ecg.cli import doctor

    versions = {"opencv-python": "4.0", "pandas": "3.0.1"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    code, out, _ = run(capsys, "doctor", "--json")
    states = {check["name"]: check for check in json.loads(out)}
    assert code == 1
    assert states["opencv"]["state"] == "warning"
    assert states["pandas for wfdb"]["state"] == "error"
    assert "pip install numpy" in states["numpy"]["text"]


def test_installed_command_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "cinc_ecg", "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.startswith("cinc-ecg ")


def test_a_blank_tiny_picture_is_refused_with_a_code(tmp_path, capsys):
    Image.new("RGB", (10, 10)).save(tmp_path / "tiny.png")
    code, _, err = run(capsys, "digitize", tmp_path / "tiny.png", "-o", tmp_path / "out")
    assert code == 2
    one_line(err, "image_too_small")
