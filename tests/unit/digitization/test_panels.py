"""Panels in time: windows, baselines, and columns side by side or one after another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.layout import Hypothesis, Place
from cinc_ecg.digitization.panels import columns_are_simultaneous, make_panels
from cinc_ecg.digitization.rows import Row
from cinc_ecg.synth.arrangement import arrange
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import Calibration, Pulse, RowTrace

STEP = 0.1
CALIBRATION = Calibration(25.0, 10.0, "text", "pulse")


def printed(signal, **values):
    """Arrange a page and return what a perfect reader makes of it."""
    changed = {name.replace("__", "."): value for name, value in values.items()}
    plan = arrange(signal, with_values(PageSettings(), changed))
    panels = plan.layout.panels
    x0, x1 = min(p.box_mm[0] for p in panels), max(p.box_mm[2] for p in panels)
    rows = tuple(Row(y, x0, x1, 1.0) for y in plan.baselines_mm)
    at = np.arange(x0, x1, STEP)
    traces = []
    for row, baseline in enumerate(plan.baselines_mm):
        y = np.full(len(at), baseline)
        for panel, line in zip(panels, plan.traces_mm, strict=True):
            if panel.row == row:
                inside = (at >= line[0, 0]) & (at <= line[-1, 0])
                y[inside] = np.interp(at[inside], line[:, 0], line[:, 1])
        traces.append(RowTrace(row, x0, STEP, y, np.full(len(at), 0.05), np.ones(len(at), bool)))
    places = tuple(
        Place(p.lead, p.row, p.box_mm[0], p.box_mm[2], p.rhythm, p.inverted) for p in panels
    )
    n_columns = len({round(p.x0_mm) for p in places})
    hypothesis = Hypothesis(plan.layout.name, places, n_columns, plan.layout.cabrera, 0.0)
    return Frame(rows, x0, x1), hypothesis, traces, panels


@pytest.mark.parametrize("columns", ["sequential", "simultaneous"])
@pytest.mark.parametrize("template", ["3x4+1", "3x4+3", "3x4", "6x2+1", "3x4-cabrera", "4x3"])
@pytest.mark.parametrize("seed", [1, 2])
def test_columns_in_time_are_told(template, columns, seed):
    signal = simulate(EcgSettings(rhythm="sinus", wander_mv=0.02), seed=seed)
    _, hypothesis, traces, _ = printed(signal, layout__template=template, layout__columns=columns)
    simultaneous, _ = columns_are_simultaneous(hypothesis, traces, 25.0)
    assert simultaneous == (columns == "simultaneous")


def test_an_irregular_heart_is_told_by_its_beats():
    signal = simulate(EcgSettings(rhythm="af"), seed=5)
    for columns in ("sequential", "simultaneous"):
        # Limb leads all in one column: only the rhythm strip can tell.
        _, hypothesis, traces, _ = printed(
            signal, layout__template="6x2+1", layout__columns=columns
        )
        assert columns_are_simultaneous(hypothesis, traces, 25.0) == (
            columns == "simultaneous",
            True,
        )


def test_one_column_is_never_simultaneous(calm):
    _, hypothesis, traces, _ = printed(calm, layout__template="12x1")
    assert columns_are_simultaneous(hypothesis, traces, 25.0) == (False, True)


@pytest.mark.xfail(strict=True, reason="flat traces are divided by their spread")
@pytest.mark.parametrize("template", ["6x2", "6x2+1", "3x4"])
def test_where_nothing_tells_the_custom_is_followed(calm, template):
    _, hypothesis, traces, _ = printed(calm, layout__template=template)
    flat = [replace(trace, y_mm=np.full_like(trace.y_mm, 50.0)) for trace in traces]
    assert columns_are_simultaneous(hypothesis, flat, 25.0) == (False, False)


@pytest.mark.xfail(strict=True, reason="statistics are taken of rows without a single value")
def test_unread_rows_do_not_stop_the_comparison(calm):
    _, hypothesis, traces, _ = printed(calm, layout__template="3x4+1")
    nothing = np.full_like(traces[0].y_mm, np.nan)
    traces = [replace(trace, y_mm=nothing) for trace in traces[:3]] + traces[3:]
    assert columns_are_simultaneous(hypothesis, traces, 25.0) == (False, False)


@pytest.mark.parametrize("speed", [25.0, 50.0])
@pytest.mark.parametrize("template", ["3x4+1", "6x2", "12x1"])
def test_windows_continue_from_column_to_column(calm, template, speed):
    frame, hypothesis, traces, truth = printed(
        calm, layout__template=template, scale__mm_per_s=speed
    )
    calibration = replace(CALIBRATION, mm_per_s=speed)
    panels, cut = make_panels(hypothesis, frame, traces, (), calibration, False)
    for panel, part, known in zip(panels, cut, truth, strict=True):
        assert panel.lead == known.lead
        assert panel.start_s == pytest.approx(known.start_s, abs=2e-3)
        assert panel.duration_s == pytest.approx(known.duration_s, abs=2e-3)
        assert part.x0_mm == pytest.approx(known.box_mm[0], abs=STEP)
        assert len(part.y_mm) == pytest.approx(known.duration_s * speed / STEP, abs=1)


def test_simultaneous_panels_all_start_at_zero(calm):
    frame, hypothesis, traces, _ = printed(
        calm, layout__template="3x4+1", layout__columns="simultaneous"
    )
    panels, _ = make_panels(hypothesis, frame, traces, (), CALIBRATION, True)
    assert {p.start_s for p in panels} == {0.0}
    assert [p.lead for p in panels if p.rhythm] == ["II"]


def test_zero_is_the_foot_of_the_pulse_or_else_the_usual_level(calm):
    frame, hypothesis, traces, truth = printed(calm, layout__template="12x1")
    pulses = [Pulse(5.0, 10.0, truth[0].baseline_mm + 1.0, truth[0].baseline_mm - 9.0)]
    panels, _ = make_panels(hypothesis, frame, traces, pulses, CALIBRATION, False)
    assert panels[0].baseline_mm == truth[0].baseline_mm + 1.0
    assert panels[5].baseline_mm == pytest.approx(np.median(traces[5].y_mm))


def test_ticks_at_the_edges_are_cut_off_without_shortening(calm):
    frame, hypothesis, traces, _ = printed(calm, layout__template="3x4")
    spoilt = []
    for trace in traces:
        x = trace.x0_mm + STEP * np.arange(len(trace.y_mm))
        y = trace.y_mm.copy()
        for place in hypothesis.places:
            y[np.abs(x - place.x0_mm) < 0.25] -= 6.0
        spoilt.append(replace(trace, y_mm=y))
    panels, cut = make_panels(hypothesis, frame, spoilt, (), CALIBRATION, False)
    clean = make_panels(hypothesis, frame, traces, (), CALIBRATION, False)[1]
    for part, good in zip(cut, clean, strict=True):
        assert len(part.y_mm) == len(good.y_mm)
        assert np.abs(part.y_mm - good.y_mm).max() < 0.2
        assert not part.visible[:3].any()
        assert part.visible[10:-10].all()
    assert panels[0].box_mm[1] > panels[0].baseline_mm - 25.0


def test_a_place_beyond_the_trace_gives_an_empty_cut(calm):
    frame, hypothesis, traces, _ = printed(calm, layout__template="3x1")
    place = replace(hypothesis.places[0], x0_mm=400.0, x1_mm=450.0)
    beyond = replace(hypothesis, places=(place,))
    panels, cut = make_panels(beyond, frame, traces, (), CALIBRATION, False)
    assert len(cut[0].y_mm) == 0
    assert panels[0].baseline_mm == frame.rows[0].baseline_mm
