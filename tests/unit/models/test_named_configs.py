from dataclasses import replace

import pytest
import torch

from cinc_ecg.config import load_config
from cinc_ecg.models.config import DxConfig
from cinc_ecg.models.losses import TotalLoss
from cinc_ecg.models.network import build_network
from cinc_ecg.models.readout import KEYS
from cinc_ecg.training.config import TrainConfig, named_configs


def batch_for(config, n=1):
    size, leads, n_samples = config.image_size, len(config.leads), config.n_samples
    whole = ("print_row", "print_first")
    values = dict.fromkeys(KEYS, 1.0) | {"print_last": float(n_samples)}
    batch = {
        key: torch.full((n, leads), 0 if key in whole else value) for key, value in values.items()
    }
    return batch | {
        "image": torch.rand(n, 3, *size),
        "rows": torch.rand(n, config.head.n_rows, 3, *size),
        "panels": torch.rand(n, config.n_panels, 3, *size),
        "panel_mask": torch.ones(n, config.n_panels),
        "panel_lead": torch.arange(config.n_panels).repeat(n, 1),
        "signal_mv": torch.randn(n, leads, n_samples),
        "visible": torch.ones(n, leads, n_samples).bool(),
        "labels": torch.ones(n, 2),
    }


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("whole_model", "page"),
        ("series_model", "rows"),
        ("panels", "panels"),
        ("challenge", "page"),
    ],
)
def test_named_configuration_builds_and_takes_a_step(name, view):
    run = load_config(TrainConfig, path=name, presets=named_configs())
    config = run.model
    assert config.view == view
    if config.dx.classes == ("auto",):
        config = replace(config, dx=replace(config.dx, classes=("NORM", "MI")))
    network = build_network(config)
    batch = batch_for(config)
    loss = TotalLoss(run.loss, heat_cell=(config.head.heat_stride_y, config.head.heat_stride_x))
    total, terms = loss(network(batch), batch)
    total.backward()
    assert "snr" in terms
    assert ("dx" in terms) == (config.dx != DxConfig() and bool(config.dx.classes))
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
