from dataclasses import replace

import numpy as np
import pytest
import torch
from model_stubs import TinyImage, TinySignal

from cinc_ecg.errors import ConfigError
from cinc_ecg.models.config import (
    DxConfig,
    HeadConfig,
    ModelConfig,
    config_from_dict,
    config_to_dict,
)
from cinc_ecg.models.heads import near_peak, soft_argmax
from cinc_ecg.models.losses import LossConfig, LossWeights, TotalLoss
from cinc_ecg.models.network import build_network
from cinc_ecg.models.readout import KEYS

N_LEADS, N = 12, 60
SIZES = {"page": (50, 90), "rows": (20, 90), "panels": (32, 32)}
HEADS = ["soft_argmax", "deconv", "fc"]


def config_of(view, kind="soft_argmax", **head):
    return ModelConfig(
        view=view,
        head=HeadConfig(kind=kind, width=8, n_rows=3, **head),
        dx=DxConfig(("NORM", "MI"), hidden=6, dropout=0.0),
        image_size=SIZES.get(view, (32, 32)),
        n_panels=5,
        n_samples=N,
        fs_hz=10.0,
    )


def network_of(config, seed=0):
    torch.manual_seed(seed)
    stub = TinySignal(config.in_channels) if config.view == "signal" else TinyImage()
    return build_network(config, backbone=stub)


