"""The fitted geometry against the renderer's, along the traces, on clean and damaged pages."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.density import optical_density, paper_background, paper_mask
from cinc_ecg.digitization.grid import find_grid
from cinc_ecg.digitization.plane_map import PlaneMap
from cinc_ecg.digitization.rectify import fit_geometry
from cinc_ecg.errors import GridNotFound
from cinc_ecg.geometry import to_image, to_page
from cinc_ecg.synth.artefacts import Step, apply

#: Bound on the rms error along x (and so in time: 0.03 mm are 1.2 ms at 25 mm/s).
MAX_RMS_MM = 0.03


def fitted(pixels):
    background = paper_background(pixels)
    mask, density = paper_mask(background), optical_density(pixels, background)
    return fit_geometry(density, mask, find_grid(density, mask))


def errors_mm(pixels, truth):
    """Return the rms error in x and y along the traces, the common offset taken off."""
    geometry, _, _ = fitted(pixels)
    points = np.concatenate([trace[::25] for trace in truth.trace_mm])
    found = to_page(geometry, to_image(truth.geometry, points))
    error = found - points
    return np.sqrt(((error - error.mean(0)) ** 2).mean(0))


def damaged(page, truth, *steps, seed=0):
    return apply(page, truth, [Step(name, values) for name, values in steps], _rng(seed))


def _rng(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    "print_",
    [
        {},
        {"grid__minor": False},
        {"grid__major": False, "paper__dpi": 150.0},
        {"grid__minor_colour": (190, 190, 190), "grid__major_colour": (60, 60, 60)},
    ],
    ids=["plain", "5 mm only", "1 mm only", "black and white"],
)
def test_clean_pages_are_mapped_to_a_small_part_of_a_pixel(draw, small, print_):
    page, truth = draw(small, **print_)
    assert (errors_mm(page.pixels, truth) <= MAX_RMS_MM).all()


@pytest.mark.parametrize(
    "steps",
    [
        [("rotate", {"max_deg": 8.0, "exactly": True}), ("noise", {"sigma": 20.0})],
        [("perspective", {"corner_shift": 0.04}), ("curl", {"amount": 0.005})],
        [("fold", {"folds": 2}), ("shadow", {"depth": 0.35}), ("jpeg", {"quality": 60})],
    ],
    ids=["turned and noisy", "perspective and curl", "folded, in shadow"],
)
def test_warped_pages_are_followed(draw, small, steps):
    page, truth = draw(small)
    page, truth = damaged(page, truth, *steps, seed=2)
    assert (errors_mm(page.pixels, truth) <= MAX_RMS_MM).all()


def test_a_photograph_is_followed(draw, small):
    page, truth = draw(small, paper__dpi=200.0)
    camera = {"size_px": (900, 700), "corner_shift": 0.03, "rotation_deg": 5.0, "curl": 0.004}
    page, truth = damaged(page, truth, ("photograph", camera), seed=1)
    assert (errors_mm(page.pixels, truth) <= MAX_RMS_MM).all()


def test_the_scales_of_a_stretched_scan_differ(draw, small):
    page, _ = draw(small)
    height, width = page.pixels.shape[:2]
    stretched = cv2.resize(
        page.pixels, (round(1.06 * width), height), interpolation=cv2.INTER_CUBIC
    )
    geometry, _, _ = fitted(stretched)
    assert geometry.px_per_mm == pytest.approx((1.06 * 110 / 25.4, 110 / 25.4), rel=2e-3)


def test_the_grid_is_seen_where_it_is_printed(draw, small):
    page, _ = draw(small)
    wide = np.full((620, 760, 3), 255, np.uint8)
    wide[150:540, 120:640] = page.pixels
    _, seen, rms = fitted(wide)
    assert seen.shape == wide.shape[:2]
    assert seen[180:510, 150:610].mean() > 0.97
    assert not seen[:90].any()
    assert not seen[:, 710:].any()
    assert rms < 0.05


def test_printed_lines_lie_at_whole_millimetres(draw, small):
    page, truth = draw(small)
    geometry, _, _ = fitted(page.pixels)
    crossings = truth.geometry.nodes_px[3:-3:3, 3:-3:3].reshape(-1, 2)
    found = to_page(geometry, crossings)  # the renderer's nodes are its 5 mm crossings
    assert np.abs(found - np.rint(found)).max() < 0.05


def test_a_grid_that_fades_out_is_refused(draw, small):
    page, _ = draw(small)
    background = paper_background(page.pixels)
    density, mask = optical_density(page.pixels, background), paper_mask(background)
    seed = find_grid(density, mask)
    noise = np.random.default_rng(0).normal(0, 0.1, density.shape).astype(np.float32)
    with pytest.raises(GridNotFound):
        fit_geometry(noise, mask, seed)


def test_a_plane_map_and_its_slope_agree():
    rng = np.random.default_rng(4)
    plane = PlaneMap(np.array([300.0, 200.0]), 300.0, 3, rng.normal(size=(10, 2)))
    points = rng.uniform(0, 500, (20, 2))
    slope = plane.jacobian(points)
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 1e-3
        change = (plane(points + step) - plane(points - step)) / 2e-3
        assert np.allclose(slope[..., axis], change, atol=1e-6)


def test_adding_a_polynomial_adds_its_values():
    rng = np.random.default_rng(5)
    centre, points = np.array([10.0, 20.0]), rng.uniform(0, 50, (30, 2))
    low, high = rng.normal(size=(3, 2)), rng.normal(size=(10, 2))
    plane = PlaneMap(centre, 40.0, 1, low)
    total = plane.plus(3, high)(points)
    assert np.allclose(total, plane(points) + PlaneMap(centre, 40.0, 3, high)(points))
