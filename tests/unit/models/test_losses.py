import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.metrics import objectives
from cinc_ecg.metrics.distance import rmse
from cinc_ecg.metrics.official_extra import compute_asci_metric
from cinc_ecg.models import losses
from cinc_ecg.models.soft_dtw import soft_dtw

SIGNAL_LOSSES = {
    "snr": losses.snr_loss,
    "mse": losses.mse_loss,
    "rmse": losses.rmse_loss,
    "mae": losses.mae_loss,
    "ks": losses.ks_loss,
    "asci": lambda x, y, m: losses.asci_loss(x, y, m, beta=0.7),
    "soft_dtw": lambda x, y, m: losses.soft_dtw_loss(x, y, m, gamma=0.3, band=4),
}
TWINS = {
    "snr": lambda x, y: -objectives.capped_snr_db(x, y),
    "mse": objectives.mean_squared_error,
    "rmse": lambda x, y: math.sqrt(rmse(x, y) ** 2 + 1e-6) - 1e-3,
    "mae": objectives.mean_absolute_error,
    "ks": objectives.ks_distance,
    "asci": lambda x, y: 1 - objectives.soft_asci(x, y, beta=0.7),
    "soft_dtw": lambda x, y: objectives.soft_dtw_divergence(x, y, gamma=0.3, band=4),
}
DX_LOSSES = {
    "bce": (losses.bce_loss, objectives.binary_cross_entropy),
    "focal": (losses.focal_loss, objectives.focal),
    "focal_alpha": (
        lambda *a: losses.focal_loss(*a, gamma=1.5, alpha=0.7),
        lambda *a: objectives.focal(*a, gamma=1.5, alpha=0.7),
    ),
    "asymmetric": (losses.asymmetric_loss, objectives.asymmetric),
}
seeds = st.integers(0, 2**32 - 1)


def signals(seed, n_signals=3, n=24, share=0.7):
    rng = np.random.default_rng(seed)
    target = rng.normal(0, 0.5, (n_signals, n))
    estimate = target + rng.normal(0, 0.3, target.shape)
    mask = rng.random(target.shape) < share
    return estimate, target, mask


def tensors(*arrays):
    return [torch.tensor(a) for a in arrays]


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
@settings(deadline=None, max_examples=12)
@given(seed=seeds, share=st.sampled_from([0.1, 0.7, 1.0]))
def test_signal_loss_equals_its_twin(name, seed, share):
    estimate, target, mask = signals(seed, share=share)
    found = SIGNAL_LOSSES[name](*tensors(estimate, target, mask))
    each = [
        TWINS[name](np.where(m, y, np.nan), np.where(m, x, np.nan))
        for x, y, m in zip(estimate, target, mask, strict=True)
    ]
    expected = [value for value in each if np.isfinite(value)]
    assert float(found) == pytest.approx(np.mean(expected) if expected else 0.0, abs=1e-8)


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_signal_loss_gradient(name):
    estimate, target, mask = tensors(*signals(1, n_signals=2, n=10))
    estimate.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: SIGNAL_LOSSES[name](x, target, mask), estimate)


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_what_is_masked_out_changes_nothing(name):
    estimate, target, mask = tensors(*signals(2))
    loss = SIGNAL_LOSSES[name]
    poisoned = [torch.where(mask, x, torch.nan).requires_grad_() for x in (estimate, target)]
    value = loss(poisoned[0], poisoned[1].detach(), mask)
    value.backward()
    assert value.item() == pytest.approx(float(loss(estimate, target, mask)))
    assert torch.isfinite(poisoned[0].grad).all()
    assert (poisoned[0].grad[~mask] == 0).all()
    assert (poisoned[0].grad[mask] != 0).any()


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_an_empty_mask_gives_zero_and_a_finite_gradient(name):
    estimate = torch.full((2, 3, 12), torch.nan, requires_grad=True)
    value = SIGNAL_LOSSES[name](estimate, torch.zeros(2, 3, 12), torch.zeros(2, 3, 12).bool())
    value.backward()
    assert value.item() == 0
    assert (estimate.grad == 0).all()


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_perfect_or_flat_estimate_has_a_finite_gradient(name, scale):
    target = scale * torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    for estimate in (target.clone(), torch.zeros_like(target)):
        estimate.requires_grad_()
        SIGNAL_LOSSES[name](estimate, target, torch.ones_like(target)).backward()
        assert torch.isfinite(estimate.grad).all()