def batch_of(view, n=2, seed=0):
    rng = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=rng)

    row = torch.arange(N_LEADS).repeat(n, 1) % 3
    row[:, 5] = -1
    size = SIZES.get(view, (32, 32))
    return {
        "image": rand(n, 3, *size),
        "rows": rand(n, 3, 3, *size),
        "panels": rand(n, 5, 3, *size),
        "panel_mask": torch.tensor([[1.0, 1, 1, 0, 0]] * n),
        "panel_lead": torch.tensor([[1, 0, 7, -1, -1]] * n),
        "signal": rand(n, N_LEADS, N),
        "print_row": row,
        "print_x0_px": torch.full((n, N_LEADS), 4.0),
        "print_px_per_s": torch.full((n, N_LEADS), 10.0),
        "print_baseline_px": torch.full((n, N_LEADS), 12.0),
        "print_px_per_mv": torch.full((n, N_LEADS), 8.0),
        "print_first": torch.full((n, N_LEADS), 10),
        "print_last": torch.full((n, N_LEADS), 50),
        "signal_mv": rand(n, N_LEADS, N) - 0.5,
        "visible": torch.ones(n, N_LEADS, N).bool(),
        "row_y": rand(n, 3, 90) * 20,
        "row_visible": torch.ones(n, 3, 90),
        "labels": torch.tensor([[1.0, 0.0]] * n),
        "label_mask": torch.tensor([[1.0, 1.0]] * n),
    }


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("view", SIZES)
def test_every_view_and_head_gives_what_it_promises_and_trains(view, kind):
    config = config_of(view, kind)
    network, batch = network_of(config), batch_of(view)
    output = network(batch)
    assert output.signal_mv.shape == output.visible_logit.shape == (2, N_LEADS, N)
    assert output.logits.shape == (2, 2)
    if kind == "soft_argmax":
        n_rows, (height, width) = 5 if view == "panels" else 3, config.image_size
        assert output.heat.shape == (2, n_rows, -(-height // 2), width)
        assert output.row_y_px.shape == output.row_visible_logit.shape == (2, n_rows, width)
        assert output.row_y_px.min() > -0.5
        assert output.row_y_px.max() < height
    else:
        assert output.heat is None
    if view == "panels":
        batch = {key: value for key, value in batch.items() if not key.startswith("row_")}
    total, terms = TotalLoss(LossConfig())(output, batch)
    total.backward()
    assert {"snr", "mae", "dx", "total"} <= set(terms)
    idle = [name for name, p in network.named_parameters() if p.grad is None]
    if not (view == "panels" and kind == "soft_argmax"):  # its visibility has no target here
        assert idle == []
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_signal_view_reads_nan_as_not_printed():
    network = network_of(
        replace(config_of("signal"), head=HeadConfig(kind="none"), n_samples=N)
    ).eval()
    signal = batch_of("signal")["signal"]
    printed = torch.rand(signal.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    gaps = torch.where(printed, signal, torch.nan)
    by_nan = network({"signal": gaps}).logits
    by_mask = network({"signal": signal, "signal_mask": printed}).logits
    assert torch.isfinite(by_nan).all()
    torch.testing.assert_close(by_nan, by_mask)
    assert not torch.allclose(by_nan, network({"signal": signal}).logits)


@pytest.mark.parametrize("view", ["page", "rows"])
def test_without_geometry_there_are_rows_but_no_millivolts(view):
    batch = {key: v for key, v in batch_of(view).items() if key not in KEYS}
    output = network_of(config_of(view))(batch)
    assert output.signal_mv is None
    assert output.row_y_px is not None


def test_padding_to_the_backbones_multiple_keeps_pixel_coordinates():
    network = network_of(config_of("page")).eval()
    image = batch_of("page")["image"][..., :48, :88]
    wider = torch.nn.functional.pad(image, (0, 2, 0, 2), value=1.0)
    first, second = (network({"image": x}) for x in (image, wider))
    assert first.heat.shape[-2:] == (24, 88)
    assert second.heat.shape[-2:] == (25, 90)


@pytest.mark.parametrize("view", SIZES)
def test_records_of_a_batch_do_not_see_each_other(view):
    network = network_of(config_of(view, "deconv")).eval()
    both = batch_of(view)
    one = {key: value[:1] for key, value in both.items()}
    for whole, part in zip(network(both), network(one), strict=True):
        if whole is not None:
            torch.testing.assert_close(whole[:1], part, atol=1e-5, rtol=1e-4)


def test_a_frozen_backbone_stays_as_it_is():
    config = config_of("page")
    config = replace(config, backbone=replace(config.backbone, frozen=True))
    network, batch = network_of(config).train(), batch_of("page")
    before = {key: value.clone() for key, value in network.backbone.state_dict().items()}
    TotalLoss(LossConfig())(network(batch), batch)[0].backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert network.view.dx.mlp[-1].weight.grad is not None


@pytest.mark.parametrize("fusion", ["shared", "concat", "volume", "none"])
def test_row_fusion_starts_as_the_identity_and_then_lets_rows_see_each_other(fusion):
    network = network_of(config_of("rows", fusion=fusion)).eval()
    batch = batch_of("rows")
    changed = {**batch, "rows": batch["rows"].clone()}
    changed["rows"][:, 2] = 0.0

    def first_row(b):
        return network(b).row_y_px[:, 0]

    torch.testing.assert_close(first_row(batch), first_row(changed))
    torch.manual_seed(1)
    for fuse in network.view.fusion:
        for parameter in () if fuse.last is None else fuse.last.parameters():
            torch.nn.init.normal_(parameter)
    seen = not torch.allclose(first_row(batch), first_row(changed))
    # a 3-D convolution of three rows reaches the neighbour only, and row 2 is none of row 0's
    assert seen == (fusion in ("shared", "concat"))


def test_a_masked_row_is_not_heard():
    network = network_of(config_of("rows")).eval()
    for fuse in network.view.fusion:
        torch.nn.init.normal_(fuse.last.weight)
    batch = {**batch_of("rows"), "row_mask": torch.tensor([[1.0, 1.0, 0.0]] * 2)}
    changed = {**batch, "rows": batch["rows"].clone()}
    changed["rows"][:, 2] = 0.3
    a, b = network(batch), network(changed)
    torch.testing.assert_close(a.row_y_px[:, :2], b.row_y_px[:, :2])
    torch.testing.assert_close(a.logits, b.logits)


@pytest.mark.parametrize("kind", ["deconv", "fc"])
def test_padded_panels_and_panels_in_another_order_change_nothing_else(kind):
    network = network_of(config_of("panels", kind)).eval()
    batch = batch_of("panels")
    changed = {**batch, "panels": batch["panels"].clone()}
    changed["panels"][:, 3:] = 0.7
    for a, b in zip(network(batch), network(changed), strict=True):
        if a is not None:
            torch.testing.assert_close(a, b)
    output = network(batch)
    shown = [0, 1, 7]
    hidden = [k for k in range(N_LEADS) if k not in shown]
    assert (output.signal_mv[:, hidden] == 0).all()
    assert (output.visible_logit[:, hidden] == -20).all()
    assert (output.signal_mv[:, shown].std(-1) > 0).all()


def test_a_record_without_panels_is_finite():
    batch = batch_of("panels")
    batch["panel_mask"] = torch.zeros(2, 5)
    output = network_of(config_of("panels", "deconv"))(batch)
    assert torch.isfinite(output.logits).all()
    assert (output.signal_mv == 0).all()


def test_more_panels_than_the_network_knows_are_refused():
    network = network_of(replace(config_of("panels", "deconv"), n_panels=4))
    with pytest.raises(ConfigError, match="5 panel pictures, the network takes 4"):
        network(batch_of("panels"))


def draw_panels(seed, n=8, size=32):
    """Waves of random frequency and phase, drawn as dark lines on white; the waves in mV."""
    rng = np.random.default_rng(seed)
    t = np.arange(size) / size
    y = np.sin(2 * np.pi * (rng.uniform(1, 3, (n, 3, 1)) * t + rng.uniform(0, 1, (n, 3, 1))))
    y *= rng.uniform(0.4, 1, (n, 3, 1))
    rows = np.arange(size)[:, None]
    ink = np.exp(-0.5 * ((rows - (size / 2 - 12 * y[:, :, None, :])) / 1.0) ** 2)
    pictures = np.repeat((1 - ink)[:, :, None], 3, 2)
    waves = np.zeros((n, N_LEADS, size))
    waves[:, :3] = y
    mask = np.zeros_like(waves, dtype=bool)
    mask[:, :3] = True
    return {
        "panels": torch.tensor(pictures, dtype=torch.float32),
        "panel_mask": torch.ones(n, 3),
        "panel_lead": torch.arange(3).repeat(n, 1),
        "signal_mv": torch.tensor(waves, dtype=torch.float32),
        "visible": torch.tensor(mask),
    }


def test_trained_panels_give_different_waves_for_different_pictures():
    config = replace(config_of("panels", "deconv"), n_panels=3, n_samples=32, dx=DxConfig())
    network = network_of(config).train()
    weights = LossWeights(snr=0.0, mae=0.0, mse=1.0, visible=0.0)
    loss = TotalLoss(LossConfig(weights=weights))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(40):
        batch = draw_panels(step)
        optimizer.zero_grad()
        loss(network(batch), batch)[0].backward()
        optimizer.step()
    network.eval()
    batch = draw_panels(10_000)
    with torch.no_grad():
        found = network(batch).signal_mv[:, :3].flatten(1).numpy()
    truth = batch["signal_mv"][:, :3].flatten(1).numpy()
    between = np.corrcoef(found)[np.triu_indices(len(found), 1)]
    own = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, truth, strict=True)]
    # a mean over the panels, or a decoder fed a pooled vector, ends near 0.99 between pictures
    assert np.median(np.abs(between)) < 0.5
    assert np.median(own) > 0.7


def test_out_of_training_a_second_place_in_a_column_does_not_pull_the_mean():
    heat = torch.full((1, 1, 40, 3), -20.0)
    heat[0, 0, 9:12] = torch.tensor([1.0, 2.0, 1.0])[:, None]
    heat[0, 0, 35] = 1.5
    share = torch.softmax(heat, 2)
    assert soft_argmax(share, 2)[0, 0, 0] > 25
    assert soft_argmax(near_peak(share, 6), 2)[0, 0].tolist() == pytest.approx([20.5] * 3)
    # and nothing changes where all heat is near
    heat[0, 0, 35] = -20.0
    share = torch.softmax(heat, 2)
    torch.testing.assert_close(soft_argmax(near_peak(share, 6), 2), soft_argmax(share, 2))


@pytest.mark.parametrize("view", [*SIZES, "signal"])
def test_mixed_precision_gives_finite_losses_and_gradients(view):
    config = config_of(view)
    if view == "signal":
        config = replace(config, head=HeadConfig(kind="none"))
    network, batch = network_of(config), batch_of(view)
    if view == "panels":
        batch = {key: value for key, value in batch.items() if not key.startswith("row_")}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(batch)
        total, _ = TotalLoss(LossConfig())(output, batch)
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_flat_head_is_refused_with_its_formula_before_it_is_built():
    config = replace(config_of("page", "fc"), image_size=(2048, 2048), n_samples=5000)
    with pytest.raises(ConfigError, match=r"\(C\*H\*W \+ 1\)\*outputs\*samples = [\d,]+") as error:
        network_of(config)
    assert error.value.reason_code == "head_too_large"
    assert "max_head_params=50,000,000" in str(error.value)


def test_flat_heads_formula_counts_its_parameters():
    for hidden in (0, 4):
        head = network_of(config_of("page", "fc", hidden=hidden)).view.head
        count = sum(p.numel() for p in head.parameters())
        flat, waves = 12 * 7 * 12, 24 * N
        expected = (flat + 1) * hidden + (hidden + 1) * waves if hidden else (flat + 1) * waves
        assert count == expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"view": "side"}, "model.view='side'"),
        ({"head": HeadConfig(kind="mlp")}, "model.head.kind"),
        ({"n_samples": 0}, "n_samples"),
        ({"leads": ("I", "I")}, "leads"),
        ({"view": "signal"}, "head.kind must be none"),
        ({"head": HeadConfig(kind="none"), "dx": DxConfig()}, "nothing to predict"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(changes, text):
    with pytest.raises(ConfigError, match=text) as error:
        network_of(replace(config_of("page"), **changes))
    assert error.value.reason_code == "model_config"


def test_configuration_survives_json():
    config = config_of("rows", fusion="concat")
    assert config_from_dict(config_to_dict(config)) == config
    with pytest.raises(ConfigError, match=r"model\.head has unknown keys: depth"):
        config_from_dict({"head": {"depth": 3}})
    assert config_from_dict({"n_samples": 7}).n_samples == 7


def test_uncertainty_weights_are_learned_and_stay_bounded():
    network, batch = network_of(config_of("page")), batch_of("page")
    loss = TotalLoss(LossConfig(weighting="uncertainty"))
    assert set(loss.log_variance) == set(loss.terms)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    totals = []
    for _ in range(20):
        optimizer.zero_grad()
        total, _ = loss(network(batch), batch)
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    assert totals[-1] > 0


def test_a_loss_without_any_target_is_refused():
    with pytest.raises(ConfigError, match="no loss term applies"):
        TotalLoss(LossConfig())(network_of(config_of("page"))(batch_of("page")), {})
    with pytest.raises(ConfigError, match=r"loss\.dx='hinge'"):
        TotalLoss(LossConfig(dx="hinge"))


def test_asci_tolerance_is_annealed():
    loss = TotalLoss(LossConfig(weights=LossWeights(asci=1.0)))
    network, batch = network_of(config_of("page")), batch_of("page")
    found = []
    for loss.progress in (0.0, 0.5, 1.0):
        found.append(loss(network(batch), batch)[1]["asci"])
    assert found[0] < found[1] < found[2]
