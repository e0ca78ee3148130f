"""Hugging Face transformers behind the contract: tiny random models, no network."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    Swinv2Config,
    Swinv2ForImageClassification,
)

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone
from cinc_ecg.testing import check_image_backbone

_SIZES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}
TINY = {
    "resnet": (
        ResNetConfig(embedding_size=8, layer_type="basic", **_SIZES),
        ResNetForImageClassification,
    ),
    "convnextv2": (ConvNextV2Config(**_SIZES), ConvNextV2ForImageClassification),
    "swinv2": (
        Swinv2Config(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4),
        Swinv2ForImageClassification,
    ),
}


def build(name, **options):
    return build_backbone(f"hf:{name}", kind="image", **options)


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes a tiny trained classifier as it lies on the hub."""

    def write(kind):
        config, classifier = TINY[kind]
        torch.manual_seed(5)
        model = classifier(config).eval()
        model.save_pretrained(tmp_path / kind)
        return tmp_path / kind, model

    return write


@pytest.mark.parametrize("kind", TINY)
def test_contract_weights_and_onnx(kind, folder, onnx_difference):
    path, model = folder(kind)
    backbone = build(kind, weights=f"local:{path}")
    assert check_image_backbone(backbone, image_size=(128, 256))
    assert backbone.strides == (4, 8, 16, 32)
    assert onnx_difference(backbone, torch.randn(1, 3, 64, 128)) < 1e-4
    trained = dict(model.named_parameters())
    for key, value in backbone.named_parameters():
        name = key.removeprefix("body.model.")
        if not name.startswith("hidden_states_norms"):
            assert torch.equal(value, trained[f"{kind}.{name}"]), name


def test_a_folder_is_a_name(folder):
    path, _ = folder("resnet")
    assert build(path).channels == (8, 16, 24, 32)
    assert build(path, levels=2, in_channels=1).channels == (24, 32)


def test_a_trained_network_is_built_again_without_the_files(folder, tmp_path):
    path, _ = folder("resnet")
    first = build("resnet", weights=f"local:{path}")
    again = build("resnet", architecture=first.architecture)
    assert again.channels == first.channels
    again.load_state_dict(first.state_dict())
    assert build("microsoft/resnet-18").architecture == ""  # the name is enough
    with pytest.raises(PluginError, match="stored architecture"):
        build("resnet", architecture="{}")


def test_a_weight_file_alone_takes_the_architecture_from_the_name(tmp_path):
    name = "microsoft/resnet-18"
    state = {k.removeprefix("body.model."): v.clone() for k, v in build(name).state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    loaded = build(name, weights=f"local:{tmp_path / 'w.safetensors'}").state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[f"body.model.{key}"], value)


def test_weights_of_another_model_are_named(folder):
    path, _ = folder("convnextv2")
    file = path / "model.safetensors"
    state = load_file(file)
    key = "convnextv2.embeddings.patch_embeddings.weight"
    save_file(state | {key: torch.zeros(9, 3, 4, 4)}, file)
    with pytest.raises(PluginError, match=r"patch_embeddings\.weight is 9x3x4x4, expected 8x3"):
        build("convnextv2", weights=f"local:{path}")
    save_file({k: v for k, v in state.items() if "stages.2" not in k}, file)
    with pytest.raises(PluginError, match=r"missing: encoder\.stages\.2") as caught:
        build("convnextv2", weights=f"local:{path}")
    assert caught.value.reason_code == "weights_shape"


def test_preprocessing_lies_beside_the_weights(folder):
    path, _ = folder("resnet")
    values = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (path / "preprocessor_config.json").write_text(json.dumps(values))
    backbone = build("resnet", weights=f"local:{path}")
    assert (backbone.mean, backbone.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("microsoft/resnet-18", (64, 128, 256, 512)),
        ("facebook/convnextv2-atto-1k-224", (40, 80, 160, 320)),
        ("microsoft/swinv2-tiny-patch4-window16-256", (96, 192, 384, 768)),
    ],
)
def test_presets_need_no_files(name, channels):
    with torch.device("meta"):
        assert build(name).channels == channels


def test_what_no_map_depends_on_is_not_trained():
    with torch.device("meta"):
        backbone = build("bit", levels=2)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    idle = {name for name, _ in backbone.named_parameters()} - trained
    assert idle == {"body.model.bit.norm.weight", "body.model.bit.norm.bias"}
    with torch.device("meta"):
        assert build("convnext").strides == (4, 8, 16, 32)  # its defaults mix lists and tuples


def test_a_plain_transformer_gives_maps_spread_over_its_depth():
    with torch.device("meta"):
        backbone = build("dinov2")
    assert backbone.strides == (14,) * 4
    assert [int(name.removeprefix("stage")) for name in backbone.body.model.out_features] == [
        3,
        6,
        9,
        12,
    ]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("microsoft/resnet-81", ["did you mean microsoft/resnet-18", "backbones fetch"]),
        ("nobody/nothing", ["config.json", "nobody--nothing@main"]),
        ("pp_lcnet_v4", ["no whole stride"]),
        ("resnet?width=8", ["no option 'width'"]),
    ],
)
def test_what_cannot_be_built_is_said(name, parts, monkeypatch, tmp_path):
    monkeypatch.setenv("CINC_ECG_WEIGHTS", str(tmp_path))
    with pytest.raises(PluginError) as caught:
        build(name)
    for part in parts:
        assert part in str(caught.value)


def test_fetched_weights_are_used_without_a_network(folder, monkeypatch, tmp_path):
    path, _ = folder("resnet")
    monkeypatch.setenv("CINC_ECG_WEIGHTS", str(tmp_path / "fetched"))
    (tmp_path / "fetched").mkdir()
    path.rename(tmp_path / "fetched" / "team--net@v1")
    assert build("team/net", weights="hub:team/net@v1").channels == (8, 16, 24, 32)
    with pytest.raises(PluginError, match=r"fetch hf:team/net --weights team/net@v2"):
        build("team/net", weights="hub:team/net@v2")


def test_a_model_folder_holds_an_architecture_that_came_from_a_folder(folder, tmp_path):
    from cinc_ecg.models.card import Card, load_model, save_model
    from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
    from cinc_ecg.models.network import build_network

    path, _ = folder("resnet")
    config = ModelConfig(
        backbone=BackboneConfig("hf:resnet", weights=f"local:{path}"),
        head=HeadConfig("none"),
        dx=DxConfig(("NORM",), hidden=4),
        image_size=(64, 64),
    )
    network = build_network(config).eval()
    save_model(tmp_path / "model", network, Card(config))
    for file in path.iterdir():
        file.unlink()
    loaded, _ = load_model(tmp_path / "model")
    image = {"image": torch.rand(1, 3, 64, 64)}
    assert torch.equal(loaded(image).logits, network(image).logits)
