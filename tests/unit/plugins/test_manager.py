"""Plugins are found, checked, kept apart; names and packages that are missing are said."""

import logging
import types

import pytest

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import BackboneManager, BackboneProvider, UnknownNameError, hookimpl
from cinc_ecg.plugins.providers import split_spec

HERE = __name__


class Net:
    channels, strides, min_multiple = (8,), (4,), 4


def build(request):
    if request.name == "bare":
        return object()
    if request.name == "fails":
        raise RuntimeError("no luck\nat all")
    if request.name not in names():
        raise UnknownNameError(request.name, "or draw it")
    net = Net()
    net.request = request
    return net


def names():
    return ("alpha", "beta", "bare", "fails")


def provider(scheme="mine", **changes):
    fields = {"kind": "image", "summary": "", "build": f"{HERE}:build", "names": f"{HERE}:names"}
    return BackboneProvider(scheme=scheme, **(fields | changes))


def plugin(*providers, hook="cinc_ecg_image_backbones", mark=hookimpl):
    def offer():
        return providers

    offer.__name__ = hook
    return types.SimpleNamespace(**{hook: mark(offer)})


class Entry:
    def __init__(self, name, load):
        self.name, self._load = name, load

    def load(self):
        if isinstance(self._load, Exception):
            raise self._load
        return self._load


def manager(*entries, **options):
    return BackboneManager(entry_points=entries, **options)


