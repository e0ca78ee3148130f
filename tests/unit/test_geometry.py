"""Page <-> image maps are each other's inverse, and warping puts things where the map says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.geometry import (
    densify,
    flat_geometry,
    map_nodes,
    to_image,
    to_page,
    warp_box,
    warp_map,
)


def bent(strength: float):
    """A page turned by 5 degrees, in perspective and curled."""
    turn = np.deg2rad(5)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def fn(p):
        q = (p - 500) @ rotation.T
        q = q / (1 + strength * 1e-4 * q[:, :1]) + 500
        q[:, 1] += 12 * strength * np.sin(q[:, 0] / 400)
        return q

    return map_nodes(densify(flat_geometry(1000, 800, 5.0), 10.0), fn)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**31))
def test_page_to_image_and_back(strength, seed):
    geometry = bent(strength)
    x0, y0, x1, y1 = geometry.extent_mm
    points = np.random.default_rng(seed).uniform((x0 - 5, y0 - 5), (x1 + 5, y1 + 5), (50, 2))
    back = to_page(geometry, to_image(geometry, points))
    assert np.abs(back - points).max() < 1e-3


def test_flat_page_origin_is_the_corner_of_the_first_pixel():
    geometry = flat_geometry(1000, 800, (5.0, 4.0))
    assert np.allclose(to_image(geometry, np.array([[0.1, 0.125]])), [[0.0, 0.0]])
    assert np.allclose(geometry.px_per_mm, (5.0, 4.0))


def test_densify_keeps_the_map():
    geometry = bent(0.5)
    points = np.random.default_rng(0).uniform((0, 0), (200, 160), (100, 2))
    assert (
        np.abs(to_image(densify(geometry, 3.0), points) - to_image(geometry, points)).max() < 0.05
    )


def test_warp_box_puts_a_dot_at_its_page_position():
    geometry = bent(1.0)
    spot = np.array([80.0, 60.0])
    x, y = to_image(geometry, spot)
    yy, xx = np.mgrid[:800, :1000]
    picture = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 18).astype(np.float32)
    box, valid = warp_box(picture, geometry, (70, 50, 90, 70), 10.0, border=(0, 0, 0))
    row, column = np.unravel_index(box.argmax(), box.shape)
    assert abs(70 + column / 10 - 80) < 0.11
    assert abs(50 + row / 10 - 60) < 0.11
    assert valid.all()


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(-20, 190), st.floats(-20, 150), st.floats(1, 90))
def test_a_box_is_mapped_as_its_points_are(strength, x0, y0, size):
    geometry = bent(strength)
    map_x, map_y = warp_map(geometry, (x0, y0, x0 + size, y0 + 0.7 * size), 2.0)
    rows, columns = np.mgrid[: map_x.shape[0], : map_x.shape[1]]
    points = np.stack([x0 + columns / 2.0, y0 + rows / 2.0], -1)
    error = np.abs(np.stack([map_x, map_y], -1) - to_image(geometry, points))
    assert error.max(initial=0.0) < 1e-8


def test_a_lattice_of_four_nodes_is_continued_beyond_its_edges():
    geometry = flat_geometry(100, 80, 5.0)
    map_x, map_y = warp_map(geometry, (-4.0, -4.0, 30.0, 30.0), 1.0)
    assert np.allclose(map_x[0], 5.0 * np.arange(-4, 30) - 0.5)
    assert np.allclose(map_y[:, 0], 5.0 * np.arange(-4, 30) - 0.5)
