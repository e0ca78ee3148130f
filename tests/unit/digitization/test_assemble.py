"""Panels become leads in millivolts and seconds, with a status each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.digitization.assemble import (
    assemble,
    lead_statuses,
    limb_residual_mv,
    panel_samples,
    quality_of,
)
from cinc_ecg.leads import LEADS
from cinc_ecg.types import LeadTrace, Panel, Signal

STEP = 0.1
FS = 500.0


def tone(t_s):
    """A band-limited test signal in mV."""
    return 0.6 * np.sin(2 * np.pi * 7 * t_s) + 0.2 * np.sin(2 * np.pi * 31 * t_s + 1)


def panel_of(lead, start_s=0.0, duration_s=2.5, *, speed=25.0, gain=10.0, **more):
    x0 = 12.0 + 25.0 * start_s
    box = (x0, 20.0, x0 + duration_s * speed, 60.0)
    return Panel(lead, 0, box, start_s, duration_s, speed, gain, 40.0, **more)


def trace_of(panel, index=0, values=tone, sigma_mm=0.05):
    """Print `values` of time in the panel, as a strip reader would return them."""
    n = round((panel.box_mm[2] - panel.box_mm[0]) / STEP)
    x = panel.box_mm[0] + STEP * np.arange(n)
    level = values(panel.start_s + (x - panel.box_mm[0]) / panel.mm_per_s)
    sign = -1.0 if panel.inverted else 1.0
    y = panel.baseline_mm - sign * panel.mm_per_mv * level
    return LeadTrace(index, x[0], STEP, y, np.full(n, sigma_mm), np.ones(n, bool))


@pytest.mark.parametrize("gain", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("speed", [25.0, 50.0])
def test_millivolts_and_seconds_come_back(gain, speed):
    panel = panel_of("V2", 2.5, 2.5, speed=speed, gain=gain)
    signal = assemble([panel], [trace_of(panel)], FS)
    assert signal.leads == ("V2",)
    assert signal.samples_mv.shape == (2500, 1)
    assert np.isnan(signal.samples_mv[:1250]).all()
    inner = slice(1300, 2450)
    wanted = tone(np.arange(2500) / FS)[inner]
    assert np.abs(signal.samples_mv[inner, 0] - wanted).max() < 0.01
    assert signal.sigma_mv[1500, 0] == pytest.approx(0.05 / gain)


def test_an_inverted_panel_is_turned_back():
    panel = panel_of("aVR", inverted=True)
    signal = assemble([panel], [trace_of(panel)], FS)
    wanted = tone(np.arange(len(signal.samples_mv)) / FS)
    assert np.abs(signal.samples_mv[50:-50, 0] - wanted[50:-50]).max() < 0.01


def test_leads_come_in_the_usual_order_with_others_last():
    panels = [panel_of(lead) for lead in ("V6", "V4R", "II", "aVL")]
    traces = [trace_of(p, k) for k, p in enumerate(panels)]
    assert assemble(panels, traces, FS).leads == ("II", "aVL", "V6", "V4R")


def test_a_lead_printed_twice_takes_the_strip_and_fills_its_gaps():
    short, strip = panel_of("II", 2.5, 2.5), panel_of("II", 0.0, 10.0)
    broken = trace_of(strip, 1)
    y, seen = broken.y_mm.copy(), broken.visible.copy()
    hole = slice(round(3.0 * 25 / STEP), round(3.4 * 25 / STEP))
    y[hole], seen[hole] = np.nan, False
    higher = trace_of(short, 0, lambda t: tone(t) + 0.5)
    signal = assemble([short, strip], [higher, replace(broken, y_mm=y, visible=seen)], FS)
    difference = signal.samples_mv[:, 0] - tone(np.arange(5000) / FS)
    assert np.isfinite(difference).all()
    assert difference[1550:1680] == pytest.approx(0.5, abs=0.02)
    assert difference[1300:1450] == pytest.approx(0.0, abs=0.02)


def test_gaps_stay_gaps():
    panel = panel_of("V1")
    trace = trace_of(panel)
    y = trace.y_mm.copy()
    y[200:300] = np.nan
    signal = assemble([panel], [replace(trace, y_mm=y)], FS)
    missing = np.isnan(signal.samples_mv[:, 0])
    assert missing.sum() == pytest.approx(100 * STEP / 25 * FS, abs=3)
    assert missing[round(250 * STEP / 25 * FS)]


def test_the_asked_length_is_kept():
    panel = panel_of("V1")
    assert assemble([panel], [trace_of(panel)], FS, 5000).samples_mv.shape == (5000, 1)
    assert assemble([panel], [trace_of(panel)], FS, 700).samples_mv.shape == (700, 1)


def test_an_empty_trace_gives_no_samples():
    panel = panel_of("V1")
    nothing = LeadTrace(0, 12.0, STEP, np.empty(0), np.empty(0), np.empty(0, bool))
    first, values, errors = panel_samples(panel, nothing, FS, 1250)
    assert (first, len(values), len(errors)) == (0, 0, 0)
    assert np.isnan(assemble([panel], [nothing], FS).samples_mv).all()


def test_statuses_name_every_lead():
    panels = [panel_of("I"), panel_of("II"), panel_of("V4R")]
    traces = [trace_of(p, k) for k, p in enumerate(panels)]
    half = traces[1].visible.copy()
    half[: len(half) // 2] = False
    traces[1] = replace(traces[1], visible=half)
    traces[2] = replace(traces[2], visible=np.zeros(len(half), bool))
    signal = assemble(panels, traces, FS)
    status = {s.lead: s for s in lead_statuses(panels, traces, signal)}
    assert set(status) == {*LEADS, "V4R"}
    assert status["I"].status == "ok"
    assert status["II"].status == "partial"
    assert status["II"].coverage == pytest.approx(0.5, abs=0.01)
    assert status["V4R"].status == status["V6"].status == "missing"
    quality = quality_of(signal, tuple(status.values()), 8.0)
    assert quality.coverage == pytest.approx(0.75, abs=0.01)
    assert quality.px_per_mm == 8.0
    assert quality.limb_residual_mv is None


def test_einthoven_holds_or_is_reported():
    t = np.arange(2000) / FS
    one, two = tone(t), 0.7 * tone(t + 0.01)
    good = np.stack([one, two, two - one], 1).astype(np.float32)
    signal = Signal(good, FS, ("I", "II", "III"))
    assert limb_residual_mv(signal) == pytest.approx(0.0, abs=1e-6)
    swapped = Signal(good[:, [0, 2, 1]], FS, ("I", "II", "III"))
    assert limb_residual_mv(swapped) > 0.1
    assert limb_residual_mv(Signal(good[:, :2], FS, ("I", "II"))) is None