BROKEN = {
    "import": (ImportError("no module named nothing\nmore"), "no module named nothing"),
    "misspelt": (
        plugin(hook="cinc_ecg_imag_backbones"),
        "did you mean cinc_ecg_image_backbones",
    ),
    "unmarked": (plugin(provider(), mark=lambda f: f), "lacks the decorator @hookimpl"),
    "empty": (types.SimpleNamespace(other=1), "has no hooks"),
    "no provider": (plugin("mine:alpha"), "is no BackboneProvider"),
    "wrong kind": (plugin(provider(kind="signal")), "of kind 'signal'"),
    "wrong target": (plugin(provider(build="pkg.module.function")), "package.module:function"),
    "wrong scheme": (plugin(provider(scheme="my:own")), "is no scheme"),
    "wrong requires": (plugin(provider(requires="torch")), "expected a tuple"),
    "no iterable": (
        types.SimpleNamespace(cinc_ecg_image_backbones=hookimpl(lambda: None)),
        "not iterable",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_skipped_with_one_line(fault, caplog):
    load, reason = BROKEN[fault]
    with caplog.at_level(logging.WARNING):
        found = manager(Entry("bad", load), Entry("good", plugin(provider("fine"))))
    assert [p.scheme for p in found.providers("image")][1] == "fine"
    assert "mine" not in {p.scheme for p in found.providers()}
    (line,) = [r.getMessage() for r in caplog.records]
    assert "'bad'" in line
    assert reason in line
    assert "\n" not in line
    assert reason in found.broken["bad"]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_raises_in_strict_mode(fault):
    load, reason = BROKEN[fault]
    with pytest.raises(PluginError) as caught:
        manager(Entry("bad", load), strict=True)
    assert reason in str(caught.value)
    assert "bad" in str(caught.value)


def test_a_faulty_plugin_leaves_nothing_behind():
    found = manager(Entry("bad", plugin(provider("good"), "bad")))
    assert "good" not in {p.scheme for p in found.providers()}


def test_disabled_plugins_are_not_even_imported():
    class Explosive(Entry):
        def load(self):
            raise AssertionError("imported")

    found = manager(Explosive("mine", None), disabled={"mine"}, strict=True)
    assert not found.broken
    assert not manager(disabled={"builtin"}).providers()


def test_the_environment_disables_plugins(monkeypatch):
    from cinc_ecg.plugins.manager import get_manager

    monkeypatch.setenv("CINC_ECG_DISABLE_PLUGINS", "builtin, other")
    get_manager.cache_clear()
    try:
        assert not [p for p in get_manager().providers() if p.scheme == "cinc"]
    finally:
        get_manager.cache_clear()


@pytest.mark.parametrize("strict", [False, True])
def test_one_scheme_from_two_plugins_raises_in_any_mode(strict):
    one, two = Entry("one", plugin(provider())), Entry("two", plugin(provider()))
    with pytest.raises(PluginError, match="'one' and 'two' both offer image backbones mine:"):
        manager(one, two, strict=strict)
    with pytest.raises(PluginError, match="'builtin' and 'one'"):
        manager(Entry("one", plugin(provider("timm"))))
    with pytest.raises(PluginError, match="both offer"):
        manager(Entry("one", plugin(provider(), provider())))


def test_one_scheme_may_have_both_kinds():
    both = plugin(provider())
    both.cinc_ecg_signal_backbones = hookimpl(lambda: [provider(kind="signal")])
    kinds = [p.kind for p in manager(Entry("mine", both)).providers() if p.scheme == "mine"]
    assert kinds == ["image", "signal"]


@pytest.fixture
def mine():
    return manager(Entry("mine", plugin(provider(), provider("bare", requires=("no_such_pkg",)))))


def test_the_request_reaches_the_builder(mine):
    net = mine.build(
        "mine:alpha?width=3&se=true&scale=0.5&act=gelu",
        kind="image",
        in_channels=1,
        image_size=[64, 128],
        weights="local:x",
        levels=2,
    )
    request = net.request
    assert (request.name, request.in_channels, request.image_size) == ("alpha", 1, (64, 128))
    assert (request.weights, request.levels) == ("local:x", 2)
    assert request.options == {"width": 3, "se": True, "scale": 0.5, "act": "gelu"}


@pytest.mark.parametrize(
    ("spec", "kind", "parts"),
    [
        ("mine:alpa", "image", ["no image backbone mine:alpa", "did you mean alpha", "or draw it"]),
        ("mine:zzzzz", "image", ["known: alpha, beta"]),
        ("mne:alpha", "image", ["did you mean mine"]),
        ("xyzxyz:alpha", "image", ["known: bare, cinc, hf, mine, timm, torchvision"]),
        ("mine:alpha", "signal", ["mine: has image backbones only"]),
        ("alpha", "image", ["write scheme:name"]),
        ("mine:alpha?width", "image", ["?key=value"]),
        ("mine:bare", "image", ["without channels, strides, min_multiple", "backbones check"]),
        ("mine:fails", "image", ["RuntimeError: no luck"]),
        ("bare:alpha", "image", ["no_such_pkg", "pip install no_such_pkg"]),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(mine, spec, kind, parts):
    with pytest.raises(PluginError) as caught:
        mine.build(spec, kind=kind)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reason_codes_tell_unknown_from_missing(mine):
    codes = {}
    for spec in ("mine:alpa", "bare:alpha", "mine:fails"):
        with pytest.raises(PluginError) as caught:
            mine.build(spec, kind="image")
        codes[spec] = caught.value.reason_code
    assert list(codes.values()) == ["backbone_unknown", "package_missing", "plugin"]


def test_an_extra_of_this_package_is_named():
    found = manager(Entry("x", plugin(provider(requires=("no_such_pkg",), extra="edge"))))
    with pytest.raises(PluginError, match=r'pip install "cinc-ecg\[edge\]"'):
        found.build("mine:alpha", kind="image")


def test_a_builder_that_cannot_be_imported_names_the_plugin():
    found = manager(Entry("x", plugin(provider(build="no_such_module:build"))))
    with pytest.raises(PluginError, match="plugin 'x': no_such_module:build cannot be imported"):
        found.build("mine:alpha", kind="image")


def test_listing_loads_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, cinc_ecg.plugins as p; p.BackboneManager(entry_points=[]).providers(); "
        "print(sorted({'torch', 'numpy', 'timm', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", ["", ":", "timm:", ":resnet18", "resnet18"])
def test_specs_need_both_halves(spec):
    with pytest.raises(PluginError):
        split_spec(spec)


def test_names_may_hold_colons_and_slashes():
    assert split_spec("hf:a/b:c") == ("hf", "a/b:c", {})