def test_a_signal_without_samples_does_not_dilute_the_others():
    estimate, target, mask = tensors(*signals(3, n_signals=2, share=1.0))
    both = losses.mae_loss(estimate, target, mask)
    padded = [torch.cat([x, torch.zeros_like(x)]) for x in (estimate, target, mask)]
    assert float(losses.mae_loss(*padded)) == pytest.approx(float(both))


def test_half_precision_is_summed_in_single():
    estimate = torch.full((1, 20000), 0.1, dtype=torch.bfloat16)
    target = torch.zeros(1, 20000, dtype=torch.bfloat16)
    value = losses.mse_loss(estimate, target, torch.ones(1, 20000))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(0.01, rel=0.01)


def test_snr_approaches_its_cap_and_never_passes_it():
    target = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(target)
    assert float(losses.snr_loss(target, target, mask, cap_db=30)) == pytest.approx(-30, abs=0.1)
    # predicting a thousandfold signal is as bad as it is: the numerator is the target's power
    assert float(losses.snr_loss(1000 * target, target, mask)) > 50


def test_asci_becomes_the_official_metric_when_sharp():
    estimate, target, _ = signals(4, n_signals=1, n=200)
    hard = compute_asci_metric(target[0], estimate[0], beta=0.4)
    soft = losses.asci_loss(
        *tensors(estimate, target, np.ones_like(target)), beta=0.4, sharpness=1e4
    )
    assert 1 - float(soft) == pytest.approx(hard, abs=0.02)


@pytest.mark.parametrize(("gamma", "band"), [(0.1, 4), (1.0, 30), (0.01, 1), (0.5, 0)])
def test_soft_dtw_equals_the_slow_recursion(gamma, band):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 20))
    lengths = [20, 13, 0]
    found = soft_dtw(*tensors(x, y), torch.tensor(lengths), gamma=gamma, band=band)
    expected = [
        objectives.soft_dtw_cost(x[k, :n], y[k, :n], gamma=gamma, band=band)
        for k, n in enumerate(lengths)
    ]
    assert found.tolist() == pytest.approx(expected)


def test_soft_dtw_equals_tslearn():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    found = soft_dtw(*tensors(x[None], y[None]), torch.tensor([50]), gamma=0.1, band=49)
    # what tslearn 0.10.0's `metrics.soft_dtw(x, y, gamma=0.1)` returns
    assert float(found) == pytest.approx(42.55230845906305, rel=1e-9)


def test_soft_dtw_equals_the_tslearn_at_hand():
    metrics = pytest.importorskip("tslearn.metrics")
    x, y = np.random.default_rng(1).normal(size=(2, 40))
    found = soft_dtw(*tensors(x[None], y[None]), torch.tensor([40]), gamma=0.5, band=39)
    assert float(found) == pytest.approx(metrics.soft_dtw(x, y, gamma=0.5), rel=1e-9)


