"""Which lead stands where, from the marks the renderer knows it printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.digitization.frame import Frame, frame_of, snap_width
from cinc_ecg.digitization.layout import hypotheses, named_rows, posterior
from cinc_ecg.digitization.rows import Row
from cinc_ecg.errors import LayoutNotFound
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.synth.arrangement import arrange
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import LeadName, Pulse, Separator


@pytest.fixture(scope="module")
def printed(calm):
    """Arrange a page: (settings) -> frame, names, separators, panels."""

    def arranged(**values):
        changed = {name.replace("__", "."): value for name, value in values.items()}
        plan = arrange(calm, with_values(PageSettings(), changed))
        panels = plan.layout.panels
        x0, x1 = min(p.box_mm[0] for p in panels), max(p.box_mm[2] for p in panels)
        rows = tuple(Row(y, x0, x1, 1.0) for y in plan.baselines_mm)
        names = [LeadName(p.lead, _below(p.box_mm[0], p.baseline_mm, p.lead), 0.95) for p in panels]
        return Frame(rows, x0, x1), names, list(plan.separators), panels

    return arranged


def _below(x0, baseline, lead):
    return x0 + 0.3, baseline + 4.1, x0 + 0.3 + 2.2 * len(lead), baseline + 7.8


def leads_of(places):
    return sorted((p.row, round(p.x0_mm), p.lead) for p in places)


#: Three names do not make a page that names its panels, and 3x4 has room for them.
_SWALLOWED = pytest.param("3x1", marks=pytest.mark.xfail(strict=True, reason="3x4 has I, II, III"))


@pytest.mark.parametrize("name", [_SWALLOWED if name == "3x1" else name for name in TEMPLATES])
def test_every_template_is_recognised_by_its_marks(printed, name):
    frame, names, ticks, panels = printed(layout__template=name)
    found = hypotheses(frame, names, ticks)
    best = found[0]
    truth = sorted((p.row, round(p.box_mm[0]), p.lead) for p in panels)
    assert leads_of(best.places) == truth
    for place in best.places:
        panel = next(p for p in panels if p.lead == place.lead and p.row == place.row)
        assert (place.x0_mm, place.x1_mm) == pytest.approx(
            (panel.box_mm[0], panel.box_mm[2]), abs=0.1
        )
        assert place.rhythm == panel.rhythm
    alike = [leads_of(h.places) == truth for h in found]
    assert posterior(found)[np.array(alike)].sum() > 0.9


def test_cabrera_prints_the_negative_of_avr(printed):
    frame, names, ticks, _ = printed(layout__template="6x2-cabrera")
    best = hypotheses(frame, names, ticks)[0]
    assert best.cabrera
    assert [p.lead for p in best.places if p.inverted] == ["aVR"]


@pytest.mark.parametrize("template", ["3x4+1", "6x2", "12x1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_shuffled_order_is_read_from_the_names(printed, template, seed):
    leads = [lead for row in TEMPLATES[template].rows for lead in row]
    order = tuple(np.random.default_rng(seed).permutation(leads).tolist())
    frame, names, ticks, panels = printed(layout__template=template, layout__order=order)
    best = hypotheses(frame, names, ticks)[0]
    assert leads_of(best.places) == sorted((p.row, round(p.box_mm[0]), p.lead) for p in panels)


@pytest.mark.parametrize("template", ["3x4+1", "6x2", "12x1"])
def test_one_missing_name_changes_nothing(printed, template):
    frame, names, ticks, _ = printed(layout__template=template)
    whole = hypotheses(frame, names, ticks)[0]
    for k in range(len(names)):
        best = hypotheses(frame, names[:k] + names[k + 1 :], ticks)[0]
        assert best.places == whole.places, names[k].lead


def test_a_missing_name_of_a_shuffled_page_is_what_is_left(printed):
    order = ("V6", "II", "aVR", "V1", "I", "V2", "aVF", "V4", "III", "V5", "aVL", "V3")
    frame, names, ticks, panels = printed(layout__template="3x4", layout__order=order)
    best = hypotheses(frame, names[:5] + names[6:], ticks)[0]
    assert leads_of(best.places) == sorted((p.row, round(p.box_mm[0]), p.lead) for p in panels)


@pytest.mark.parametrize("wrong", ["V3", "aVL"])
def test_one_misread_name_is_outvoted(printed, wrong):
    frame, names, ticks, _ = printed()
    whole = hypotheses(frame, names, ticks)[0]
    names[4] = replace(names[4], lead=wrong, score=0.7)
    assert hypotheses(frame, names, ticks)[0].places == whole.places


@pytest.mark.parametrize("where", [0, 4])
def test_a_spurious_row_is_left_out(printed, where):
    frame, names, ticks, _ = printed()
    whole = hypotheses(frame, names, ticks)[0]
    rows = list(frame.rows)
    extra = rows[0].baseline_mm - 25.0 if where == 0 else rows[-1].baseline_mm + 20.0
    rows.insert(where, replace(rows[0], baseline_mm=extra))
    best = hypotheses(replace(frame, rows=tuple(rows)), names, ticks)[0]
    shift = 1 if where == 0 else 0
    assert [p.lead for p in best.places] == [p.lead for p in whole.places]
    assert [p.row for p in best.places] == [p.row + shift for p in whole.places]


def test_without_names_the_usual_layout_wins_but_not_surely(printed):
    frame, _, ticks, _ = printed()
    found = hypotheses(frame, [], ticks)
    assert found[0].name == "3x4+1"
    assert posterior(found)[0] < 0.9


def test_the_names_may_stand_above_their_rows(printed):
    frame, names, ticks, panels = printed(layout__template="6x2")
    above = []
    for name in names:
        x0, y0, x1, y1 = name.box_mm
        above.append(replace(name, box_mm=(x0, y0 - 11.0, x1, y1 - 11.0)))
    best = hypotheses(frame, above, ticks)[0]
    assert leads_of(best.places) == sorted((p.row, round(p.box_mm[0]), p.lead) for p in panels)


def test_only_the_wanted_layout_is_tried(printed):
    frame, names, ticks, _ = printed(layout__template="3x4+1")
    assert {h.name for h in hypotheses(frame, names, ticks, wanted="4x3")} == {"4x3"}
    with pytest.raises(LayoutNotFound, match="12x1"):
        hypotheses(frame, names, ticks, wanted="12x1")


def test_rows_that_no_layout_has_are_refused():
    rows = tuple(Row(20.0 + 8 * k, 10.0, 260.0, 1.0) for k in range(20))
    with pytest.raises(LayoutNotFound, match="--leads") as caught:
        hypotheses(Frame(rows, 10.0, 260.0), [], [])
    assert caught.value.reason_code == "no_layout"


def test_probabilities_sum_to_one(printed):
    frame, names, ticks, _ = printed()
    probabilities = posterior(hypotheses(frame, names, ticks))
    assert probabilities.sum() == pytest.approx(1.0)
    assert (np.diff(probabilities) <= 1e-12).all()


def test_the_user_may_name_rows_or_panels():
    frame = Frame(tuple(Row(y, 0.0, 100.0, 1.0) for y in (20.0, 50.0)), 0.0, 100.0)
    per_row = named_rows(frame, ["V7", "V8"])
    assert [(p.lead, p.row, p.x0_mm, p.x1_mm) for p in per_row.places] == [
        ("V7", 0, 0.0, 100.0),
        ("V8", 1, 0.0, 100.0),
    ]
    per_panel = named_rows(frame, ["I", "aVR", "II", "aVL"])
    assert [(p.lead, p.row, p.x0_mm) for p in per_panel.places] == [
        ("I", 0, 0.0),
        ("aVR", 0, 50.0),
        ("II", 1, 0.0),
        ("aVL", 1, 50.0),
    ]
    for bad in ([], ["I", "II", "III"]):
        with pytest.raises(LayoutNotFound, match="rows"):
            named_rows(frame, bad)


def test_the_frame_starts_after_the_pulses():
    rows = [Row(y, 10.0, 265.0, 1.0) for y in (50.0, 80.0, 110.0)]
    pulses = [Pulse(10.0, 15.0, y, y - 10.0) for y in (50.0, 80.0, 110.0)]
    frame = frame_of(rows, pulses)
    assert (frame.x0_mm, frame.x1_mm, frame.start_is_sharp) == (15.0, 265.0, True)
    bare = frame_of(rows, [])
    assert (bare.x0_mm, bare.x1_mm, bare.start_is_sharp) == (10.0, 265.0, False)
    right = frame_of(rows, [Pulse(259.0, 264.0, y, y - 10.0) for y in (50.0, 80.0)])
    assert (right.x0_mm, right.x1_mm) == (10.0, 259.0)


def test_where_the_pen_was_lifted_after_the_pulse_the_frame_starts_at_the_traces():
    starts = (24.1, 24.3, 23.9, 31.0)
    rows = [Row(y, x, 274.0, 1.0) for y, x in zip((50.0, 80.0, 110.0, 140.0), starts, strict=True)]
    pulses = [Pulse(17.0, 20.2, row.baseline_mm, row.baseline_mm - 10.0) for row in rows]
    frame = frame_of(rows, pulses)
    assert frame.start_is_sharp
    assert frame.x0_mm == pytest.approx(24.1, abs=0.2)
    ragged = [replace(row, x0_mm=x) for row, x in zip(rows, (20.0, 24.0, 28.0, 33.0), strict=True)]
    assert frame_of(ragged, pulses).x0_mm == pytest.approx(20.2)


@pytest.mark.parametrize("off_mm", [-7.0, -2.0, 0.3, 3.0])
def test_ticks_say_where_the_columns_begin(off_mm):
    frame = Frame((), 10.0 + off_mm, 260.0 + off_mm)
    ticks = [Separator(x, y, y + 5.0) for x in (72.5, 135.0, 197.5) for y in (45.0, 75.0)]
    found = snap_width(frame, [250.0], ticks)
    assert found.x1_mm - found.x0_mm == pytest.approx(250.0)
    # A shift that only the ends of the ink could tell better is left to them.
    assert found.x0_mm == pytest.approx(10.0 if abs(off_mm) > 0.6 else 10.0 + off_mm)


def test_strokes_that_do_not_agree_on_the_columns_move_nothing():
    frame = Frame((), 10.0, 260.0)
    strokes = [Separator(x, 45.0, 50.0) for x in (30.0, 74.0, 90.0, 131.0, 160.0, 202.0)]
    assert snap_width(frame, [250.0], strokes) == frame
    one_row = [Separator(74.5, 45.0, 50.0), Separator(137.0, 45.0, 50.0)]
    assert snap_width(frame, [250.0], one_row) == frame


def test_rows_of_another_extent_are_no_part_of_the_frame():
    rows = [Row(y, 10.0, 260.0, 1.0) for y in (50.0, 80.0, 110.0)]
    frame = frame_of([*rows, Row(140.0, 150.0, 200.0, 1.0)], [])
    assert frame.rows == tuple(rows)
    with pytest.raises(LayoutNotFound, match="no trace rows"):
        frame_of([], [])


def test_the_width_snaps_to_what_devices_print():
    frame = Frame((), 12.0, 261.0)
    assert snap_width(frame, [62.5, 250.0]) == Frame((), 11.0, 261.0)
    sharp = replace(frame, start_is_sharp=True)
    assert snap_width(sharp, [62.5, 250.0]).x1_mm == 262.0
    odd = Frame((), 12.0, 230.0)
    assert snap_width(odd, [62.5, 250.0]) is odd
