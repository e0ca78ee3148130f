"""torchvision behind the contract: small random models."""

import pytest
import torch
from torchvision import models

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone
from cinc_ecg.testing import check_image_backbone


def build(name, **options):
    return build_backbone(f"torchvision:{name}", kind="image", **options)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_contract_and_onnx(name, onnx_difference):
    backbone = build(name)
    assert check_image_backbone(backbone)
    assert onnx_difference(backbone, torch.randn(1, 3, 64, 128)) < 1e-4


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 128, 256, 512)),
        ("convnext_tiny", (96, 192, 384, 768)),
        ("efficientnet_b0", (24, 40, 112, 1280)),
        ("vgg11", (256, 512, 512, 512)),
        ("mnasnet0_5", (16, 24, 48, 1280)),
        ("swin_v2_t", (96, 192, 384, 768)),
    ],
)
def test_every_architecture_gives_the_last_map_of_each_stride(name, channels):
    with torch.device("meta"):
        backbone = build(name)
        maps = backbone(torch.randn(1, 3, 64, 128))
    assert backbone.channels == channels
    assert backbone.strides == (4, 8, 16, 32)
    for m, c, s in zip(maps, channels, backbone.strides, strict=True):
        assert m.shape == (1, c, 64 // s, 128 // s)


def test_levels_and_channels():
    backbone = build("shufflenet_v2_x0_5", levels=2, in_channels=1)
    assert backbone.strides == (16, 32)
    assert check_image_backbone(backbone, in_channels=1)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("resnet19", "did you mean resnet18"),
        ("vit_b_16", "no maps at whole strides"),
        ("squeezenet1_1", "no maps at whole strides"),
        ("resnet18?width=3", "no option 'width'"),
    ],
)
def test_what_cannot_be_built_is_said(name, part):
    with pytest.raises(PluginError, match=part), torch.device("meta"):
        build(name)


def test_weights_of_a_classifier(tmp_path):
    torch.manual_seed(3)
    classifier = models.get_model("shufflenet_v2_x0_5").eval()
    torch.save(classifier.state_dict(), tmp_path / "w.pth")
    backbone = build("shufflenet_v2_x0_5", weights=f"local:{tmp_path / 'w.pth'}").eval()
    image = torch.randn(1, 3, 64, 64)
    fine = classifier.maxpool(classifier.conv1(image))
    assert torch.equal(backbone(image)[0], fine)
    with pytest.raises(PluginError, match=r"conv1\.0\.weight is 24x3x3x3, expected 24x1x3x3"):
        build("shufflenet_v2_x0_5", in_channels=1, weights=f"local:{tmp_path / 'w.pth'}")
