"""`cinc-ecg backbones` as a user meets it."""

import json

import pytest

from cinc_ecg.cli.app import run


def call(capsys, *args):
    code = run(["backbones", *args])
    out, err = capsys.readouterr()
    return code, out, err


def test_list_shows_schemes_and_presets(capsys):
    code, out, _ = call(capsys, "list")
    assert code == 0
    for text in ("cinc:", "hf:", "timm:", "torchvision:", "builtin", "timm:convnextv2_nano"):
        assert text in out


def test_list_of_one_scheme_has_both_kinds(capsys):
    _, out, _ = call(capsys, "list", "cinc")
    assert "cinc:tiny  (image)" in out
    assert "cinc:xresnet1d50  (signal)" in out
    _, out, _ = call(capsys, "list", "cinc", "--kind", "signal", "--match", "xresnet1d1")
    assert out.split() == ["cinc:xresnet1d18", "cinc:xresnet1d101", "cinc:xresnet1d152"]


def test_list_as_json(capsys):
    _, out, _ = call(capsys, "list", "--json")
    document = json.loads(out)
    assert {"scheme", "kind", "plugin", "missing"} <= document["schemes"][0].keys()
    assert document["broken"] == {}


def test_show_finds_the_kind_from_the_name(capsys):
    _, out, _ = call(capsys, "show", "cinc:resnet1d_wang?width=4", "--json")
    facts = json.loads(out)
    assert (facts["kind"], facts["channels"], facts["strides"]) == ("signal", [16], [4])
    _, out, _ = call(capsys, "show", "cinc:tiny")
    assert "4, 8, 16, 32" in out


def test_check_says_what_was_checked(capsys):
    code, out, _ = call(capsys, "check", "cinc:tiny", "--image-size", "64x128")
    assert code == 0
    assert all(line.startswith("ok  ") for line in out.splitlines())
    assert "gradient" in out


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["show", "cinc:tny"], "[backbone_unknown] no image backbone cinc:tny; did you mean tiny?"),
        (["show", "cinc:ecg_resnet1d", "--kind", "image"], "it is a backbone for a signal"),
        (["list", "cnc"], "did you mean cinc?"),
        (["show", "tiny"], "write scheme:name"),
        (["show", "cinc:tiny", "--weights", "local:/nothing"], "[weights_missing]"),
        (["check", "cinc:tiny", "--image-size", "big"], "expected HEIGHTxWIDTH"),
        (["list", "--kind", "video"], "expected image or signal"),
        (["fetch", "cinc:tiny"], "[weights_fetch]"),
    ],
)
def test_mistakes_are_one_line(capsys, args, part):
    code, out, err = call(capsys, *args)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert part in err
