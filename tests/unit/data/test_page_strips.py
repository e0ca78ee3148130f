"""Strips of pictures: the true line is found where the page shows the signal, else none is used."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cinc_ecg.data.line_truth import true_lines
from cinc_ecg.data.page_strips import _Recorder, cut_windows, rows_of
from cinc_ecg.data.recordings import standard_leads
from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.digitization.read_strips import ClassicalStripReader
from cinc_ecg.geometry import to_image, to_page
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import Signal

PAGE = {
    "paper.size_mm": (160.0, 110.0),
    "paper.dpi": 150.0,
    "layout.column_s": 1.25,
    "layout.baselines_mm": (22.0, 44.0, 66.0, 90.0),
    "text.show_header": False,
}
HEIGHT, WIDTH = 192, 96


def signal_of(seed, fs_hz=500.0):
    settings = EcgSettings(rhythm="sinus", rate_bpm=60 + 9 * seed, fs_hz=fs_hz)
    return standard_leads(simulate(settings, seed=seed))


@pytest.fixture(scope="module")
def page():
    """A turned page, as it was read: result, strips, truth, and the signal it shows."""
    cv2.setNumThreads(1)
    signal = signal_of(3)
    image, truth = render(signal, with_values(PageSettings(), PAGE), seed=1)
    steps = [Step("rotate", {"max_deg": 3.0, "colour": [0, 0, 0]}), Step("noise", {"sigma": 8.0})]
    image, truth = apply(image, truth, steps, np.random.default_rng(2))
    recorder = _Recorder(ClassicalStripReader())
    result = digitize(image, strip_reader=recorder)
    return result, recorder.strips, truth, signal


def errors_px(page, lines):
    """Distance of derived and drawn lines in strip pixels, node by node."""
    result, strips, truth, _ = page
    errors = []
    for line in lines:
        panel = result.layout.panels[line.panel]
        drawn = next(
            points
            for points, p in zip(truth.trace_mm, truth.layout.panels, strict=True)
            if (p.lead, p.rhythm) == (panel.lead, panel.rhythm)
        )
        drawn = to_page(result.geometry, to_image(truth.geometry, drawn[np.isfinite(drawn[:, 0])]))
        x = line.x0_mm + line.step_mm * np.arange(len(line.y_mm))
        inside = (x > drawn[0, 0]) & (x < drawn[-1, 0]) & np.isfinite(line.y_mm)
        away = np.interp(x, drawn[:, 0], drawn[:, 1]) - line.y_mm
        errors.append(away[inside] * strips[panel.row].px_per_mm)
    return np.abs(np.concatenate(errors))


def test_the_derived_line_is_the_drawn_one(page):
    lines = true_lines(page[0].layout.panels, page[0].traces, page[3])
    assert len(lines) == 13
    error = np.sort(errors_px(page, lines))
    best = error[: int(0.9 * len(error))]
    assert np.sqrt(np.mean(best**2)) < 0.5
    assert np.mean(error <= 1.0) > 0.9


@pytest.mark.parametrize("fs_hz", [250.0, 1000.0])
def test_the_rate_of_the_record_does_not_matter(page, fs_hz):
    signal = page[3]
    n = len(signal.samples_mv)
    at = np.arange(0, n / 500.0, 1 / fs_hz) * 500.0
    columns = [np.interp(at, np.arange(n), column) for column in signal.samples_mv.T]
    other = Signal(np.stack(columns, axis=1).astype(np.float32), fs_hz, signal.leads)
    lines = true_lines(page[0].layout.panels, page[0].traces, other)
    assert len(lines) == 13
    assert np.mean(errors_px(page, lines) <= 1.0) > 0.9


def test_a_reading_that_is_late_or_partly_wrong_is_brought_to_its_place(page):
    result, _, _, signal = page
    late = [replace(panel, start_s=panel.start_s + 0.2) for panel in result.layout.panels]
    traces = []
    for trace in result.traces:
        y = np.array(trace.y_mm)
        y[len(y) // 3 : len(y) // 3 + 30] -= 8.0  # another trace's ink
        traces.append(replace(trace, y_mm=y))
    lines = true_lines(late, traces, signal)
    assert len(lines) >= 10
    assert np.mean(errors_px(page, lines) <= 1.0) > 0.9
    assert np.allclose([line.shift_s for line in lines], -0.2, atol=0.01)


@pytest.mark.parametrize("seed", [1, 4, 5])
def test_a_page_of_another_record_gives_nothing(page, seed):
    result, strips, _, signal = page
    assert rows_of(result, strips, signal_of(seed)) == []
    swapped = Signal(signal.samples_mv[:, np.roll(np.arange(12), 5)], 500.0, signal.leads)
    assert rows_of(result, strips, swapped) == []


def test_a_lead_without_samples_gives_no_target(page):
    result, strips, _, signal = page
    samples = np.array(signal.samples_mv)
    samples[:, signal.leads.index("V1")] = np.nan
    whole = rows_of(result, strips, signal)
    rows = rows_of(result, strips, replace(signal, samples_mv=samples))
    known = [sum(int(np.isfinite(row.line_px).sum()) for row in found) for found in (whole, rows)]
    panel = next(p for p in result.layout.panels if p.lead == "V1")
    lost = 2 * (panel.box_mm[2] - panel.box_mm[0]) * strips[panel.row].px_per_mm
    assert known[0] - known[1] == pytest.approx(lost, rel=0.05)


def test_windows_hold_the_ink_that_the_targets_claim(page):
    rows = rows_of(page[0], page[1], page[3])
    assert len(rows) == 4
    for row in rows:
        assert 0.15 < row.pen_px / row.px_per_mm < 0.4  # drawn with 0.26 mm
        assert row.visible[np.isfinite(row.line_px)].mean() > 0.95
    batch = cut_windows(rows, (HEIGHT, WIDTH), np.random.default_rng(0), 8)
    assert batch.pixels.shape == (8, 3, HEIGHT, WIDTH)
    assert batch.line_px.shape == batch.visible.shape == (8, 2 * WIDTH - 1)
    assert batch.line_px.isfinite().all()
    light = batch.pixels.mean(1)
    own = batch.ink > 0.7
    assert own.any(dim=(1, 2)).all()
    assert light[own].mean() < light[batch.ink == 0].mean() - 0.3
    again = cut_windows(rows, (HEIGHT, WIDTH), np.random.default_rng(0), 8)
    assert (again.pixels == batch.pixels).all()


def test_ink_that_is_gone_is_not_visible(page):
    result, strips, _, signal = page
    blank = strips[1]
    pixels = np.array(blank.pixels)
    left = pixels.shape[1] // 2
    pixels[:, left : left + 60] = np.median(pixels, axis=(0, 1)).astype(np.uint8)
    strips = [replace(s, pixels=pixels) if s is blank else s for s in strips]
    row = rows_of(result, strips, signal)[1]
    assert np.isfinite(row.line_px[2 * left : 2 * left + 120]).all()
    assert row.visible[2 * left + 12 : 2 * left + 108].mean() < 0.1
