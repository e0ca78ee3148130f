"""timm behind the contract: tiny random models."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone
from cinc_ecg.testing import check_image_backbone


def build(name, **options):
    return build_backbone(f"timm:{name}", kind="image", **options)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_efficientnet", "test_resnet"])
def test_contract_and_onnx(name, onnx_difference):
    backbone = build(name)
    assert check_image_backbone(backbone)
    size = backbone.image_size or (64, 128)
    assert onnx_difference(backbone, torch.randn(1, 3, *size)) < 1e-4


def test_the_stride_2_map_is_left_out():
    assert build("test_resnet").strides == (4, 8, 16, 32)
    assert build("test_resnet", levels=2).strides == (16, 32)


def test_maps_are_timms_own():
    torch.manual_seed(1)
    ours = build("test_resnet").eval()
    torch.manual_seed(1)
    theirs = timm.create_model("test_resnet", features_only=True).eval()
    image = torch.randn(1, 3, 64, 96)
    for a, b in zip(ours(image), theirs(image)[1:], strict=True):
        assert torch.equal(a, b)


def test_channels_last_maps_are_turned():
    with torch.device("meta"):
        backbone = build("swinv2_tiny_window8_256", image_size=(64, 128))
        maps = backbone(torch.randn(1, 3, 64, 128))
    assert [tuple(m.shape) for m in maps] == [
        (1, 96, 16, 32),
        (1, 192, 8, 16),
        (1, 384, 4, 8),
        (1, 768, 2, 4),
    ]


def test_a_bound_size_is_the_one_asked_for():
    backbone = build("test_vit", image_size=(64, 128))
    assert backbone.image_size == (64, 128)
    assert check_image_backbone(backbone)
    with pytest.raises(PluginError, match="built for pictures of 64x128"):
        backbone(torch.randn(1, 3, 128, 64))


def test_one_channel():
    backbone = build("test_convnext", in_channels=1)
    assert check_image_backbone(backbone, in_channels=1)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("convnext_v2_atto", "did you mean convnextv2_atto"),
        ("inception_v3", "no whole stride"),
        ("test_resnet?depth=3", "no option 'depth'"),
    ],
)
def test_what_cannot_be_built_is_said(name, part):
    with pytest.raises(PluginError, match=part):
        build(name)


@pytest.fixture
def classifier():
    torch.manual_seed(3)
    return timm.create_model("test_efficientnet").eval()


def saved(state, path):
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    return f"local:{path}"


def test_weights_of_a_classifier(classifier, tmp_path):
    weights = saved(classifier.state_dict(), tmp_path / "w.safetensors")
    backbone = build("test_efficientnet", weights=weights).eval()
    stem = classifier.conv_stem.weight
    assert torch.equal(backbone.state_dict()["body.conv_stem.weight"], stem)


def test_weights_of_another_model_are_named(classifier, tmp_path):
    state = classifier.state_dict()
    wide = state | {"conv_stem.weight": torch.zeros(99, 3, 3, 3)}
    with pytest.raises(PluginError, match=r"conv_stem\.weight") as caught:
        build("test_efficientnet", weights=saved(wide, tmp_path / "wide.safetensors"))
    assert caught.value.reason_code == "weights_shape"
    part = {k: v for k, v in state.items() if not k.startswith("blocks.1")}
    with pytest.raises(PluginError, match=r"missing: blocks\.1") as caught:
        build("test_efficientnet", weights=saved(part, tmp_path / "part.safetensors"))
    assert caught.value.reason_code == "weights_shape"


def test_a_damaged_file_is_said(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"junk")
    with pytest.raises(PluginError, match="holds no weights that can be read"):
        build("test_vit", weights=f"local:{tmp_path / 'w.safetensors'}")
