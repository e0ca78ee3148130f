"""Every family of backbones under every kind of head: train a step, save, load, export."""

from dataclasses import replace

import pytest
import torch

from cinc_ecg.models.card import Card, load_model, save_model
from cinc_ecg.models.config import BackboneConfig, DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.losses import LossConfig, TotalLoss
from cinc_ecg.models.network import build_network
from cinc_ecg.models.portable import export_onnx

LIGHT = ["cinc:tiny"]
HEAVY = [
    "timm:convnextv2_atto",
    "timm:swinv2_cr_tiny_ns_224",
    "timm:swinv2_tiny_window8_256",
    "hf:microsoft/resnet-18",
    "hf:facebook/convnextv2-atto-1k-224",
    "torchvision:resnet18",
    "torchvision:swin_v2_t",
]
SIGNAL = ["cinc:resnet1d_wang", "cinc:inception1d", "cinc:ecg_resnet1d"]


def check(config, tmp_path, onnx=True):
    torch.manual_seed(0)
    network = build_network(config).train()
    n, leads = 1, len(config.leads)
    size = config.image_size
    batch = {
        "image": torch.rand(n, 3, *size),
        "signal": torch.randn(n, leads, config.n_samples),
        "signal_mask": torch.ones(n, leads, config.n_samples),
        "row_y": torch.rand(n, 2, size[1]) * size[0],
        "row_visible": torch.ones(n, 2, size[1]),
        "labels": torch.tensor([[1.0, 0.0]]),
    }
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    total, terms = TotalLoss(LossConfig())(network(batch), batch)
    total.backward()
    optimizer.step()
    assert "dx" in terms
    deaf = [name for name, p in network.backbone.named_parameters() if p.requires_grad]
    deaf = [name for name in deaf if network.backbone.get_parameter(name).grad is None]
    assert deaf == []
    save_model(tmp_path, network, Card(config))
    loaded, _ = load_model(tmp_path)
    network.eval()
    with torch.no_grad():
        for a, b in zip(network(batch), loaded(batch), strict=True):
            if a is not None:
                torch.testing.assert_close(a, b)
    if onnx:
        export_onnx(loaded, batch, tmp_path / "x.onnx")
        assert (tmp_path / "x.onnx").stat().st_size > 1e4


def image_config(name, size=(64, 96)):
    return ModelConfig(
        backbone=BackboneConfig(name),
        head=HeadConfig(width=8, n_rows=2),
        dx=DxConfig(("NORM", "MI"), hidden=4),
        image_size=size,
        n_samples=50,
    )


@pytest.mark.parametrize("name", LIGHT)
def test_own_image_backbones(name, tmp_path):
    check(image_config(name), tmp_path)


@pytest.mark.parametrize("name", SIGNAL)
def test_signal_backbones(name, tmp_path):
    config = replace(image_config(name), view="signal", head=HeadConfig(kind="none"), n_samples=250)
    check(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_foreign_image_backbones(name, tmp_path):
    check(image_config(name), tmp_path)
