"""Ink is measured against the paper around it, whatever the light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.density import (
    is_dark_mode,
    optical_density,
    paper_background,
    paper_mask,
)

PAPER = (240, 230, 205)


@pytest.fixture(scope="module")
def sheet():
    """Yellowish paper with a grid and a wave."""
    pixels = np.full((360, 520, 3), PAPER, np.uint8)
    for x in range(0, 520, 20):
        cv2.line(pixels, (x, 0), (x, 359), (230, 150, 140), 1)
    for y in range(0, 360, 20):
        cv2.line(pixels, (0, y), (519, y), (230, 150, 140), 1)
    points = np.stack([np.arange(520), 180 - 90 * np.sin(np.arange(520) / 20)], -1)
    cv2.polylines(pixels, [points.astype(np.int32)], False, (20, 20, 20), 2)
    return pixels


def test_a_page_is_light_and_a_monitor_is_dark(sheet):
    assert not is_dark_mode(sheet)
    assert is_dark_mode(255 - sheet)


def test_a_picture_of_a_page_on_a_black_table_is_not_dark_mode(sheet):
    wide = np.zeros((600, 800, 3), np.uint8)
    wide[100:460, 100:620] = sheet
    assert not is_dark_mode(wide)


def test_the_background_is_the_bare_paper(sheet):
    background = paper_background(sheet)
    assert background.shape == sheet.shape
    assert np.percentile(np.abs(background / PAPER - 1), 95) < 0.03
    assert background.max() <= 241


def test_the_background_follows_the_light(sheet):
    light = np.linspace(0.6, 1.0, 520)[None, :, None]
    background = paper_background((sheet * light).astype(np.uint8))
    ratio = background / (light * np.array(PAPER))
    assert np.percentile(np.abs(ratio - 1), 95) < 0.03


def test_a_black_picture_can_still_be_divided_by():
    black = np.zeros((50, 60, 3), np.uint8)
    background = paper_background(black)
    assert background.min() >= 8
    assert np.isfinite(optical_density(black, background)).all()


def test_density_is_zero_on_paper_and_the_logarithm_of_what_ink_lets_through():
    pixels = np.full((10, 10, 3), 200, np.uint8)
    pixels[4, 4] = 100
    density = optical_density(pixels, np.full((10, 10, 3), 200, np.float32))
    assert density[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert density[4, 4] == pytest.approx(np.log(2), abs=1e-5)


@pytest.mark.parametrize("light", [0.5, 0.7, 0.9])
def test_density_does_not_depend_on_the_light(sheet, light):
    full = optical_density(sheet, paper_background(sheet))
    dim_pixels = np.rint(sheet * light).astype(np.uint8)
    dim = optical_density(dim_pixels, paper_background(dim_pixels))
    assert np.abs(np.minimum(full, 2) - np.minimum(dim, 2)).mean() < 0.02


def test_only_dark_areas_at_the_border_are_off_the_paper(sheet):
    wide = np.full((600, 800, 3), 15, np.uint8)
    wide[100:460, 140:660] = sheet
    wide[250:310, 350:450] = 30  # a deep shadow on the page
    mask = paper_mask(paper_background(wide))
    assert mask.shape == (600, 800)
    assert not mask[:60].any()
    assert not mask[:, -80:].any()
    assert mask[150:410, 190:610].all()


def test_a_page_that_fills_the_picture_is_paper_everywhere(sheet):
    assert paper_mask(paper_background(sheet)).all()
