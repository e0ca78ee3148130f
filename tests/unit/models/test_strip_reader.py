"""The learned strip reader: shapes, independence of order and number, use of the prior."""

import os
import shutil

import numpy as np
import pytest
import torch

from cinc_ecg.data.render_torch import render_strips
from cinc_ecg.data.signal_pool import simulated_pool
from cinc_ecg.data.strip_scene import StripSettings, draw_scene
from cinc_ecg.digitization.prior import PriorSettings, StripPrior, guide, rival_guess
from cinc_ecg.digitization.read_strips import ClassicalStripReader
from cinc_ecg.models.readers import PACKAGED, LearnedStripReader, named_strip_reader
from cinc_ecg.models.strip_card import CARD
from cinc_ecg.models.strip_loss import StripTargets, strip_loss
from cinc_ecg.models.strip_net import StripNet, StripNetConfig, coordinates
from cinc_ecg.types import Strip

SETTINGS = StripSettings(200, 260, hard=0.0, blank=0.0, plain=1.0)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return StripNet(StripNetConfig(channels=(8, 8, 8), tail=8)).eval()


@pytest.fixture(scope="module")
def strips():
    pool = simulated_pool(2, 4)
    batch = render_strips([draw_scene(pool, SETTINGS, 2, k) for k in range(3)])
    pixels = (batch.pixels * 255).byte().permute(0, 2, 3, 1).numpy()
    return [
        Strip(k, pixels[k], 5.0, 40.0 * k, 10.0, 40.0 * k + float(batch.baseline_px[k]) / 10.0)
        for k in range(3)
    ], batch


def test_every_output_has_the_strip_s_size(net):
    numbers = [torch.tensor([v, v]) for v in (50.0, -100.0, 200.0, 10.0)]
    reading = net(torch.rand(2, 3, 91, 110), *numbers)
    assert reading.ink_logit.shape == (2, 91, 110)
    assert reading.heat_logit.shape == (2, 91, 219)
    assert reading.visible_logit.shape == reading.log_sigma.shape == (2, 219)
    line = reading.line_px()
    assert (line >= 0).all()
    assert (line <= 90).all()


def test_coordinates_are_zero_on_the_row_and_one_on_its_neighbours():
    levels = [torch.tensor([v]) for v in (40.0, 10.0, 90.0, 10.0)]
    own, between = coordinates(torch.zeros(1, 3, 100, 4), *levels)[0, :, :, 0]
    assert own[40] == between[40] == 0
    assert between[10] == -1
    assert between[90] == 1
    assert own[50] == pytest.approx(0.1)


def test_a_strip_s_prior_depends_on_no_other_strip(net, strips):
    rows, _ = strips
    reader = LearnedStripReader(net)
    levels = [row.baseline_mm for row in rows]
    first = [reader.prior(row, levels) for row in rows]
    second = [reader.prior(row, levels[::-1]) for row in rows[::-1]][::-1]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.ink, b.ink)
        assert np.array_equal(a.line_px, b.line_px)


def test_a_full_gpu_is_left_for_the_processor(net, strips, monkeypatch, caplog):
    rows, _ = strips
    reader, levels = LearnedStripReader(net), [row.baseline_mm for row in rows]
    expected = reader.prior(rows[0], levels)
    run = LearnedStripReader._prior

    def full(self, *args):
        if self.device.type != "cpu":
            raise torch.OutOfMemoryError("no memory left")
        return run(self, *args)

    monkeypatch.setattr(LearnedStripReader, "_prior", full)
    reader.device = torch.device("cuda")
    assert np.array_equal(reader.prior(rows[0], levels).ink, expected.ink)
    assert reader.device.type == "cpu"
    assert caplog.text.count("memory is full") == 1
    monkeypatch.setattr(LearnedStripReader, "_prior", lambda *args: full(LearnedGpu, *args))
    with pytest.raises(torch.OutOfMemoryError):
        reader.prior(rows[0], levels)


def test_a_model_trained_again_is_loaded_again(tmp_path):
    """A name stands for what lies in the folder now, and is loaded once while that stays."""
    shutil.copytree(PACKAGED, tmp_path / "m")
    first = named_strip_reader(str(tmp_path / "m"))
    assert named_strip_reader(str(tmp_path / "m")) is first
    os.utime(tmp_path / "m" / CARD, ns=(1, 1))
    assert named_strip_reader(str(tmp_path / "m")) is not first


