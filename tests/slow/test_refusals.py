"""Pictures that are no ECG are refused, clean pages are not."""

from __future__ import annotations

import cv2
import pytest

from benchmarks.non_ecg import PICTURES
from benchmarks.refusals import MAX_ACCEPTED, MAX_REFUSED_SHARE, draw_page, draw_picture, judge

pytestmark = pytest.mark.slow

#: At 2 % none of so few may be refused.
N_PAGES = 24


@pytest.fixture(autouse=True)
def _one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def test_fifty_pictures_that_are_no_ecg_are_refused():
    assert len(PICTURES) == 50
    verdicts = [judge(draw_picture(name)) for name in PICTURES]
    accepted = [f"{v.name}: {v.text}" for v in verdicts if v.reason is None]
    assert len(accepted) <= MAX_ACCEPTED, accepted
    assert {v.reason for v in verdicts} <= {None, "no_grid", "no_layout", "not_an_ecg"}


def test_clean_pages_are_not_refused():
    verdicts = [judge(draw_page(index)) for index in range(N_PAGES)]
    refused = [f"{v.name}: {v.text}" for v in verdicts if v.reason is not None]
    assert len(refused) <= MAX_REFUSED_SHARE * N_PAGES, refused


def test_the_same_seed_draws_the_same_picture():
    for name in ("music", "shapes", "cardiotocogram"):
        assert (draw_picture(name).pixels == draw_picture(name).pixels).all()
        assert (draw_picture(name, 1).pixels != draw_picture(name).pixels).any()
