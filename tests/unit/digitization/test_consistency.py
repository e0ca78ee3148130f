"""Simultaneous leads sharpen one another where they agree and are left alone where they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.digitization.assemble import assemble
from cinc_ecg.digitization.consistency import reconcile
from cinc_ecg.digitization.simultaneous import solve, windows_of
from cinc_ecg.leads import CHEST_LEADS, LIMB_LEADS
from cinc_ecg.signals import sample_at
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.types import LeadTrace, Panel

FS, STEP, SIGMA_MV = 500.0, 0.1, 0.02
COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
SIX = (LIMB_LEADS, CHEST_LEADS)


@pytest.fixture(scope="module")
def truth():
    settings = EcgSettings(rhythm="sinus", conduction="normal", voltage=1.0, muscle_mv=0.0)
    return simulate(replace(settings, mains_mv=0.0, flat_leads=()), seed=8)


def panels_of(columns=COLUMNS, strips=("II",), seconds=2.5, *, simultaneous=False):
    """Lay columns of short panels over full-width strips."""
    panels, width = [], 25.0 * seconds
    for c, column in enumerate(columns):
        for row, lead in enumerate(column):
            box = (10.0 + c * width, 0.0, 10.0 + (c + 1) * width, 200.0)
            start = 0.0 if simultaneous else c * seconds
            panels.append(Panel(lead, row, box, start, seconds, 25.0, 10.0, 100.0))
    box = (10.0, 0.0, 10.0 + width * len(columns), 200.0)
    for lead in strips:
        length = seconds * len(columns)
        panels.append(Panel(lead, 9, box, 0.0, length, 25.0, 10.0, 100.0, rhythm=True))
    return panels


def read(panel, truth, rng=None, *, lead=None, gain=1.0, late_s=0.0, level_mv=0.0):
    """Print a panel and read it with white noise of standard error SIGMA_MV."""
    n = round((panel.box_mm[2] - panel.box_mm[0]) / STEP)
    time = panel.start_s + STEP * np.arange(n) / panel.mm_per_s - late_s
    column = truth.samples_mv[:, truth.leads.index(lead or panel.lead)].astype(float)
    level = gain * sample_at(np.pad(column, 50, mode="edge"), -50 / FS, 1 / FS, time) + level_mv
    if rng is not None:
        level = level + rng.normal(0, SIGMA_MV, n)
    sigma = np.full(n, SIGMA_MV * panel.mm_per_mv)
    y = panel.baseline_mm - panel.mm_per_mv * level
    return LeadTrace(0, panel.box_mm[0], STEP, y, sigma, np.ones(n, bool))


def page(panels, truth, rng=None, **changes):
    """Read all panels; `changes` maps "lead" or "lead_strip" to keywords of `read`."""
    keys = [p.lead + ("_strip" if p.rhythm else "") for p in panels]
    return [
        replace(read(p, truth, rng, **changes.get(key, {})), panel=k)
        for k, (p, key) in enumerate(zip(panels, keys, strict=True))
    ]


def errors(signal, truth):
    """RMS error in mV of each lead, its level removed."""
    wanted = truth.samples_mv[: len(signal.samples_mv)][
        :, [truth.leads.index(lead) for lead in signal.leads]
    ]
    difference = signal.samples_mv - wanted
    return dict(zip(signal.leads, np.nanstd(difference, axis=0), strict=True))


@pytest.mark.parametrize(
    ("layout", "least_gain"),
    [
        ({}, 0.15),
        ({"strips": ()}, 0.12),
        ({"columns": SIX, "seconds": 5.0, "strips": ()}, 0.35),
        ({"simultaneous": True}, 0.3),
        ({"columns": (LIMB_LEADS,), "seconds": 10.0, "strips": ()}, 0.35),
    ],
)
def test_honest_noise_falls_in_every_limb_lead(truth, layout, least_gain):
    panels = panels_of(**layout)
    for seed in range(3):
        traces = page(panels, truth, np.random.default_rng(seed))
        signal = assemble(panels, traces, FS)
        result, notes = reconcile(signal, panels, traces)
        before, after = errors(signal, truth), errors(result, truth)
        assert notes == []
        assert all(after[lead] < 1.01 * before[lead] for lead in signal.leads)
        gains = [1 - after[x] / before[x] for x in LIMB_LEADS if x != "II"]
        assert np.mean(gains) > least_gain
        for lead in set(signal.leads) & set(CHEST_LEADS):
            assert after[lead] == before[lead]


def test_standard_errors_fall_with_the_noise(truth):
    panels = panels_of()
    traces = page(panels, truth, np.random.default_rng(5))
    signal = assemble(panels, traces, FS)
    result, _ = reconcile(signal, panels, traces)
    column = signal.leads.index("aVL")
    seen = np.isfinite(result.sigma_mv[:, column])
    stated = float(np.sqrt(np.mean(result.sigma_mv[seen, column] ** 2)))
    assert stated < 0.95 * SIGMA_MV * np.sqrt(1 + 0.25)
    assert stated == pytest.approx(errors(result, truth)["aVL"], rel=0.35)
    assert (result.sigma_mv[:, column] <= 1.3 * SIGMA_MV)[seen].all()


def test_without_noise_nothing_moves(truth):
    panels = panels_of()
    traces = page(panels, truth)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    assert np.nanmax(np.abs(result.samples_mv - signal.samples_mv)) < 3e-3


def test_every_panel_keeps_its_level(truth):
    panels = panels_of()
    levels = {"I": {"level_mv": 0.3}, "aVF": {"level_mv": -0.5}, "II_strip": {"level_mv": 0.2}}
    traces = page(panels, truth, np.random.default_rng(1), **levels)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    shift = np.nanmean(result.samples_mv - signal.samples_mv, axis=0)
    assert np.abs(shift).max() < 0.005
    assert errors(result, truth)["aVF"] < errors(signal, truth)["aVF"]


def test_small_delays_are_found_and_each_lead_keeps_its_own_time(truth):
    panels = panels_of()
    late = {"III": {"late_s": 0.004}, "II_strip": {"late_s": -0.003}}
    traces = page(panels, truth, np.random.default_rng(2), **late)
    signal = assemble(panels, traces, FS)
    window = next(w for w in windows_of(panels, FS, 5000) if w.first == 0)
    fit = solve(window, panels, traces, signal)
    found = dict(zip(["I", "II", "III", "strip"], fit.offsets_s, strict=True))
    assert found["III"] - found["I"] == pytest.approx(0.004, abs=0.001)
    assert found["strip"] - found["II"] == pytest.approx(-0.003, abs=0.001)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    wanted = read(panels[2], truth, late_s=0.004)
    printed = assemble(panels[2:3], [wanted], FS).samples_mv[20:1230, 0]
    column = signal.leads.index("III")
    before = np.std(signal.samples_mv[20:1230, column] - printed)
    after = np.std(result.samples_mv[20:1230, column] - printed)
    assert after < before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"I": {"lead": "II"}, "II": {"lead": "I"}}, "I and II may be swapped"),
        ({"aVL": {"gain": -1.0}}, "aVL may be upside down"),
        ({"aVF": {"gain": 2.0}}, "aVF may have 2 times"),
        ({"V1": {"lead": "aVF"}, "aVF": {"lead": "V1"}}, "no single"),
        ({"aVR": {"late_s": 0.06}}, "aVR may be 60 ms too late"),
    ],
)
def test_contradictions_are_left_alone_and_named(truth, changes, said):
    panels = panels_of(SIX, (), 5.0)
    traces = page(panels, truth, np.random.default_rng(3), **changes)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert np.array_equal(result.samples_mv, signal.samples_mv, equal_nan=True)
    assert np.array_equal(result.sigma_mv, signal.sigma_mv, equal_nan=True)
    assert [n.code for n in notes] == ["limb_leads_inconsistent"]
    assert said in notes[0].text


def test_three_leads_name_what_they_cannot_tell_apart(truth):
    panels = panels_of((("I", "II", "III"),), ())
    swap = {"I": {"lead": "II"}, "II": {"lead": "I"}}
    traces = page(panels, truth, np.random.default_rng(4), **swap)
    _, notes = reconcile(assemble(panels, traces, FS), panels, traces)
    assert "I and II may be swapped, or III may be upside down" in notes[0].text


def test_columns_wrongly_called_simultaneous_are_noticed(truth):
    panels = panels_of(COLUMNS[:2], ())
    traces = page(panels, truth, np.random.default_rng(4))
    wrong = [replace(p, start_s=0.0) for p in panels]
    signal = assemble(wrong, traces, FS)
    result, notes = reconcile(signal, wrong, traces)
    assert np.array_equal(result.samples_mv, signal.samples_mv, equal_nan=True)
    assert [n.code for n in notes] == ["limb_leads_inconsistent"]


@pytest.mark.parametrize("change", [{"lead": "V2"}, {"gain": 2.0}, {"late_s": 0.1}])
def test_a_strip_that_differs_is_reported_and_the_short_leads_still_agree(truth, change):
    panels = panels_of()
    traces = page(panels, truth, np.random.default_rng(6), II_strip=change)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert {n.code for n in notes} == {"rhythm_strip_differs"}
    column = signal.leads.index("II")
    assert np.array_equal(result.samples_mv[1300:, column], signal.samples_mv[1300:, column])
    assert errors(result, truth)["aVL"] < errors(signal, truth)["aVL"]


def test_a_chest_lead_is_held_against_its_own_strip(truth):
    panels = panels_of(strips=("V1",))
    traces = page(panels, truth, np.random.default_rng(7))
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    window = slice(2510, 3740)
    column = signal.leads.index("V1")
    wanted = truth.samples_mv[window, truth.leads.index("V1")]
    before = np.std(signal.samples_mv[window, column] - wanted)
    assert notes == []
    assert np.std(result.samples_mv[window, column] - wanted) < 0.85 * before
    traces = page(panels, truth, np.random.default_rng(7), V1={"gain": -1.0})
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert [n.code for n in notes] == ["rhythm_strip_differs"]
    assert "V1 may be upside down" in notes[0].text


def test_leads_of_different_seconds_are_never_combined(truth):
    panels = panels_of((("I", "V1"), ("II", "V2"), ("III", "V3")), ())
    traces = page(panels, truth, np.random.default_rng(8))
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    assert np.array_equal(result.samples_mv, signal.samples_mv, equal_nan=True)


def test_gaps_stay_gaps_and_spoil_nothing(truth):
    panels = panels_of()
    traces = page(panels, truth, np.random.default_rng(9))
    y, seen = traces[1].y_mm.copy(), traces[1].visible.copy()
    y[200:300], seen[200:300] = np.nan, False
    traces[1] = replace(traces[1], y_mm=y, visible=seen)
    last = traces[4].y_mm.copy()
    last[100:250] = np.nan
    traces[4] = replace(traces[4], y_mm=last)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    assert np.array_equal(np.isnan(result.samples_mv), np.isnan(signal.samples_mv))
    after, before = errors(result, truth), errors(signal, truth)
    assert all(after[lead] < 1.01 * before[lead] for lead in LIMB_LEADS)


def test_a_lead_without_any_ink_hinders_nobody(truth):
    panels = panels_of()
    traces = page(panels, truth, np.random.default_rng(2))
    level = np.full_like(traces[1].y_mm, panels[1].baseline_mm)
    traces[1] = replace(traces[1], y_mm=level, visible=np.zeros(len(level), bool))
    signal, _ = reconcile(assemble(panels, traces, FS), panels, traces)
    assert np.isfinite(signal.samples_mv[:, signal.leads.index("I")]).any()


def test_one_misread_stretch_does_not_spread(truth):
    panels = panels_of()
    clean = page(panels, truth, np.random.default_rng(10))
    y = clean[1].y_mm.copy()
    y[300:312] += 8.0
    traces = [*clean[:1], replace(clean[1], y_mm=y), *clean[2:]]
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    column = signal.leads.index("I")
    stretch = slice(606, 618)
    assert np.array_equal(result.samples_mv[stretch, column], signal.samples_mv[stretch, column])
    assert errors(result, truth)["I"] < errors(signal, truth)["I"]


def test_pages_without_limb_leads_or_readings_pass_through(truth):
    panels = panels_of((CHEST_LEADS,), ())
    traces = page(panels, truth)
    signal = assemble(panels, traces, FS)
    result, notes = reconcile(signal, panels, traces)
    assert notes == []
    assert np.array_equal(result.samples_mv, signal.samples_mv, equal_nan=True)
    panels = panels_of()
    blank = [
        replace(t, y_mm=np.full(len(t.y_mm), np.nan), visible=np.zeros(len(t.y_mm), bool))
        for t in page(panels, truth)
    ]
    signal = assemble(panels, blank, FS)
    result, notes = reconcile(signal, panels, blank)
    assert notes == []
    assert np.isnan(result.samples_mv).all()
