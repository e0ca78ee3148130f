"""Trace rows in ink drawn for the purpose: where they run, and what is no row."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.mark_ink import MarkInk
from cinc_ecg.digitization.rows import find_rows, trace_ink
from cinc_ecg.types import Pulse

K = 6.0
WIDTH_MM, HEIGHT_MM = 150.0, 100.0
ORIGIN = (-10.0, 5.0)


def blank():
    return np.zeros((round(HEIGHT_MM * K), round(WIDTH_MM * K)), np.float32)


def put(ink, x_mm, y_mm, pen_mm=0.3):
    """Draw a line through page positions."""
    points = np.stack([np.asarray(x_mm) - ORIGIN[0], np.asarray(y_mm) - ORIGIN[1]], -1) * K
    fixed = np.rint(points * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(ink, [fixed], False, 1.0, max(round(pen_mm * K), 1), cv2.LINE_8, 4)
    return ink


def beats(x_mm, height_mm=10.0):
    """An upward deflection every 20 mm."""
    return height_mm * np.exp(-(((x_mm % 20.0) - 10.0) ** 2) / 0.3)


def trace(ink, baseline_mm, x0=0.0, x1=130.0, height_mm=10.0, drift_mm=0.0):
    x = np.arange(x0, x1, 0.1)
    drift = drift_mm * np.sin(x / 25.0)
    return put(ink, x, baseline_mm - beats(x, height_mm) + drift)


def rows_of(ink, pulses=(), inside=None):
    return find_rows(MarkInk(ink, K, ORIGIN, 0.8), inside, pulses)


@pytest.mark.parametrize("baselines", [(50.0,), (35.0, 75.0), (30.0, 48.0, 66.0, 84.0)])
def test_rows_are_found_where_they_are_drawn(baselines):
    ink = blank()
    for y in baselines:
        trace(ink, y)
    rows = rows_of(ink)
    assert [r.baseline_mm for r in rows] == pytest.approx(baselines, abs=0.4)
    for row in rows:
        assert (row.x0_mm, row.x1_mm) == pytest.approx((0.0, 130.0), abs=0.5)
        assert row.coverage > 0.99


@pytest.mark.parametrize("drift_mm", [1.0, 3.0])
def test_a_drifting_row_is_one_row(drift_mm):
    ink = blank()
    for y in (35.0, 75.0):
        trace(ink, y, drift_mm=drift_mm)
    assert len(rows_of(ink)) == 2


def test_downward_beats_do_not_pull_the_row():
    ink = blank()
    trace(ink, 35.0, height_mm=-14.0)
    trace(ink, 75.0)
    assert [r.baseline_mm for r in rows_of(ink)] == pytest.approx([35.0, 75.0], abs=0.4)


def test_short_breaks_of_the_pen_do_not_end_a_row():
    ink = blank()
    for a, b in ((0.0, 40.0), (42.0, 85.0), (90.0, 130.0)):
        trace(ink, 50.0, a, b)
    (row,) = rows_of(ink)
    assert (row.x0_mm, row.x1_mm) == pytest.approx((0.0, 130.0), abs=0.5)
    assert 0.9 < row.coverage < 0.97


def test_text_is_no_row():
    ink = blank()
    trace(ink, 70.0)
    for x in np.arange(0.0, 120.0, 3.0):
        put(ink, [x, x, x + 1.5, x + 1.5], [22.0, 20.0, 20.0, 22.0])
    assert [r.baseline_mm for r in rows_of(ink)] == pytest.approx([70.0], abs=0.4)


def test_a_frame_is_no_row():
    ink = blank()
    for y in (40.0, 70.0):
        trace(ink, y)
    put(ink, [-8.0, 138.0], [100.0, 100.0])
    assert [r.baseline_mm for r in rows_of(ink)] == pytest.approx([40.0, 70.0], abs=0.4)


def test_a_scribble_far_shorter_than_the_others_is_dropped():
    ink = blank()
    for y in (35.0, 75.0):
        trace(ink, y)
    trace(ink, 55.0, 60.0, 92.0)
    assert [r.baseline_mm for r in rows_of(ink)] == pytest.approx([35.0, 75.0], abs=0.4)


def test_what_lies_off_the_grid_is_not_looked_at():
    ink = blank()
    for y in (35.0, 75.0):
        trace(ink, y)
    inside = np.ones(ink.shape, bool)
    inside[round((60 - ORIGIN[1]) * K) :] = False
    assert [r.baseline_mm for r in rows_of(ink, inside=inside)] == pytest.approx([35.0], abs=0.4)


def test_pulses_in_a_column_mark_their_rows():
    """A row whose trace dwells off its zero line is placed by its pulse."""
    ink = blank()
    feet = (30.0, 52.0, 74.0)
    for y in feet:
        trace(ink, y + 4.0, 5.0)
        put(ink, [0, 0, 5, 5], [y, y - 10, y - 10, y])
    pulses = [Pulse(0.0, 5.0, y, y - 10.0) for y in feet]
    assert [r.baseline_mm for r in rows_of(ink, pulses)] == pytest.approx(feet, abs=0.2)


def test_a_lone_pulse_marks_nothing():
    ink = blank()
    for y in (35.0, 75.0):
        trace(ink, y)
    rows = rows_of(ink, [Pulse(0.0, 5.0, 55.0, 45.0)])
    assert [r.baseline_mm for r in rows] == pytest.approx([35.0, 75.0], abs=0.4)


def test_no_ink_gives_no_rows():
    assert rows_of(blank()) == []


def test_only_long_strokes_are_trace():
    ink = blank()
    trace(ink, 50.0)
    put(ink, [20.0, 25.0], [80.0, 80.0])
    kept = trace_ink(MarkInk(ink, K, ORIGIN, 0.8))
    low = round((70 - ORIGIN[1]) * K)
    assert kept[:low].any()
    assert not kept[low:].any()
