"""What goes into an image, and what a tree of files needs."""

import pytest

from cinc_ecg.challenge.context import context_files, copy_context
from cinc_ecg.challenge.reach import reachable_files
from cinc_ecg.challenge.requirements import (
    conflicts,
    distributions_of,
    imports_of,
    installed_closure,
    needed_pins,
    read_pins,
    third_party,
)


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def taken(root, ignore=None):
    if ignore is not None:
        (root / ".dockerignore").write_text(ignore)
    return {p.as_posix() for p in context_files(root)} - {".dockerignore"}


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        ("", {"a.py", "p/b.py", "p/q/c.txt", "model/w"}),
        ("# nothing\n*.py\n", {"p/b.py", "p/q/c.txt", "model/w"}),
        ("**/*.py", {"p/q/c.txt", "model/w"}),
        ("p", {"a.py", "model/w"}),
        ("p/\n!p/q", {"a.py", "p/q/c.txt", "model/w"}),
        ("*\n!a.py", {"a.py"}),
        ("*\n!p\np/q", {"p/b.py"}),
        ("?.py", {"p/b.py", "p/q/c.txt", "model/w"}),
    ],
)
def test_ignore_patterns_mean_what_docker_means(tmp_path, ignore, expected):
    make(tmp_path, "a.py", "p/b.py", "p/q/c.txt", "model/w", ".git/config", "p/__pycache__/x")
    make(tmp_path, "env/pyvenv.cfg", "env/lib/big.py")
    assert taken(tmp_path, ignore) == expected


def test_a_context_is_copied_with_its_folders(tmp_path):
    make(tmp_path / "tree", "a.py", "p/b.py", "no/c.py")
    (tmp_path / "tree" / ".dockerignore").write_text("no\n.dockerignore")
    copied = copy_context(tmp_path / "tree", tmp_path / "copy")
    assert taken(tmp_path / "copy") == {p.as_posix() for p in copied} == {"a.py", "p/b.py"}


def test_pins_are_read_with_comments_options_and_markers():
    text = "# all\n-r other.txt\nNumPy==2.0 # why\nscipy>=1\nfoo==1.*\nbar==1,<2\n???\n"
    pins = [(pin.name, pin.version) for pin in read_pins(text)]
    assert pins == [("numpy", "2.0"), ("scipy", None), ("foo", None), ("bar", None), ("", None)]
    marked = read_pins("x==1 ; python_version < '4'\ny[z]==2\n")
    assert [(p.name, p.version) for p in marked] == [("x", "1"), ("y", "2")]


def test_a_pin_that_anothers_metadata_excludes_is_a_conflict():
    closure = installed_closure(["wfdb"])
    good = "".join(f"{name}=={version}\n" for name, version in closure.items())
    assert list(conflicts(read_pins(good))) == []
    bad = good.replace(f"numpy=={closure['numpy']}", "numpy==1.0")
    assert any("numpy" in text and "wfdb" in text for text in conflicts(read_pins(bad)))


def test_imports_that_may_never_run_are_told_apart(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import os, x.y\nfrom z import q\nfrom . import near\n"
        "try:\n    import maybe\nexcept ImportError:\n    maybe = None\n"
        "def f():\n    import late\n"
    )
    assert imports_of(file, deferred=False) == {"os", "x", "z"}
    assert imports_of(file, deferred=True) == {"os", "x", "z", "maybe", "late"}


def test_modules_map_to_their_distributions():
    assert distributions_of("PIL") == ("pillow",)
    assert "opencv-python-headless" in distributions_of("cv2")
    assert distributions_of("not_installed_anywhere") == ("not-installed-anywhere",)


def test_only_what_is_reached_counts(tmp_path):
    make(tmp_path, "pack/__init__.py", "pack/plugin.py", "pack/unused.py", "pack/sub/__init__.py")
    (tmp_path / "run.py").write_text("from pack import used\n")
    (tmp_path / "pack" / "used.py").write_text(
        "from .sub import deep\nNAME = 'pack.plugin:make'\nimport numpy\n"
    )
    (tmp_path / "pack" / "sub" / "deep.py").write_text("from .. import near\nimport PIL\n")
    (tmp_path / "pack" / "near.py").write_text("")
    (tmp_path / "pack" / "unused.py").write_text("import scipy\n")
    reached = {p.relative_to(tmp_path).as_posix() for p in reachable_files(tmp_path, ["run.py"])}
    package = {"__init__.py", "used.py", "plugin.py", "near.py", "sub/__init__.py", "sub/deep.py"}
    assert reached == {"run.py"} | {f"pack/{name}" for name in package}
    assert set(third_party(tmp_path, deferred=True)) == {"numpy", "PIL", "scipy"}
    pins = read_pins("numpy==1\nscipy==1\npillow==1\n")
    assert [p.name for p in needed_pins(tmp_path, pins, ["run.py"])] == ["numpy", "pillow"]
