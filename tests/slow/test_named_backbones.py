"""Named backbones of every library keep the contract, at full size and with random weights."""

import pytest
import torch

from cinc_ecg.testing import check_image_backbone

NAMES = (
    "hf:microsoft/resnet-18",
    "hf:microsoft/resnet-50",
    "hf:facebook/convnextv2-atto-1k-224",
    "hf:facebook/convnextv2-femto-1k-224",
    "hf:facebook/convnextv2-pico-1k-224",
    "hf:facebook/convnextv2-nano-22k-384",
    "hf:microsoft/swinv2-tiny-patch4-window16-256",
    "hf:dinov2",
    "hf:pvt_v2",
    "hf:textnet",
    "timm:resnet18",
    "timm:convnextv2_atto",
    "timm:convnextv2_nano",
    "timm:efficientnet_b0",
    "timm:swinv2_tiny_window8_256",
    "timm:vit_small_patch16_224",
    "timm:maxvit_nano_rw_256",
    "timm:regnety_002",
    "timm:hgnetv2_b0",
    "timm:mobilenetv3_small_050",
    "torchvision:resnet18",
    "torchvision:convnext_tiny",
    "torchvision:efficientnet_b0",
    "torchvision:swin_v2_t",
    "torchvision:regnet_y_400mf",
    "torchvision:densenet121",
    "torchvision:googlenet",
    "torchvision:maxvit_t",
    "torchvision:mobilenet_v3_large",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    torch.manual_seed(0)
    assert check_image_backbone(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["hf:microsoft/swinv2-tiny-patch4-window16-256", "timm:swinv2_tiny_window8_256"]
)
def test_oblong_pages(name):
    assert check_image_backbone(name, image_size=(256, 512))
