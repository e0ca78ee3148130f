"""Training pages: targets agree with the truth, crops are turned as they say, chance is fixed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.pages import FONTS as BENCHMARK_FONTS
from cinc_ecg.data import page_names
from cinc_ecg.data.page_crop import PageFeed, crop_at, cut_crop
from cinc_ecg.data.page_scene import PageSceneSettings, draw_plate, plate_of
from cinc_ecg.data.signal_pool import simulated_pool
from cinc_ecg.geometry import to_image
from cinc_ecg.leads import LEADS
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values

SETTINGS = PageSceneSettings(crop_px=128, long_side_px=512, window=2, per_plate=3)
N = 256


@pytest.fixture(scope="module")
def pool():
    return simulated_pool(2, 4)


@pytest.fixture(scope="module")
def page():
    values = {"paper.dpi": 100.0, "text.font": "DejaVuSans-Bold.ttf"}
    return render(simulate(seed=5), with_values(PageSettings(), values), seed=5)


@pytest.fixture(scope="module")
def plate(page):
    image, truth = page
    return plate_of(image.pixels, truth, image.width)


def shifted(x, y):
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def test_names_lie_where_they_are_printed(page, plate):
    _, truth = page
    for name in truth.names:
        x0, y0, x1, y1 = name.box_mm
        x, y = to_image(truth.geometry, np.array([(x0 + x1) / 2, (y0 + y1) / 2]))
        crop = crop_at(plate, shifted(x - 63.5, y - 63.5), 128, 0, None)
        assert crop.names[16, 16] == 1 + LEADS.index(name.lead)
        assert (crop.names[0] == 0).any()


def test_traces_lie_on_their_ink(page, plate):
    image, _ = page
    for x, y in ((60, 250), (500, 380), (800, 560)):
        crop = crop_at(plate, shifted(x, y), N, 0, None)
        dark = 255.0 - cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)[y : y + N, x : x + N]
        ink = cv2.resize(dark, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        assert crop.trace.any()
        assert ink[crop.trace > 0].mean() > 4 * ink[crop.trace == 0].mean()
        # Moved by a millimetre either way, far less of the mask is on ink.
        assert ink[crop.trace > 0].mean() > 1.5 * ink[np.roll(crop.trace, 2, 0) > 0].mean()


def test_phase_is_zero_on_the_lines(page, plate):
    _, truth = page
    nodes = np.asarray(truth.geometry.nodes_px)
    x, y = nodes[20, 20]
    crop = crop_at(plate, shifted(x - 129.5, y - 129.5), N, 0, None)  # cell 32 is centred on it
    np.testing.assert_allclose(crop.phase[:, 32, 32], [1, 0, 1, 0], atol=0.1)  # 0.08 mm
    pitch = 5.0 * 100.0 / 25.4 / 4.0
    step = np.angle(crop.phase[0] + 1j * crop.phase[1])
    turns = np.diff(np.unwrap(step, axis=1), axis=1) / (2 * np.pi)
    np.testing.assert_allclose(turns, 1 / pitch, atol=2e-3)


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_crop_is_the_upright_one_turned(plate, turn):
    settings = replace(SETTINGS, crop_px=N, zoom=(1.0, 1.0))
    turns, mirrored = turn % 4, turn >= 4
    flip = np.diag([-1.0, 1.0]) if mirrored else np.eye(2)
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    matrix = np.linalg.matrix_power(quarter, turns) @ flip
    middle = np.array([500.0, 400.0])
    offset = middle - matrix @ np.full(2, (N - 1) / 2)
    lying = crop_at(plate, np.c_[matrix, offset], N, turn, None)
    upright = crop_at(plate, shifted(*(middle - (N - 1) / 2)), N, 0, None)
    for name in ("pixels", "trace", "page", "pulse", "separator"):
        picture = getattr(lying, name)
        again = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
        differing = np.abs(again.astype(float) - getattr(upright, name)) > 2
        assert differing.mean() < 0.01, name
    assert lying.turn == turn
    assert (lying.names == -1).all() == (turn != 0)
    # To the right the phase grows, whichever way the page lies.
    wave = (lying.phase[0] + 1j * lying.phase[1])[:, 1:]
    assert np.angle(wave[:, 1:] * wave[:, :-1].conj()).mean() > 0.5
    assert settings.crop_px == N


def test_a_crop_depends_on_its_number_alone(pool):
    feed = PageFeed(pool, SETTINGS, 7)
    first = [feed.crop(k) for k in range(5)]
    again = PageFeed(pool, SETTINGS, 7).crop(4)
    for name in ("pixels", "trace", "names", "phase"):
        np.testing.assert_array_equal(getattr(first[4], name), getattr(again, name))
    assert (PageFeed(pool, SETTINGS, 8).crop(4).pixels != again.pixels).any()


def test_any_plate_gives_sound_targets(pool):
    for index in range(3):
        plate = draw_plate(pool, SETTINGS, 1, index)
        assert max(plate.pixels.shape[:2]) == SETTINGS.long_side_px
        crop = cut_crop(plate, SETTINGS, np.random.default_rng(index))
        length = np.hypot(*crop.phase[:2])
        assert np.isin(np.round(length, 4), [0.0, 1.0]).all()
        assert crop.names.min() >= -1
        assert crop.names.max() <= len(LEADS)


def test_no_font_of_the_benchmark_is_used():
    assert not set(page_names._FONTS) & set(BENCHMARK_FONTS)