def test_soft_dtw_gradient_in_both_signals():
    x, y = (torch.randn(2, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    lengths = torch.tensor([9, 5])
    assert torch.autograd.gradcheck(lambda a, b: soft_dtw(a, b, lengths, gamma=0.2, band=3), (x, y))


def test_soft_dtw_divergence_forgives_a_shift_that_mse_does_not():
    t = torch.linspace(0, 1, 400, dtype=torch.float64)
    wave, shifted = (torch.exp(-((t - c) ** 2) / 2e-4)[None] for c in (0.5, 0.52))
    flat, mask = torch.zeros_like(wave), torch.ones_like(wave)

    def dtw(x):
        return float(losses.soft_dtw_loss(x, wave, mask, gamma=1e-3))

    assert dtw(wave) == pytest.approx(0, abs=1e-12)
    assert dtw(shifted) < 0.1 * dtw(flat)
    assert losses.mse_loss(shifted, wave, mask) > 0.9 * losses.mse_loss(flat, wave, mask)


def test_soft_dtw_of_long_signals_is_thinned():
    x = torch.randn(1, 12, dtype=torch.float64).repeat_interleave(5, -1)
    y = torch.randn(1, 12, dtype=torch.float64).repeat_interleave(5, -1)
    thin = losses.soft_dtw_loss(x, y, torch.ones_like(x), max_samples=12)
    direct = losses.soft_dtw_loss(x[:, ::5], y[:, ::5], torch.ones(1, 12))
    assert float(thin) == pytest.approx(float(direct))


@pytest.mark.slow
def test_soft_dtw_of_a_batch_takes_under_two_seconds():
    x = torch.randn(24, 1000, requires_grad=True)
    y, lengths = torch.randn(24, 1000), torch.full((24,), 1000)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        soft_dtw(x, y, lengths, gamma=0.01, band=25).sum().backward()
        spent.append(time.perf_counter() - start)
    assert min(spent) < 2


@pytest.mark.parametrize("name", DX_LOSSES)
@settings(deadline=None, max_examples=12)
@given(seed=seeds)
def test_dx_loss_equals_its_twin(name, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (4, 5))
    labels, known = (rng.random((2, 4, 5)) < 0.5).astype(float)
    loss, twin = DX_LOSSES[name]
    found = loss(*tensors(logits, labels, known))
    assert float(found) == pytest.approx(twin(1 / (1 + np.exp(-logits)), labels, known), abs=1e-8)


@pytest.mark.parametrize("name", DX_LOSSES)
def test_dx_loss_gradient_and_mask(name):
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1.0, 0, 1, 0]] * 3, dtype=torch.float64)
    mask = torch.tensor([[1.0, 1, 0, 0]] * 3, dtype=torch.float64)
    loss = DX_LOSSES[name][0]
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, mask), logits)
    unknown = torch.where(mask > 0, labels, torch.nan)
    value = loss(logits, unknown, mask)
    value.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 2:] == 0).all()
    empty = loss(logits, unknown, torch.zeros_like(mask))
    assert empty.item() == 0


@pytest.mark.parametrize("name", DX_LOSSES)
@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_dx_loss_is_finite_for_extreme_logits(name, logit):
    logits = torch.full((2, 2), logit, requires_grad=True)
    value = DX_LOSSES[name][0](logits, torch.tensor([[0.0, 1.0]] * 2), torch.ones(2, 2))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_pos_weight_counts_positives_of_its_class_only():
    logits, labels, mask = torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]), torch.ones(1, 2)
    weight = torch.tensor([3.0, 1.0])
    assert float(losses.bce_loss(logits, labels, mask, pos_weight=weight)) == pytest.approx(
        2 * math.log(2)
    )


def test_focal_loss_without_alpha_treats_both_sides_alike():
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    positive, negative = (losses.focal_loss(zero, y, one) for y in (one, zero))
    assert float(positive) == pytest.approx(float(negative))


@settings(deadline=None, max_examples=12)
@given(seed=seeds, cell=st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 3)]))
def test_column_ce_equals_its_twin(seed, cell):
    rng = np.random.default_rng(seed)
    heat = rng.normal(size=(10, 8))
    width = 8 * cell[1] - int(rng.integers(0, cell[1]))
    y_px = 10 * cell[0] / 2 + np.cumsum(rng.normal(0, 1.5, width))
    mask = rng.random(width) < 0.8
    found = losses.column_ce(*tensors(heat, y_px, mask), cell=cell)
    expected = objectives.heat_divergence(heat, np.where(mask, y_px, np.nan), cell=cell)
    assert float(found) == pytest.approx(expected, abs=1e-8)


def test_column_ce_is_least_at_the_trace_and_ignores_columns_without_one():
    y_px, mask = torch.full((1, 6), 9.0), torch.tensor([[1.0, 1, 1, 1, 0, 0]])
    cells = torch.arange(10)[:, None] * 2 + 0.5

    def at(centre):
        heat = (-((cells - centre) ** 2) / (2 * 2.0**2)).expand(1, 10, 6)
        return float(losses.column_ce(heat, y_px, mask, cell=(2, 1)))

    assert at(9.0) == pytest.approx(0, abs=1e-6)
    assert at(9.0) < at(10.0) < at(14.0)
    heat = torch.randn(1, 10, 6, requires_grad=True)
    losses.column_ce(heat, torch.where(mask > 0, y_px, torch.nan), mask, cell=(2, 1)).backward()
    assert torch.isfinite(heat.grad).all()
    assert (heat.grad[..., 4:] == 0).all()


def test_column_ce_gradient():
    heat = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    y_px, mask = torch.rand(1, 4, dtype=torch.float64) * 5, torch.ones(1, 4)
    assert torch.autograd.gradcheck(lambda h: losses.column_ce(h, y_px, mask, cell=(1, 1)), heat)