class LearnedGpu:
    device = torch.device("cuda")


def test_traces_keep_the_order_of_the_strips(net, strips):
    rows, _ = strips
    reader = LearnedStripReader(net)
    forth, back = reader.read(rows), reader.read(rows[::-1])
    assert [t.row for t in forth] == [0, 1, 2]
    for a, b in zip(forth, back[::-1], strict=True):
        assert a.row == b.row
        assert np.allclose(a.y_mm, b.y_mm, equal_nan=True, atol=0.02)


def _truth(batch, k):
    line = batch.line_px[k].double().numpy()
    ink = (batch.ink[k].numpy() > 0.3).astype(np.float32)
    return StripPrior(ink, line, np.full(len(line), 0.3), batch.visible[k].double().numpy())


def test_a_true_prior_does_no_harm(strips):
    rows, batch = strips
    better = 0
    for k, row in enumerate(rows):
        truth = batch.line_px[k].numpy() / 10.0 + row.y0_mm
        errors = []
        for priors in (None, [_truth(batch, k)]):
            (trace,) = ClassicalStripReader().read([row], priors)
            seen = trace.visible & batch.visible[k].numpy()
            assert seen.sum() > 100
            errors.append(float(np.sqrt(np.mean((trace.y_mm - truth)[seen] ** 2))))
        assert errors[1] < 1.1 * errors[0] + 0.01
        better += errors[1] < 0.9 * errors[0]
    assert better


def test_guidance_keeps_own_ink_and_fades_the_rest():
    prior = StripPrior(np.array([[1.0, 0.0]]), np.zeros(3), np.ones(3), np.ones(3))
    settings = PriorSettings()
    faded = guide(np.array([[0.8, 0.8]], np.float32), prior, settings, gridded=False)
    assert faded[0, 0] == pytest.approx(0.8)
    assert faded[0, 1] == pytest.approx(0.8 * settings.floor)
    pale = np.array([[0.2, 0.2]], np.float32)
    assert guide(pale, prior, settings, gridded=False)[0, 0] == pytest.approx(0.2)
    faint = guide(pale, prior, settings, gridded=True)
    assert faint[0, 0] == pytest.approx(settings.lift)
    assert faint[0, 1] < 0.2
    assert guide(0.0 * pale, prior, settings, gridded=True).max() == 0.0


def test_a_rival_differs_only_where_the_network_is_sure_of_another_place():
    n = 201
    line = 50.0 + 5.0 * np.sin(np.arange(n) / 9.0)
    other = line + 0.5
    other[80:100] += 20.0
    visible, sigma = np.ones(n), np.full(n, 1.0)
    prior = StripPrior(np.zeros((1, 1)), other, sigma, visible)
    rival = rival_guess(line, prior, PriorSettings())
    assert np.array_equal(rival[85:95], other[85:95])
    assert np.array_equal(rival[:70], line[:70])
    assert np.array_equal(rival[110:], line[110:])
    blind = StripPrior(prior.ink, other, sigma, np.zeros(n))
    assert np.array_equal(rival_guess(line, blind, PriorSettings()), line)


def test_the_loss_is_least_for_the_truth(net, strips):
    _, batch = strips
    targets = StripTargets(batch.line_px, batch.visible, batch.ink)
    levels = (batch.baseline_px, batch.above_px, batch.below_px, batch.px_per_mm)
    reading = net(batch.pixels, *levels)
    rows = torch.arange(SETTINGS.height_px)[None, :, None]
    with torch.no_grad():
        far, _ = strip_loss(reading, targets)
        heat = -((rows - batch.line_px[:, None]) ** 2)
        ink = (batch.ink > 0.3).float() * 20 - 10
        seen = batch.visible.float() * 20 - 10
        near, parts = strip_loss(type(reading)(ink, heat, seen, seen * 0 - 1), targets)
    assert near < 0.5 * far
    assert parts["ink"] < 0.05
    assert parts["seen"] < 0.01
