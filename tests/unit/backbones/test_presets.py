"""The published table is that of the registry; published weights are fetched whole."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cinc_ecg.backbones import fetch as fetching
from cinc_ecg.backbones.presets import PRESETS, preset
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone, get_manager

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "backbones.md"


@pytest.fixture(scope="module")
def generator():
    source = ROOT / "docs" / "make_backbones_reference.py"
    spec = importlib.util.spec_from_file_location(source.stem, source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_stands_in_the_table(generator):
    page = PAGE.read_text()
    assert page.startswith(generator.HEAD + generator.IMAGE)
    assert generator.SIGNAL in page
    rows = [line.split(" | ")[0].strip("| `") for line in page.splitlines() if "| `" in line]
    signals = [f"cinc:{name}" for name in get_manager().names("cinc", "signal")]
    assert rows == [p.spec for p in PRESETS] + signals
    for known in PRESETS:
        assert known.weights in page


def test_quick_rows_are_current(generator):
    page = PAGE.read_text()
    for spec in ("cinc:tiny", "cinc:small"):
        assert generator.image_row(preset(spec)) in page
    for name in ("resnet1d_wang", "inception1d", "ecg_resnet1d"):
        assert generator.signal_row(name) in page


@pytest.mark.slow
def test_the_whole_table_is_current(generator):
    assert generator.text() == PAGE.read_text(), "run: python docs/make_backbones_reference.py"


def test_names_are_unique_and_weights_have_a_revision():
    assert len({p.spec for p in PRESETS}) == len(PRESETS) > 20
    assert all("@" in p.weights for p in PRESETS if p.weights)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for the hub: writes what it has of the wanted files."""
    import huggingface_hub

    monkeypatch.setenv("CINC_ECG_WEIGHTS", str(tmp_path / "weights"))
    content = {}
    asked = []

    def download(repo_id, *, revision, local_dir, allow_patterns):
        asked.append((repo_id, revision))
        for name, write in content.items():
            if any(Path(name).match(pattern) for pattern in allow_patterns):
                write(local_dir / name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return content, asked


def test_fetched_weights_load(hub):
    from safetensors.torch import save_file

    content, asked = hub
    trained = build_backbone("cinc:tiny", kind="image")
    content["model.safetensors"] = lambda path: save_file(trained.state_dict(), path)
    weights, folder = fetching.fetch("cinc:tiny", "team/tiny@abc")
    assert asked == [("team/tiny", "abc")]
    assert weights == "hub:team/tiny@abc"
    assert (folder / "model.safetensors").exists()
    loaded = build_backbone("cinc:tiny", kind="image", weights=weights)
    assert torch.equal(next(loaded.parameters()), next(trained.parameters()))


def test_old_files_are_turned_into_safe_ones(hub):
    content, asked = hub
    state = {"a": torch.ones(2), "b": torch.zeros(1)}
    content["pytorch_model.bin"] = lambda path: torch.save(state, path)
    _, folder = fetching.fetch("hf:team/old")
    assert asked[0] == ("team/old", "main")
    assert [p.name for p in folder.iterdir()] == ["model.safetensors"]
    assert torch.equal(load_file(folder / "model.safetensors")["a"], state["a"])


def test_a_failed_fetch_is_one_line_and_leaves_nothing(hub, monkeypatch):
    import huggingface_hub

    def offline(*args, **options):
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(PluginError, match=r"cannot be fetched \(no route\)") as caught:
        fetching.fetch("hf:microsoft/resnet-18")
    assert caught.value.reason_code == "weights_fetch"
    assert not fetching.hub_folder("microsoft/resnet-18", "main").exists()


def test_empty_repositories_are_said(hub):
    with pytest.raises(PluginError, match="holds no weights"):
        fetching.fetch("hf:team/empty")


@pytest.mark.parametrize(
    ("spec", "place", "revision"),
    [
        ("hf:microsoft/resnet-18", "microsoft/resnet-18", "main"),
        ("timm:resnet18", "timm/resnet18.a1_in1k", "main"),
        ("torchvision:resnet18", "torchvision/resnet18", "IMAGENET1K_V1"),
        ("torchvision:regnet_y_400mf", "torchvision/regnet_y_400mf", "DEFAULT"),
    ],
)
def test_where_weights_come_from(spec, place, revision):
    source = fetching.source_of(spec)
    assert (source.place, source.revision) == (place, revision)


def test_nothing_is_published_for_the_packages_own():
    with pytest.raises(PluginError, match="--weights ID@REVISION"):
        fetching.source_of("cinc:tiny")


def test_the_table_of_presets_loads_nothing_heavy():
    import subprocess

    code = "import sys, cinc_ecg.backbones.presets; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
