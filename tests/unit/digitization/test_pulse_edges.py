"""The sides of calibration pulses, measured again in the picture's own pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.pulse_edges import refine_sides
from cinc_ecg.geometry import densify, flat_geometry
from cinc_ecg.types import Pulse

SHIFT = 6  # fractional bits of OpenCV's drawing coordinates


def picture(px_per_mm, x0_mm, x1_mm, *, grid=(255, 170, 170), blur=0.6):
    """Draw a pulse of 10 mm on a 1 mm grid, with the trace that starts at its far side."""
    page = np.full((round(40 * px_per_mm), round(60 * px_per_mm), 3), 255, np.uint8)
    for mm in range(60):
        at = round(mm * px_per_mm)
        page[:, at : at + 1] = grid
        page[at : at + 1] = grid
    points = [(x0_mm - 1, 25), (x0_mm, 25), (x0_mm, 15), (x1_mm, 15), (x1_mm, 25), (50, 25)]
    px = np.rint((np.array(points) * px_per_mm - 0.5) * 2**SHIFT).astype(np.int32)
    width = max(round(0.35 * px_per_mm), 1)
    cv2.polylines(page, [px], False, (20, 20, 20), width, cv2.LINE_AA, SHIFT)
    return cv2.GaussianBlur(page, (0, 0), blur)


@pytest.mark.parametrize("px_per_mm", [5.0, 8.0, 11.8])
@pytest.mark.parametrize("start_mm", [10.0, 10.23, 10.5])
def test_sides_are_found_to_a_hundredth_of_a_millimetre(px_per_mm, start_mm):
    pixels = picture(px_per_mm, start_mm, start_mm + 5.0)
    geometry = densify(flat_geometry(pixels.shape[1], pixels.shape[0], px_per_mm), 10.0)
    rough = Pulse(start_mm + 0.05, start_mm + 4.93, 25.0, 15.0, 1.0)
    (fine,) = refine_sides(pixels, geometry, [rough])
    tolerance = max(0.01, 0.12 / px_per_mm)  # an eighth of a pixel on coarse pictures
    assert fine.x0_mm == pytest.approx(start_mm, abs=tolerance)
    assert fine.x1_mm == pytest.approx(start_mm + 5.0, abs=tolerance)
    assert (fine.foot_mm, fine.top_mm, fine.score) == (25.0, 15.0, 1.0)


def test_a_side_that_is_not_there_keeps_its_place():
    pixels = picture(8.0, 10.0, 15.0)
    geometry = densify(flat_geometry(pixels.shape[1], pixels.shape[0], 8.0), 10.0)
    elsewhere = Pulse(30.0, 35.0, 24.0, 14.0, 1.0)
    beyond = Pulse(-3.0, 59.9, 24.0, 14.0, 1.0)
    assert refine_sides(pixels, geometry, [elsewhere, beyond]) == (elsewhere, beyond)
