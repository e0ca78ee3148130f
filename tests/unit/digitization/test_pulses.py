"""Pulses and ticks drawn at known places are measured to a fraction of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.mark_ink import STROKE_REACH_MM, mark_ink
from cinc_ecg.digitization.pulses import find_pulses
from cinc_ecg.digitization.separators import find_separators

K = 6.0


def draw(lines, *, grid=True, pen_mm=0.35, size_mm=(240, 130)):
    """Draw polylines (mm) with sub-pixel ends on a page."""
    width, height = (round(v * K) for v in size_mm)
    page = np.full((height, width, 3), 255, np.uint8)
    if grid:
        for mm in range(0, size_mm[0]):
            cv2.line(page, (round(mm * K), 0), (round(mm * K), height), (255, 190, 190), 1)
            cv2.line(page, (0, round(mm * K)), (width, round(mm * K)), (255, 190, 190), 1)
    fine = 4
    big = np.zeros((height * fine, width * fine), np.uint8)
    for line in lines:
        # Pixel centres of the fine picture lie half a fine pixel off those of the page.
        points = (np.asarray(line, float) * K + 0.5) * fine - 0.5
        thick = max(round(pen_mm * K * fine), 1)
        cv2.polylines(big, [np.round(points).astype(np.int32)], False, 255, thick)
    cover = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    return (page * (1 - cover) + 20 * cover).astype(np.uint8)


def pulse(x, foot, width, height, flank=0.0):
    top = foot - height
    return [
        (x - flank, foot),
        (x, foot),
        (x, top),
        (x + width, top),
        (x + width, foot),
        (x + width + flank, foot),
    ]


def trace(x0, x1, y):
    t = np.arange(x0, x1, 0.2)
    beat = (t - x0) % 20 - 10
    shape = -9 * np.exp(-(beat**2) / 0.3) + 3 * np.exp(-((beat - 1) ** 2) / 0.2)
    return np.stack([t, y + shape], axis=1)


def ink(page):
    return mark_ink(page, K, reach_mm=STROKE_REACH_MM)


@pytest.mark.parametrize(
    ("width", "height", "flank"), [(5, 10, 0), (5, 10, 2), (5, 5, 2), (2.5, 10, 2), (5, 20, 0)]
)
def test_pulses_are_measured(width, height, flank):
    feet = (30.3, 70.1, 110.45)
    lines = [pulse(10.2, foot, width, height, flank) for foot in feet]
    lines += [trace(20, 230, foot) for foot in feet]
    found = find_pulses(ink(draw(lines)))
    assert len(found) == 3
    for p, foot in zip(found, feet, strict=True):
        assert p.x0_mm == pytest.approx(10.2, abs=0.1)
        assert p.x1_mm == pytest.approx(10.2 + width, abs=0.1)
        assert p.foot_mm == pytest.approx(foot, abs=0.12)
        assert p.height_mm == pytest.approx(height, abs=0.12)
        assert p.score > 0.7


def test_a_pulse_joined_by_the_trace_is_found():
    lines = [np.vstack([pulse(10, foot, 5, 10), trace(15, 230, foot)]) for foot in (40, 90)]
    found = find_pulses(ink(draw(lines)))
    assert [round(p.height_mm, 0) for p in found] == [10, 10]


def test_a_frame_and_a_trace_are_no_pulses():
    box = [(100, 20), (105, 20), (105, 30), (100, 30), (100, 20)]
    assert find_pulses(ink(draw([box, trace(5, 230, 60), trace(5, 230, 100)]))) == []


def test_ticks_are_found_across_the_trace():
    truth = [(x, y) for y in (30, 70, 110) for x in (70.0, 132.5, 200.0)]
    page = draw([trace(5, 230, y) for y in (30, 70, 110)])
    for x, y in truth:
        left, top = round((x - 0.3) * K), round((y - 3.5) * K)
        page[top : top + 42, left : left + 4] = 20
    found = find_separators(ink(page))
    assert sorted((round(s.x_mm, 0), round((s.y0_mm + s.y1_mm) / 2, 0)) for s in found) == sorted(
        (round(x, 0), float(y)) for x, y in truth
    )


def test_beats_at_one_time_in_every_row_are_no_ticks():
    assert find_separators(ink(draw([trace(5, 230, y) for y in (30, 70, 110)]))) == []
