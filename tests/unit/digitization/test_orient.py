"""Pages are turned upright, whichever way they lie, from their rows and names."""

from __future__ import annotations

import numpy as np
import pytest

from cinc_ecg.digitization.orient import stand_upright, turned
from cinc_ecg.geometry import flat_geometry, to_image, to_page, warp_box
from cinc_ecg.types import Orientation, PageEvidence

DPI = 100.0


@pytest.fixture(scope="module")
def page(draw, small):
    return draw(small, paper__dpi=DPI)


def lying(pixels, turns, mirrored):
    """Return the picture that becomes `pixels` when it is mirrored and turned that way."""
    back = np.rot90(pixels, -turns)
    return np.ascontiguousarray(back[:, ::-1] if mirrored else back)


def read(pixels, orientation=None, *, settled=False):
    height, width = pixels.shape[:2]
    geometry = flat_geometry(width, height, DPI / 25.4)
    evidence = PageEvidence(orientation=orientation)
    return stand_upright(pixels, evidence, geometry, settled=settled)


def assert_upright(found, truth):
    assert len(found.rows) == 3
    leads = {n.lead for n in found.marks.names if n.score > 0.5}
    assert {"aVR", "aVL", "aVF"} <= leads
    baselines = [p.baseline_mm for p in truth.layout.panels if p.lead in ("I", "II", "III")]
    for baseline in baselines:
        assert min(abs(r.baseline_mm - baseline) for r in found.rows) < 0.7


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_undone(page, turns):
    image, truth = page
    found = read(lying(image.pixels, turns, False))
    assert found.orientation == Orientation(turns)
    assert_upright(found, truth)


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="mirror images are hardly ever tried")
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_mirrored_pages_are_mirrored_back(page, turns):
    image, truth = page
    found = read(lying(image.pixels, turns, True))
    assert found.orientation == Orientation(turns, True)
    assert_upright(found, truth)


def test_a_settled_orientation_is_not_questioned(page):
    image, _ = page
    found = read(image.pixels, Orientation(2), settled=True)
    assert found.orientation == Orientation(2)


def test_a_wrong_guess_does_no_harm(page):
    image, truth = page
    found = read(image.pixels, Orientation(2))
    assert found.orientation == Orientation(0)
    assert_upright(found, truth)


@pytest.mark.parametrize("turns", [0, 3])
def test_a_right_guess_finds_mirror_images(page, turns):
    image, truth = page
    found = read(lying(image.pixels, turns, True), Orientation(turns, True))
    assert found.orientation == Orientation(turns, True)
    assert_upright(found, truth)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turning_the_geometry_turns_the_picture(turns, mirrored):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    geometry = turned(flat_geometry(60, 40, 4.0), turns, mirrored)
    # Pixel centres lie an eighth of a millimetre inside the page.
    x0, y0, x1, y1 = (v + 0.125 for v in geometry.extent_mm)
    upright, inside = warp_box(pixels, geometry, (x0, y0, x1, y1), 4.0, interpolation=0)
    expected = np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)
    assert inside.all()
    assert np.array_equal(upright, expected)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_geometry_keeps_its_scales(turns):
    geometry = turned(flat_geometry(60, 40, (4.0, 5.0)), turns)
    expected = (5.0, 4.0) if turns % 2 else (4.0, 5.0)
    assert geometry.px_per_mm == pytest.approx(expected)


@pytest.mark.xfail(strict=True, raises=ValueError, reason="a spline of two nodes has no slope")
@pytest.mark.parametrize("point", [(1.0, 2.0), (-3.0, 30.0)])
def test_a_flat_geometry_maps_there_and_back(point):
    geometry = flat_geometry(60, 40, (4.0, 5.0))
    assert np.allclose(to_page(geometry, to_image(geometry, np.array([point]))), [point])
