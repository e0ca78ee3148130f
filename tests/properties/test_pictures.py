"""Changes of the picture that leave the ECG alone leave the signals alone, as far as they can."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.io.images import read_image
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.types import EcgImage


def same_bytes(a, b):
    """Compare two results to the bit."""
    return (
        a.signal.leads == b.signal.leads
        and a.signal.samples_mv.tobytes() == b.signal.samples_mv.tobytes()
        and a.signal.sigma_mv.tobytes() == b.signal.sigma_mv.tobytes()
        and a.layout == b.layout
        and a.notes == b.notes
    )


def test_the_page_is_read_well(plain):
    assert plain[3] > 15.0


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param(1, marks=pytest.mark.slow),
        2,
        pytest.param(3, marks=pytest.mark.slow),
    ],
)
def test_quarter_turns_cost_half_a_decibel_at_most(plain, read_page, snr, turns):
    image, truth, _, before = plain
    after = snr(truth, read_page(np.rot90(image.pixels, turns)).signal)
    assert after > before - 0.5


@pytest.mark.slow
@pytest.mark.parametrize("angle", [-10.0, -4.0, 4.0, 10.0])
def test_small_turns_cost_one_decibel_at_most(plain, read_page, snr, angle):
    image, truth, _, before = plain
    step = Step(
        "rotate",
        {"max_deg": abs(angle), "exactly": True, "expand": True, "colour": (255, 255, 255)},
    )
    # The generator's first draw decides the side.
    seed = next(
        s for s in range(20) if np.random.default_rng(s).choice([-1.0, 1.0]) == np.sign(angle)
    )
    turned, _ = apply(image, truth, [step], np.random.default_rng(seed))
    after = snr(truth, read_page(turned.pixels).signal)
    assert after > before - 1.0


@pytest.mark.slow
def test_grey_costs_one_decibel_at_most(plain, read_page, snr):
    image, truth, _, before = plain
    grey = np.asarray(Image.fromarray(image.pixels).convert("L").convert("RGB"))
    assert snr(truth, read_page(grey).signal) > before - 1.0


@pytest.mark.slow
def test_resolution_follows_a_ladder(page_of, read_page, snr):
    """More pixels never cost more than noise, and 100 dpi are enough for 12 dB.

    Above 25 dB the time zero decides, which the score aligns by whole samples only.
    """
    ladder = []
    for dpi in (100.0, 150.0, 200.0, 300.0):
        image, truth = page_of(7, paper__dpi=dpi)
        ladder.append(snr(truth, read_page(image.pixels).signal))
    assert ladder[0] > 12.0
    assert ladder[2] > 17.0
    for coarse, fine in pairwise(ladder):
        assert fine > min(coarse, 25.0) - 1.0


@pytest.mark.parametrize("margin", [40])
def test_a_white_margin_changes_little(plain, read_page, snr, margin):
    image, truth, _, before = plain
    sides = ((margin, margin), (margin, margin), (0, 0))
    wide = np.pad(image.pixels, sides, constant_values=255)
    assert snr(truth, read_page(wide).signal) > before - 1.0


def test_the_same_pixels_in_any_container_give_the_same_bytes(plain, tmp_path):
    image, _, result, _ = plain
    picture = Image.fromarray(image.pixels)
    decoded = []
    for suffix, options in ((".png", {}), (".bmp", {}), (".tiff", {"compression": "tiff_lzw"})):
        path = tmp_path / f"page{suffix}"
        picture.save(path, **options)
        decoded.append(read_image(path).pixels)
        assert np.array_equal(decoded[-1], image.pixels)
        assert decoded[-1].flags["C_CONTIGUOUS"]
    again = digitize(EcgImage(decoded[-1], "page.tiff", dpi=72.0))
    assert same_bytes(again, result)


@pytest.mark.slow
def test_an_alpha_channel_and_a_palette_change_nothing(page_of, plain):
    image, _, result, _ = plain
    buffer = io.BytesIO()
    Image.fromarray(image.pixels).convert("RGBA").save(buffer, "PNG")
    buffer.seek(0)
    with Image.open(buffer) as opened:
        flat = np.asarray(opened.convert("RGB"))
    assert same_bytes(digitize(EcgImage(flat)), result)


@pytest.mark.slow
def test_any_order_of_a_batch_gives_the_same_bytes(page_of, read_page):
    pages = [page_of(seed)[0].pixels for seed in (1, 2, 3)]
    forwards = [read_page(p) for p in pages]
    backwards = [read_page(p) for p in reversed(pages)][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert same_bytes(a, b)
