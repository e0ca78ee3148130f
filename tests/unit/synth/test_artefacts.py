"""Artefacts keep the truth: what is printed at a page position is found where the geometry says."""

import numpy as np
import pytest

from cinc_ecg.errors import ConfigError
from cinc_ecg.geometry import to_image
from cinc_ecg.synth.artefacts import ARTEFACTS, Step, apply
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import GridSettings, PageSettings, PaperSettings
from cinc_ecg.types import EcgImage, PageTruth, Signal

SMALL = PageSettings(
    paper=PaperSettings(size_mm=(120.0, 90.0), dpi=150.0), grid=GridSettings(style="none")
)
DOTS_MM = np.array([[x, y] for x in (15.0, 40.0, 66.0, 100.0) for y in (18.0, 41.0, 70.0)])

GEOMETRIC = [
    Step("rotate", {"max_deg": 7.0}),
    Step("rotate", {"max_deg": 40.0, "exactly": True, "expand": True}),
    Step("perspective", {"corner_shift": 0.05}),
    Step("curl", {"amount": 0.02}),
    Step("rescale", {"factor": 0.7}),
    Step("rescale", {"factor": 1.6}),
    Step("crop", {"share": 0.05}),
    Step("quarter_turn", {"turns": 1}),
    Step("quarter_turn", {"turns": 3}),
    Step(
        "photograph",
        {"size_px": [900, 700], "noise": [0.0, 0.0], "jpeg": 100, "light": [1.0, 1.0]}
        | {"shadow": 0.0, "curl": 0.01, "backgrounds": ["plain"]},
    ),
]
PHOTOMETRIC = {
    "noise": {"sigma": 10.0},
    "blur": {"sigma_px": 1.0},
    "defocus": {"radius_px": 2.0},
    "motion": {"length_px": 5.0},
    "jpeg": {"quality": 50},
    "down_up": {"factor": 0.6},
    "colour_cast": {"strength": 0.2},
    "grey": {"contrast": 0.7},
    "fax": {"dpi_factor": 0.6},
    "moire": {"strength": 0.1},
    "light_gradient": {},
    "shadow": {"depth": 0.3},
    "glare": {"strength": 0.7},
    "crumple": {},
    "fold": {"folds": 2},
    "stain": {},
    "fading": {"strength": 0.5},
    "handwriting": {},
    "occlusion": {},
}


@pytest.fixture(scope="module")
def dotted() -> tuple[EcgImage, PageTruth]:
    """A white page with black discs at known places."""
    empty = Signal(np.zeros((0, 12), np.float32), 500.0, ())
    _, truth = render(empty, SMALL, header=())
    height, width = SMALL.paper.size_px[::-1]
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), 255, np.uint8)
    for cx, cy in to_image(truth.geometry, DOTS_MM):
        cover = np.clip(4.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        pixels = np.rint(pixels * (1 - cover)).astype(np.uint8)
    return EcgImage(pixels), truth


def _found(pixels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of mass of the darkness around each expected place."""
    dark = 255.0 - pixels.astype(float).mean(axis=-1)
    centres = []
    for cx, cy in near:
        x0, y0 = round(cx) - 9, round(cy) - 9
        part = dark[y0 : y0 + 19, x0 : x0 + 19]
        part = np.clip(part - np.median(part) - 8, 0, None)
        yy, xx = np.mgrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        centres.append([(part * xx).sum() / part.sum(), (part * yy).sum() / part.sum()])
    return np.array(centres)


def _inside(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    return (places > 12).all(axis=1) & (places < (width - 13, height - 13)).all(axis=1)


@pytest.mark.parametrize("step", GEOMETRIC, ids=lambda s: s.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_geometry_follows_the_pixels(dotted, step, seed):
    image, truth = apply(*dotted, [step], np.random.default_rng(seed))
    expected = to_image(truth.geometry, DOTS_MM)
    keep = _inside(expected, image.pixels.shape)
    assert keep.sum() >= 6
    error = np.hypot(*(_found(image.pixels, expected[keep]) - expected[keep]).T)
    assert error.max() < 0.08


def test_chains_accumulate_geometry_and_notes(dotted):
    steps = [Step("rotate", {"max_deg": 5.0}), Step("curl", {"amount": 0.01})]
    image, truth = apply(*dotted, steps, np.random.default_rng(3))
    expected = to_image(truth.geometry, DOTS_MM)
    keep = _inside(expected, image.pixels.shape)
    error = np.hypot(*(_found(image.pixels, expected[keep]) - expected[keep]).T)
    assert error.max() < 0.1
    assert [note["name"] for note in truth.settings["artefacts"]] == ["rotate", "curl"]


@pytest.mark.parametrize("name", sorted(PHOTOMETRIC))
def test_photometric_artefacts_change_pixels_only(dotted, name):
    image, truth = dotted
    step = Step(name, PHOTOMETRIC[name])
    after, moved = apply(image, truth, [step], np.random.default_rng(1))
    again, _ = apply(image, truth, [step], np.random.default_rng(1))
    assert after.pixels.shape == image.pixels.shape
    assert after.pixels.dtype == np.uint8
    np.testing.assert_array_equal(moved.geometry.nodes_px, truth.geometry.nodes_px)
    np.testing.assert_array_equal(after.pixels, again.pixels)
    assert (after.pixels != image.pixels).any()


def test_every_artefact_is_tested():
    assert {step.name for step in GEOMETRIC} | set(PHOTOMETRIC) == set(ARTEFACTS)


@pytest.mark.parametrize("name", ["motion", "defocus", "down_up"])
def test_blurs_do_not_move_the_ink(dotted, name):
    image, truth = apply(*dotted, [Step(name, PHOTOMETRIC[name])], np.random.default_rng(2))
    expected = to_image(truth.geometry, DOTS_MM)
    assert np.hypot(*(_found(image.pixels, expected) - expected).T).max() < 0.08


@pytest.mark.parametrize("step", [Step("sepia"), Step("noise", {"colour": 3}), Step("noise")])
def test_wrong_artefacts_are_refused(dotted, step):
    with pytest.raises(ConfigError, match=step.name):
        apply(*dotted, [step], np.random.default_rng(0))


def test_an_expanded_rotation_keeps_the_whole_page(dotted):
    step = Step("rotate", {"max_deg": 30.0, "exactly": True, "expand": True})
    image, truth = apply(*dotted, [step], np.random.default_rng(0))
    corners = to_image(truth.geometry, np.array([[0, 0], [120, 0], [120, 90], [0, 90.0]]))
    assert (corners > -2).all()
    assert (corners < (image.width + 1, image.height + 1)).all()


def test_quarter_turns_come_back(dotted):
    image, truth = apply(*dotted, [Step("quarter_turn", {"turns": 4})], np.random.default_rng(0))
    np.testing.assert_array_equal(image.pixels, dotted[0].pixels)
    np.testing.assert_allclose(truth.geometry.nodes_px, dotted[1].geometry.nodes_px)
