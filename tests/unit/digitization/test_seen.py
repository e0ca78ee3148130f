"""Joining what a page reader sees with what the ink tells: sure readings stand, gaps are filled."""

import numpy as np
import pytest

from cinc_ecg.digitization.rows import Row
from cinc_ecg.digitization.seen import added_rows, joined_names, rows_with_seen
from cinc_ecg.geometry import flat_geometry
from cinc_ecg.types import LeadName


def name(lead, x, y, score):
    return LeadName(lead, (x, y, x + 6.0, y + 3.0), score)


def test_nothing_seen_changes_nothing():
    read = (name("V1", 10, 10, 0.8), name("II", 10, 40, 0.3))
    assert joined_names(read, ()) == read


def test_a_sure_reading_stands_against_any_sight():
    (joined,) = joined_names([name("V1", 10, 10, 0.9)], [name("V2", 10.5, 10, 1.0)])
    assert joined.lead == "V1"
    assert joined.score == 0.9


def test_agreement_makes_surer_and_never_less_sure():
    for score in (0.2, 0.5, 0.95, 1.0):
        (joined,) = joined_names([name("V1", 10, 10, score)], [name("V1", 11, 10, 0.9)])
        assert joined.lead == "V1"
        assert joined.score >= score
    assert joined_names([name("V1", 9, 9, 0.4)], [name("V1", 9, 9, 0.9)])[0].score > 0.6


def test_a_doubtful_reading_gives_way_and_a_gap_is_filled():
    seen = [name("V2", 10, 10, 0.95), name("V3", 10, 40, 0.9), name("V4", 10, 70, 0.5)]
    joined = joined_names([name("V1", 10, 10, 0.3)], seen)
    assert {n.lead for n in joined} == {"V2", "V3"}
    assert [n.score for n in joined] == sorted((n.score for n in joined), reverse=True)


def row(level, x0=10.0, x1=260.0):
    return Row(level, x0, x1, 0.95)


def test_rows_seen_twice_count_once():
    rows = [row(50), row(80)]
    assert added_rows(rows, [row(50.8), row(79)]) == tuple(rows)
    levels = [r.baseline_mm for r in added_rows(rows, [row(50.8), row(110.5)])]
    assert levels == [50, 80, 110.5]
    assert added_rows(rows, ()) == tuple(rows)
    assert added_rows((), rows) == ()


def test_short_stretches_are_no_rows():
    assert added_rows([row(50), row(80)], [row(110, x1=90.0)]) == (row(50), row(80))


@pytest.mark.parametrize("found", [1, 2])
def test_a_faint_row_is_found_among_seen_traces(found):
    geometry = flat_geometry(1200, 800, 4.0)
    trace = np.zeros((800, 1200), np.float32)
    for level in (200, 320, 440):
        trace[level - 2 : level + 3, 60:1140] = 0.9
    rows = [row(200.5 / 4), row(320.5 / 4)][:found]
    joined = rows_with_seen(rows, trace, geometry, None, ())
    assert [round(r.baseline_mm) for r in joined] == [50, 80, 110]
    assert joined[-1].x0_mm == pytest.approx(15.0, abs=1.0)


def test_bars_stay_as_read():
    read = (name("I", 10, 10, 0.5),)
    seen = [name("II", 10, 10, 0.95), name("III", 10, 60, 0.95), name("V1", 80, 10, 0.95)]
    joined = joined_names(read, seen)
    assert read[0] in joined
    assert [n.lead for n in joined] == ["V1", "I"]
