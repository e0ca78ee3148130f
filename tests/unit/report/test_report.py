import dataclasses

import cv2
import numpy as np

from cinc_ecg.leads import LEADS
from cinc_ecg.report.encode import encode_png
from cinc_ecg.report.overlay import draw_overlay, lead_colour
from cinc_ecg.report.replot import draw_signal
from cinc_ecg.types import Signal


def near(pixels, colour, tolerance=60):
    return np.abs(pixels.astype(int) - colour).max(axis=-1) <= tolerance


def test_the_trace_is_drawn_where_it_was_read(small_digitization, small_image):
    picture = draw_overlay(small_image, small_digitization)
    assert picture.shape[1] == small_image.width
    assert picture.shape[0] > small_image.height
    # At x = 30 mm lead I is 8 mm above its baseline of 20 mm, at 8 px/mm.
    ink = near(picture[: small_image.height], lead_colour("I"))
    rows = np.flatnonzero(ink[80:170, 239])
    assert abs(rows.mean() + 80 - (12.0 * 8 - 0.5)) < 2


def test_a_gap_stays_open_in_the_overlay(small_digitization, small_image):
    picture = draw_overlay(small_image, small_digitization)
    x = round((10.0 + 0.125 * 230) * 8)
    column = picture[: small_image.height, x - 3 : x + 4]
    band = slice(round(33.5 * 8), round(44.0 * 8))
    assert not near(column[band], lead_colour("V6")).any()


def test_overlay_survives_a_trace_that_leaves_the_picture(small_digitization, small_image):
    (first, second) = small_digitization.traces
    wild = dataclasses.replace(first, y_mm=first.y_mm + np.where(first.y_mm < 15, 1e9, 0))
    result = dataclasses.replace(small_digitization, traces=(wild, second))
    assert draw_overlay(small_image, result).dtype == np.uint8


def test_every_lead_has_its_own_colour():
    assert len({lead_colour(lead) for lead in LEADS}) == len(LEADS)


def test_replot_draws_every_lead_and_survives_empty_ones():
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.3, (2500, 12)).astype(np.float32)
    samples[:, 4] = np.nan
    full = draw_signal(Signal(samples, 250.0, LEADS))
    blank = draw_signal(Signal(np.full_like(samples, np.nan), 250.0, LEADS))
    changed = (full != blank).any(axis=-1)
    assert full.shape == blank.shape
    assert changed.any(axis=0).mean() > 0.8
    # aVL is fifth of the first column: its band is empty.
    band = slice((10 + 4 * 30 + 10) * 6, (10 + 5 * 30 - 10) * 6)
    assert not changed[band, : full.shape[1] // 2 - 20].any()


def test_replot_of_a_huge_offset_stays_on_the_page():
    samples = np.full((500, 1), 40.0, np.float32)
    samples[::50] += 0.5
    picture = draw_signal(Signal(samples, 250.0, ("I",)))
    assert near(picture, (20, 20, 60)).sum() > 500


def test_png_bytes_decode_to_the_same_pixels():
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = np.frombuffer(encode_png(pixels), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], pixels)
