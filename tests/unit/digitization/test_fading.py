"""Levelling the contrast of unevenly faded pages by their grid."""

from __future__ import annotations

import numpy as np
import pytest

from cinc_ecg.digitization.fading import even_contrast, grid_contrast
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values


@pytest.fixture(scope="module")
def page():
    settings = with_values(PageSettings(), {"paper.dpi": 120.0})
    return render(simulate(seed=3), settings, seed=3)


def _faded(pixels: np.ndarray, left: float, right: float) -> np.ndarray:
    """Pale a page towards white, from one share of its contrast at the left to another."""
    kept = np.linspace(left, right, pixels.shape[1])[None, :, None]
    return np.asarray(255.0 - kept * (255.0 - pixels), np.uint8)


def test_an_even_page_stays_as_it_is(page):
    image, truth = page
    for kept in (1.0, 0.35):
        pixels = _faded(image.pixels, kept, kept)
        assert even_contrast(pixels, truth.geometry) is pixels


def test_a_faded_page_gets_one_contrast(page):
    image, truth = page
    pixels = _faded(image.pixels, 1.0, 0.25)
    levelled = even_contrast(pixels, truth.geometry)
    before, after = (grid_contrast(p, truth.geometry)[8:-2, 2:-2] for p in (pixels, levelled))
    assert np.quantile(before, 0.05) < 0.5 * np.quantile(before, 0.95)
    assert np.quantile(after, 0.05) > 0.7 * np.quantile(after, 0.95)
    # Paper stays paper, and ink is raised with the grid.
    assert np.median(levelled[::7, ::7]) > 240
    dark = np.sort(levelled[:, -300:-60].min(axis=2).ravel())[:300].mean()
    assert dark < np.sort(pixels[:, -300:-60].min(axis=2).ravel())[:300].mean() - 60


def test_margins_without_a_grid_are_left_alone(page):
    image, truth = page
    rng = np.random.default_rng(0)
    pixels = _faded(image.pixels, 1.0, 0.3)
    blank = slice(0, pixels.shape[0] // 4)
    pixels[blank] = np.clip(250 + rng.normal(0, 2, pixels[blank].shape), 0, 255)
    levelled = even_contrast(pixels, truth.geometry)
    assert levelled is not pixels
    # The last centimetre before the grid is raised with it.
    inner = slice(0, pixels.shape[0] // 6)
    assert levelled[inner].std() < 2 * pixels[inner].std()


def test_the_contrast_of_a_page_that_is_not_one_is_unknown(page):
    image, truth = page
    nothing = np.zeros(image.pixels.shape[:2], bool)
    assert np.isnan(grid_contrast(image.pixels, truth.geometry, nothing)).all()
    assert even_contrast(image.pixels, truth.geometry, nothing) is image.pixels
