"""Lead names drawn on a page, in faces that are no templates, are read with their places."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cinc_ecg.digitization.glyphs import FACES, font_path
from cinc_ecg.digitization.mark_ink import mark_ink
from cinc_ecg.digitization.name_check import verify_names
from cinc_ecg.digitization.names import find_names, names_on

K = 6.0  # px per mm
ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))


def unseen_faces():
    faces = [ImageFont.load_default(3.0 * K * 1.4)]
    for name in ("cmss10", "STIXGeneral"):
        assert name not in FACES
        faces.append(ImageFont.truetype(str(font_path(name)), 3.0 * K * 1.45))
    return faces


def draw_page(font, *, texts=ROWS, grid=(255, 160, 160), rhythm="II", extra=()):
    """Return the page and the truth as (lead, x0_mm, y1_mm)."""
    width, height = round(240 * K), round(150 * K)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    if grid is not None:
        for mm in range(0, 240):
            pen.line([(mm * K, 0), (mm * K, height)], fill=grid, width=2 if mm % 5 == 0 else 1)
            pen.line([(0, mm * K), (width, mm * K)], fill=grid, width=2 if mm % 5 == 0 else 1)
    truth = []
    rows = [*texts, (rhythm,)] if rhythm else texts
    for r, row in enumerate(rows):
        t = np.arange(0, 220, 0.2)
        y = 25 + 32 * r - 8 * np.exp(-(((t % 19) - 9) ** 2) / 0.6) - 0.6 * np.sin(t / 3)
        points = [((10 + a) * K, b * K) for a, b in zip(t, y, strict=True)]
        pen.line(points, fill=(20, 20, 20), width=2)
        for c, name in enumerate(row):
            x0, y1 = 12 + 55 * c, 36 + 32 * r
            pen.text((x0 * K, y1 * K), name, font=font, fill=(10, 10, 10), anchor="ls")
            truth.append((name, x0, y1))
    for text, x0, y1 in extra:
        pen.text((x0 * K, y1 * K), text, font=font, fill=(10, 10, 10), anchor="ls")
    return np.asarray(page), truth


def assert_found(names, truth):
    for lead, x0, y1 in truth:
        near = [n for n in names if abs(n.box_mm[0] - x0) < 1.5 and abs(n.box_mm[3] - y1) < 1.0]
        assert [n.lead for n in near] == [lead], (lead, near)


@pytest.mark.parametrize("face", range(3))
def test_names_in_an_unseen_face_are_read_in_place(face):
    page, truth = draw_page(unseen_faces()[face])
    names = [n for n in find_names(page, K) if n.score > 0.4]
    assert_found(names, truth)
    assert len(names) == len(truth)


def test_grid_in_the_tone_of_the_trace_does_no_harm():
    page, truth = draw_page(unseen_faces()[0], grid=(60, 60, 60))
    assert_found([n for n in find_names(page, K) if n.score > 0.4], truth)


def test_origin_and_resolution_only_move_the_boxes():
    page, _ = draw_page(unseen_faces()[0])
    fine = np.asarray(Image.fromarray(page).resize((page.shape[1] * 2, page.shape[0] * 2)))
    plain = {(n.lead, round(n.box_mm[1] / 9)): n.box_mm for n in find_names(page, K)}
    moved = find_names(fine, 2 * K, origin_mm=(-7.0, 100.0))
    for n in moved:
        shifted = np.subtract(n.box_mm, (-7.0, 100.0, -7.0, 100.0))
        if n.score > 0.5:
            same = [b for (lead, _), b in plain.items() if lead == n.lead]
            assert min(np.abs(shifted - b).max() for b in same) < 0.6


def test_other_text_is_no_name():
    page, _ = draw_page(
        unseen_faces()[0],
        texts=(),
        rhythm="",
        extra=(("Name: Vera Illing", 20, 20), ("25 mm/s 10 mm/mV", 20, 60), ("16:12:26", 20, 90)),
    )
    assert [n for n in find_names(page, K) if n.score > 0.4] == []


def test_a_name_crossed_by_the_trace_is_read():
    page, truth = draw_page(unseen_faces()[1])
    page = page.copy()
    x, y = round(14 * K), round(34.5 * K)
    for lead in ("V2", "aVF"):
        x0, y1 = next((a, b) for name, a, b in truth if name == lead)
        x, y = round((x0 + 1.5) * K), round(y1 * K)
        page[y - 60 : y + 30, x : x + 2] = 15
    assert_found([n for n in find_names(page, K) if n.score > 0.2], truth)


def test_an_inverted_avr_is_marked():
    rows = (("aVL", "V1"), ("I", "V2"), ("-aVR", "V3"), ("II", "V4"))
    page, _ = draw_page(unseen_faces()[0], texts=rows, rhythm="")
    found = {n.lead: n for n in find_names(page, K) if n.score > 0.4}
    assert found["aVR"].inverted
    assert not found["aVL"].inverted


def test_an_empty_page_has_no_names():
    assert find_names(np.full((300, 400), 255, np.uint8), K) == []


def test_a_tiny_page_has_no_names():
    assert find_names(np.zeros((5, 4, 3), np.uint8), K) == []


def test_expected_names_are_verified_in_their_places():
    page, truth = draw_page(unseen_faces()[0])
    marks = mark_ink(page, K)
    names = names_on(marks)
    places = [(lead, (x0, y1 - 3.0)) for lead, x0, y1 in truth]
    found = verify_names(marks, names, [*places, ("V1", (140.0, 5.0))])
    assert [None if n is None else n.lead for n in found[:-1]] == [lead for lead, _, _ in truth]
    assert found[-1] is None or found[-1].score < 0.3


def test_nothing_is_verified_without_a_known_name():
    page, _ = draw_page(unseen_faces()[0])
    assert verify_names(mark_ink(page, K), [], [("V1", (20.0, 20.0))]) == [None]
