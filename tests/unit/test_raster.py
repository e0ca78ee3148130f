"""Strokes are where they should be, as wide as they should be, and as dark."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.raster import blend, draw_box, draw_polyline, line_comb


def _centre_line_error(angle: float, width: float, offset: float) -> float:
    """Largest distance of the ink's centre, column by column or row by row, from the true line."""
    size = 160
    ink = np.zeros((size, size), np.float32)
    along = np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([size / 2 + offset, size / 2 - offset])
    draw_polyline(ink, np.stack([middle - 200 * along, middle + 200 * along]), width)
    if abs(along[0]) < abs(along[1]):
        ink, along, middle = ink.T, along[::-1], middle[::-1]
    columns = np.arange(40, size - 40)
    part = ink[:, columns]
    found = (part * np.arange(size)[:, None]).sum(axis=0) / part.sum(axis=0)
    true = middle[1] + (columns - middle[0]) * along[1] / along[0]
    return float(np.abs(found - true).max())


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(0, np.pi), width=st.sampled_from([2.0, 3.0, 4.0]), offset=st.floats(-0.5, 0.5)
)
def test_a_straight_line_is_centred_in_every_column(angle, width, offset):
    # A sampled slanted edge keeps a ripple; its mean is what a reader sees.
    assert _centre_line_error(angle, width, offset) < 0.05


@pytest.mark.parametrize("offset", np.linspace(-0.5, 0.5, 7))
@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_an_upright_line_is_centred_to_a_hundredth_of_a_pixel(angle, offset):
    assert _centre_line_error(angle, 2.0, offset) < 0.01


def test_a_standard_pen_is_centred_on_average():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        ink = np.zeros((60, 200), np.float32)
        slope, start = rng.uniform(-0.15, 0.15), rng.uniform(25, 35)
        x = np.arange(-5.0, 205.0, 0.4)
        draw_polyline(ink, np.stack([x, start + slope * (x - 100)], -1), 2.083)
        columns = np.arange(200)
        found = (ink * np.arange(60)[:, None]).sum(axis=0) / ink.sum(axis=0)
        errors.append(np.mean(found - start - slope * (columns - 100)))
    assert np.abs(errors).max() < 0.02


@pytest.mark.parametrize("width", [0.5, 1.0, 2.1, 5.0])
def test_ink_equals_the_stroke_area(width):
    ink = np.zeros((100, 100), np.float32)
    draw_polyline(ink, np.array([[20.3, 50.2], [80.1, 50.2]]), width)
    # Round caps add pi/4 width squared, thinned a little by the pixel's own width.
    assert ink.sum() == pytest.approx(59.8 * width + np.pi / 4 * width**2, rel=0.02, abs=0.6)


def test_splitting_a_line_changes_nothing():
    whole, parts = (np.zeros((80, 80), np.float32) for _ in range(2))
    ends = np.array([[10.0, 12.0], [70.0, 66.0]])
    draw_polyline(whole, ends, 2.5)
    t = np.linspace(0, 1, 500)[:, None]
    draw_polyline(parts, ends[0] + t * (ends[1] - ends[0]), 2.5)
    np.testing.assert_allclose(parts, whole, atol=2e-4)


def test_nan_lifts_the_pen_and_lone_points_are_dots():
    ink = np.zeros((40, 100), np.float32)
    nan = np.nan
    points = np.array([[10, 20], [30, 20], [nan, nan], [60, 20], [nan, 20], [80, 20], [90, 20.0]])
    draw_polyline(ink, points, 3.0)
    assert ink[20, [20, 60, 85]] == pytest.approx(1, abs=1e-5)
    assert ink[20, 40:58].max() == 0
    assert ink[20, 63:78].max() == 0


def test_a_path_that_turns_back_is_one_stroke():
    ink = np.zeros((40, 60), np.float32)
    draw_polyline(ink, np.array([[10, 20], [40, 20], [10, 20.0]]), 2.0)
    once = np.zeros((40, 60), np.float32)
    draw_polyline(once, np.array([[10, 20], [40, 20.0]]), 2.0)
    np.testing.assert_array_equal(ink, once)


def test_strokes_outside_are_dropped_quietly():
    ink = np.zeros((30, 30), np.float32)
    draw_polyline(ink, np.array([[-50, -50], [-40, -60.0]]), 3.0)
    draw_polyline(ink, np.zeros((0, 2)), 3.0)
    assert not ink.any()


def test_density_lightens_its_own_piece():
    ink = np.zeros((30, 60), np.float32)
    draw_polyline(ink, np.array([[5, 15], [30, 15], [55, 15.0]]), 3.0, np.array([1.0, 0.25, 0.25]))
    assert ink[15, 15] == pytest.approx(1.0)
    assert ink[15, 45] == pytest.approx(0.25)


@settings(max_examples=50, deadline=None)
@given(centres=st.lists(st.floats(5, 95), min_size=1, max_size=1), width=st.floats(0.1, 4.0))
def test_a_comb_line_keeps_area_and_place(centres, width):
    comb = line_comb(100, np.array(centres), width)
    assert comb.sum() == pytest.approx(width, rel=1e-4)
    half = width / 2
    assert comb[: max(int(np.floor(centres[0] - half - 0.5)), 0)].sum() == 0
    assert comb[int(np.ceil(centres[0] + half + 0.5)) + 1 :].sum() == 0


def test_a_box_has_its_exact_area():
    ink = np.zeros((50, 50), np.float32)
    draw_box(ink, (10.2, 20.7, 30.9, 24.1))
    assert ink.sum() == pytest.approx((30.9 - 10.2) * (24.1 - 20.7), rel=1e-4)


def test_blend_clips_at_the_border():
    pixels = np.full((10, 10, 3), 255, np.uint8)
    blend(pixels, np.ones((6, 6), np.float32), (10, 20, 30), (-3, 7))
    assert tuple(pixels[9, 2]) == (10, 20, 30)
    assert (pixels[:7] == 255).all()
    assert (pixels[:, 3:] == 255).all()
    blend(pixels, np.ones((2, 2), np.float32), (0, 0, 0), (50, 50))
    assert (pixels[:7] == 255).all()
