"""Calibration text is read when it is sure, and never invented."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cinc_ecg.digitization.glyphs import font_path
from cinc_ecg.digitization.mark_ink import mark_ink
from cinc_ecg.digitization.mark_words import find_pieces
from cinc_ecg.digitization.marks import read_marks
from cinc_ecg.digitization.page_text import find_calibration_text, parse_calibration_text
from cinc_ecg.digitization.phrases import match_phrases

K = 6.0


def page_with(*texts, font=None):
    page = Image.new("RGB", (round(200 * K), round(60 * K)), "white")
    pen = ImageDraw.Draw(page)
    for mm in range(0, 200, 5):
        pen.line([(mm * K, 0), (mm * K, 60 * K)], fill=(255, 160, 160))
        pen.line([(0, mm * K), (200 * K, mm * K)], fill=(255, 160, 160))
    font = font or ImageFont.load_default(3 * K * 1.4)
    for i, text in enumerate(texts):
        pen.text((12 * K, (11 + 14 * i) * K), text, font=font, fill=(0, 0, 0), anchor="ls")
    return np.asarray(page)


def values(found):
    return [(t.kind, t.value) for t in found]


@pytest.mark.parametrize("text", ["25mm/s", "50 mm/s", "10mm/mV", "20mm/mV"])
def test_joined_letters_are_read_as_whole_phrases(text):
    font = ImageFont.truetype(str(font_path("STIXGeneralBol")), 3 * K * 1.45)
    page = cv2.GaussianBlur(page_with(text, font=font), (0, 0), 0.5)
    found = values(find_calibration_text(page, K))
    number = float(text.split("mm")[0])
    assert found in ([], [("gain" if "mV" in text else "speed", number)])
    if text.startswith("50"):
        assert found


@pytest.mark.parametrize("face", ["STIXGeneral", "STIXGeneralItalic"])
def test_a_gain_on_the_same_line_vouches_for_the_usual_speed(face):
    font = ImageFont.truetype(str(font_path(face)), 3 * K * 1.45)
    page = page_with("25mm/s     10mm/mV", font=font)
    assert ("speed", 25.0) in values(find_calibration_text(page, K))
    for texts in (["25mm/s"], ["25mm/s", "10mm/mV"], ["25mm/s     56 yrs"]):
        assert values(find_calibration_text(page_with(*texts, font=font), K)) == []
    unusual = page_with("50 mm/s     10mm/mV", font=font)
    assert ("speed", 25.0) not in values(find_calibration_text(unusual, K))


@pytest.mark.parametrize("text", ["125mm/s", "2.5mm/mV", "15 mm/s", "30mm/mV", "12.5 mm", "25 ms"])
def test_unusual_phrases_are_no_usual_ones(text):
    assert match_phrases(*pieces_of(page_with(text))) == []


def pieces_of(page):
    marks = mark_ink(page, K)
    return marks, find_pieces(marks)


@pytest.mark.parametrize("face", [None, "STIXGeneral"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25mm/s     10mm/mV", [("speed", 25.0), ("gain", 10.0)]),
        ("50 mm/s 5 mm/mV 0.05-40 Hz", [("speed", 50.0), ("gain", 5.0)]),
        ("12.5mm/s   20mm/mV", [("speed", 12.5), ("gain", 20.0)]),
    ],
)
def test_printed_text_is_read_or_left(face, text, expected):
    font = None if face is None else ImageFont.truetype(str(font_path(face)), 3 * K * 1.45)
    found = sorted(values(find_calibration_text(page_with(text, font=font), K)))
    assert set(found) <= set(expected)
    if face is None:
        assert found == sorted(expected)


def test_the_box_lies_on_the_text():
    (found,) = find_calibration_text(page_with("25mm/s"), K, origin_mm=(100.0, -50.0))
    x0, y0, x1, y1 = found.box_mm
    assert 111.5 < x0 < 113
    assert x1 < 130
    assert -42.5 < y0 < -41
    assert -40 < y1 < -38


def test_other_text_gives_no_value():
    page = page_with("PR interval 148 ms", "Rate 25 BPM 125 mm 16:12", "mm/s mm/mV")
    assert find_calibration_text(page, K) == []


def test_an_unusual_number_is_not_cut_down_to_a_usual_one():
    assert values(find_calibration_text(page_with("125mm/s", "710mm/mV"), K)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25 mm/s 10 mm/mV", [("speed", 25.0), ("gain", 10.0)]),
        ("25mm/sec, 10mm/mv ~ 0.15-40 Hz", [("speed", 25.0), ("gain", 10.0)]),
        ("Speed: 50 mm/s", [("speed", 50.0)]),
        ("12,5 mm/s  1 cm/mV", [("speed", 12.5), ("gain", 10.0)]),
        ("Gain: 5", [("gain", 5.0)]),
        ("Gain x1/2", [("gain", 5.0)]),
        ("x2", [("gain", 20.0)]),
        ("137 mm/s 11 mm/mV", []),
        ("88 kg, 25 mm, 1.5 mV", []),
        ("", []),
    ],
)
def test_exact_text_is_parsed(text, expected):
    assert values(parse_calibration_text(text)) == expected


def test_limb_and_chest_gains_are_told_apart():
    found = parse_calibration_text("25 mm/s Limb: 10 mm/mV Chest: 5 mm/mV")
    assert [(t.value, t.leads) for t in found if t.kind == "gain"] == [
        (10.0, "limb"),
        (5.0, "chest"),
    ]


def test_one_reading_gives_all_marks():
    marks = read_marks(page_with("25mm/s 10mm/mV", "V1", "aVF"), K)
    assert {n.lead for n in marks.names if n.score > 0.4} == {"V1", "aVF"}
    assert sorted(values(marks.text)) == [("gain", 10.0), ("speed", 25.0)]
    assert marks.pulses == ()
