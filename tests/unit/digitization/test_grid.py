"""The grid's period and direction are found in any print, and in nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from cinc_ecg.digitization.density import optical_density, paper_background, paper_mask
from cinc_ecg.digitization.grid import clip_ink, find_grid
from cinc_ecg.errors import GridNotFound
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.textures import fractal_noise


def seed_of(pixels):
    background = paper_background(pixels)
    return find_grid(optical_density(pixels, background), paper_mask(background))


def scales(seed, family):
    """Pixels per mm from tile to tile."""
    waves = np.array([getattr(tile, family) for tile in seed.tiles])
    return 1 / np.linalg.norm(waves, axis=1) / seed.period_mm


def tilt_deg(seed):
    waves = np.array([tile.across for tile in seed.tiles])
    return float(np.median(np.rad2deg(np.arctan2(waves[:, 1], waves[:, 0]))))


def assert_scale(seed, px_per_mm):
    for family in ("across", "down"):
        assert np.median(scales(seed, family)) == pytest.approx(px_per_mm, rel=0.006)


@pytest.mark.parametrize("dpi", [72.0, 100.0, 200.0, 300.0, 400.0])
def test_the_period_is_found_at_any_resolution(draw, small, dpi):
    page, _ = draw(small, paper__dpi=dpi)
    seed = seed_of(page.pixels)
    assert_scale(seed, dpi / 25.4)
    assert tilt_deg(seed) == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize(
    "print_",
    [
        {"grid__minor": False},
        {"grid__major": False, "paper__dpi": 150.0},
        pytest.param(
            {"grid__major": False, "paper__size_mm": (210.0, 90.0)},
            marks=pytest.mark.xfail(
                strict=True, reason="lines 4.33 px apart beat with the pixels every 13 px"
            ),
        ),
        {"grid__style": "dotted"},
        {"grid__minor_colour": (190, 190, 190), "grid__major_colour": (60, 60, 60)},
        {
            "grid__minor_colour": (205, 205, 205),
            "grid__major_colour": (150, 150, 150),
            "paper__colour": (226, 224, 220),
        },
        {"grid__minor_colour": (206, 232, 206), "grid__major_colour": (80, 160, 90)},
    ],
    ids=[
        "5 mm only",
        "1 mm only",
        "1 mm only, beating",
        "dotted",
        "black and white",
        "grey on grey",
        "green",
    ],
)
def test_the_period_is_found_in_any_print(draw, small, print_):
    page, _ = draw(small, **print_)
    assert_scale(seed_of(page.pixels), print_.get("paper__dpi", 110.0) / 25.4)


@pytest.mark.parametrize("angle", [8.0, 31.0])
def test_the_tilt_is_found(draw, small, angle):
    page, truth = draw(small)
    step = Step("rotate", {"max_deg": angle, "exactly": True})
    turned, truth = apply(page, truth, [step], np.random.default_rng(5))
    right = truth.geometry.nodes_px[3, -1] - truth.geometry.nodes_px[3, 0]
    expected = np.rad2deg(np.arctan2(right[1], right[0]))
    seed = seed_of(turned.pixels)
    assert tilt_deg(seed) == pytest.approx(expected, abs=0.3)
    assert_scale(seed, 110 / 25.4)


@pytest.mark.parametrize("angle", [44.7, 45.0, 45.3])
def test_a_page_turned_by_half_a_right_angle_has_two_families(draw, small, angle):
    """Every tile tells both families and calls them alike."""
    page, truth = draw(small)
    step = Step("rotate", {"max_deg": angle, "exactly": True})
    turned, _ = apply(page, truth, [step], np.random.default_rng(5))
    seed = seed_of(turned.pixels)
    assert_scale(seed, 110 / 25.4)
    surest = max(seed.tiles, key=lambda tile: tile.weight)
    for tile in (t for t in seed.tiles if t.weight > 0.2 * surest.weight):
        lengths = np.linalg.norm(tile.across) * np.linalg.norm(tile.down)
        assert abs(tile.across @ tile.down) < 0.05 * lengths
        assert tile.across @ surest.across > 0.9 * lengths
        assert tile.down @ surest.down > 0.9 * lengths


def test_noise_and_jpeg_do_not_hide_the_grid(draw, small):
    page, truth = draw(small)
    steps = [Step("noise", {"sigma": 25.0}), Step("jpeg", {"quality": 50})]
    noisy, _ = apply(page, truth, steps, np.random.default_rng(1))
    assert_scale(seed_of(noisy.pixels), 110 / 25.4)


def test_the_lines_that_are_there_are_named(draw, small):
    both, _ = draw(small)
    seed = seed_of(both.pixels)
    assert seed.period_mm == 5.0
    assert seed.minor
    assert seed.major
    assert seed.channel.sum() == pytest.approx(1.0)
    millimetres, _ = draw(small, grid__major=False, paper__dpi=150.0)
    seed = seed_of(millimetres.pixels)
    assert seed.period_mm == 1.0
    assert not seed.major


@pytest.mark.parametrize(
    "kind",
    [
        "blank",
        "noise",
        "clouds",
        pytest.param(
            "rules",
            marks=pytest.mark.xfail(strict=True, reason="one strong family makes up for none"),
        ),
    ],
)
def test_nothing_else_passes_for_a_grid(kind):
    rng = np.random.default_rng(0)
    pixels = np.full((500, 700, 3), 245, np.uint8)
    if kind == "noise":
        pixels = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    elif kind == "clouds":
        field = fractal_noise((500, 700), 120.0, 6, rng)
        field = (field - field.min()) / np.ptp(field)
        pixels = np.repeat((255 * field)[..., None], 3, 2).astype(np.uint8)
    elif kind == "rules":
        pixels[::20] = 90
    with pytest.raises(GridNotFound) as caught:
        seed_of(pixels)
    assert caught.value.reason_code == "no_grid"


def test_a_picture_without_paper_is_refused():
    density = np.zeros((400, 400, 3), np.float32)
    with pytest.raises(GridNotFound):
        find_grid(density, np.zeros((400, 400), bool))


def test_clipping_keeps_faint_lines_and_tames_dark_ones():
    density = np.zeros((200, 200), np.float32)
    density[::10] = 0.1
    density[95:98] = 3.0
    clipped = clip_ink(density)
    assert clipped[50, 100] > 0.05
    assert clipped.max() < 0.5
