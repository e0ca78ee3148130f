"""The page network: shapes, independence of padding and of the batch, a loss that tells apart."""

import pytest
import torch
from torch.nn import functional

from cinc_ecg.models.page_loss import PageLossConfig, PageTargets, page_loss
from cinc_ecg.models.page_net import N_NAMES, N_ORIENTATIONS, PageNet, PageNetConfig, PageReading

SMALL = PageNetConfig(channels=(8, 8, 8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return PageNet(SMALL).eval()


def maps(reading):
    return [
        reading.trace_logit,
        reading.name_logit,
        reading.page_logit,
        reading.pulse_logit,
        reading.separator_logit,
        reading.phase,
    ]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 98), (16, 130)])
def test_maps_cover_the_picture(net, height, width):
    with torch.no_grad():
        reading = net(torch.rand(2, 3, height, width))
    h, w = -(-height // 4), -(-width // 4)
    assert reading.trace_logit.shape == (2, 2 * h, 2 * w)
    assert reading.name_logit.shape == (2, N_NAMES, h, w)
    assert reading.phase.shape == (2, 4, h, w)
    assert reading.page_logit.shape == reading.pulse_logit.shape == (2, h, w)
    assert reading.orientation_logit.shape == (2, N_ORIENTATIONS)


@torch.no_grad()
def test_padding_by_the_edge_changes_nothing(net):
    pixels = torch.rand(1, 3, 50, 75)
    padded = functional.pad(pixels, (0, -75 % net.multiple, 0, -50 % net.multiple), "replicate")
    for small, large in zip(maps(net(pixels)), maps(net(padded)), strict=True):
        torch.testing.assert_close(small, large[..., : small.shape[-2], : small.shape[-1]])


@torch.no_grad()
def test_a_page_reads_the_same_in_any_company(net):
    pages = torch.rand(3, 3, 48, 64)
    together, alone = net(pages), net(pages[1:2])
    for many, one in zip(maps(together), maps(alone), strict=True):
        torch.testing.assert_close(many[1:2], one, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        together.orientation_logit[1:2], alone.orientation_logit, rtol=1e-4, atol=1e-5
    )


def targets(turn=0):
    names = torch.zeros(1, 16, 16, dtype=torch.long)
    names[0, 4:7, 3:9] = 5
    flat = torch.zeros(1, 16, 16)
    angle = torch.linspace(0, 20, 16)
    phase = torch.stack([angle.cos(), angle.sin(), angle.cos(), angle.sin()])
    phase = phase[None, :, None].expand(1, 4, 16, 16).clone()
    trace = torch.zeros(1, 32, 32)
    trace[0, 16] = 1.0
    wrong = names if turn == 0 else torch.full_like(names, -1)
    return PageTargets(trace, wrong, flat + 1, flat, flat, phase, torch.tensor([turn]))


def perfect(wanted):
    def logit(mask):
        return 20.0 * mask - 10.0

    classes = functional.one_hot(wanted.names.clamp(min=0), N_NAMES).permute(0, 3, 1, 2).float()
    turn = 20.0 * functional.one_hot(wanted.turn, N_ORIENTATIONS).float()
    return PageReading(
        logit(wanted.trace),
        logit(classes),
        logit(wanted.page),
        logit(wanted.pulse),
        logit(wanted.separator),
        wanted.phase,
        turn,
    )


def test_a_perfect_reading_costs_nothing():
    total, parts = page_loss(perfect(targets()), targets())
    assert float(total) < 0.01
    assert set(parts) == {"trace", "names", "leads", "page", "marks", "phase", "turn"}


def test_each_part_rises_with_its_own_error_alone():
    good = page_loss(perfect(targets()), targets())[1]
    other = targets()
    other.names[other.names > 0] = 6
    bad = page_loss(perfect(other), targets())[1]
    assert float(bad["leads"]) > float(good["leads"]) + 1.0
    for name in ("trace", "names", "page", "marks", "phase", "turn"):
        torch.testing.assert_close(bad[name], good[name])


def test_names_of_turned_pages_do_not_count():
    wanted = targets(turn=2)
    noisy = perfect(wanted)
    noisy.name_logit.normal_()
    parts = page_loss(noisy, wanted)[1]
    assert float(parts["names"]) == float(parts["leads"]) == 0.0


def test_every_weight_gets_a_gradient():
    net = PageNet(SMALL)
    total, _ = page_loss(net(torch.rand(1, 3, 64, 64)), targets(), PageLossConfig())
    total.backward()
    assert torch.isfinite(total)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
