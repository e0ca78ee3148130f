"""Speed and gain: every source alone, and who wins when they disagree."""

from __future__ import annotations

import pytest

from cinc_ecg.digitization.calibrate import calibrate
from cinc_ecg.digitization.calibration_text import ScaleText, parse_calibration_text
from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.rows import Row
from cinc_ecg.types import Pulse

FRAME = Frame((Row(50.0, 10.0, 260.0, 1.0),), 10.0, 260.0)


def pulses(*heights):
    return [Pulse(5.0, 10.0, 50.0, 50.0 - h) for h in heights]


def result(pulses_=(), text=(), **options):
    calibration, notes = calibrate(FRAME, pulses_, text, n_columns=4, **options)
    return calibration, [note.code for note in notes]


def test_without_any_source_the_standard_is_assumed_and_said():
    calibration, notes = result()
    assert (calibration.mm_per_s, calibration.mm_per_mv) == (25.0, 10.0)
    assert (calibration.time_source, calibration.gain_source) == ("assumed", "assumed")
    assert notes == ["speed_assumed", "gain_assumed"]


@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 10), (25, 5), (12.5, 20)])
def test_the_printed_values_are_taken(speed, gain):
    text = parse_calibration_text(f"{speed} mm/s   {gain} mm/mV")
    calibration, notes = result(text=text)
    assert (calibration.mm_per_s, calibration.mm_per_mv) == (speed, gain)
    assert (calibration.time_source, calibration.gain_source) == ("text", "text")
    assert notes == []


@pytest.mark.parametrize("height", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("error", [0.95, 1.0, 1.06])
def test_pulses_tell_the_gain(height, error):
    calibration, notes = result(pulses(*[height * error] * 3))
    assert calibration.mm_per_mv == height
    assert calibration.gain_source == "pulse"
    assert notes == ["speed_assumed"]


def test_pulses_of_no_usual_height_are_not_believed():
    calibration, notes = result(pulses(14.2, 14.1))
    assert calibration.gain_source == "assumed"
    assert "gain_assumed" in notes


def test_one_odd_pulse_among_many_does_not_matter():
    calibration, _ = result(pulses(10.1, 9.9, 10.0, 17.0))
    assert (calibration.mm_per_mv, calibration.gain_source) == (10.0, "pulse")


def test_text_and_pulses_that_disagree_are_reported():
    calibration, notes = result(pulses(5.0, 5.0), parse_calibration_text("25 mm/s 10 mm/mV"))
    assert (calibration.mm_per_mv, calibration.gain_source) == (10.0, "text")
    assert notes == ["gain_conflict"]


def test_text_and_pulses_that_agree_are_not():
    calibration, notes = result(pulses(10.0, 10.1), parse_calibration_text("25 mm/s 10 mm/mV"))
    assert calibration.mm_per_mv == 10.0
    assert notes == []


def test_two_equally_sure_readings_that_differ_count_for_nothing():
    text = [ScaleText("25", "speed", 25.0, 0.9), ScaleText("50", "speed", 50.0, 0.88)]
    calibration, _ = result(text=text)
    assert calibration.time_source == "assumed"
    sure = [ScaleText("25", "speed", 25.0, 0.9), ScaleText("50", "speed", 50.0, 0.5)]
    assert result(text=sure)[0].time_source == "text"


@pytest.mark.parametrize(("duration_s", "speed"), [(10.0, 25.0), (5.0, 50.0), (20.0, 12.5)])
def test_the_records_length_tells_the_speed(duration_s, speed):
    calibration, notes = result(duration_s=duration_s)
    assert (calibration.mm_per_s, calibration.time_source) == (speed, "header")
    assert "speed_assumed" not in notes
    assert "duration_differs" not in notes


def test_a_length_that_no_speed_explains_is_reported():
    calibration, notes = result(duration_s=7.0)
    assert (calibration.mm_per_s, calibration.time_source) == (25.0, "assumed")
    assert "duration_differs" in notes


def test_a_length_that_contradicts_the_text_is_reported():
    calibration, notes = result(text=parse_calibration_text("50 mm/s"), duration_s=10.0)
    assert (calibration.mm_per_s, calibration.time_source) == (50.0, "text")
    assert "duration_differs" in notes


def test_the_user_wins_over_everything():
    calibration, notes = result(
        pulses(10.0, 10.0),
        parse_calibration_text("25 mm/s 10 mm/mV"),
        mm_per_s=50.0,
        mm_per_mv=5.0,
    )
    assert (calibration.mm_per_s, calibration.mm_per_mv) == (50.0, 5.0)
    assert (calibration.time_source, calibration.gain_source) == ("user", "user")
    assert notes == []
