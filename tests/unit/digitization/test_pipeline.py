"""From a drawn page to millivolts and back; who is refused; what the user may say."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.pipeline import (
    DigitizeConfig,
    digitize,
    merge,
    with_seen_rows,
)
from cinc_ecg.digitization.read_page import ClassicalPageReader, light_paper
from cinc_ecg.digitization.strip_cut import cut_strips
from cinc_ecg.errors import DigitizationError, GridNotFound, LayoutNotFound, NotAnEcg
from cinc_ecg.geometry import warp_box
from cinc_ecg.types import EcgImage, PageEvidence


@pytest.fixture(scope="module")
def stages():
    return []


@pytest.fixture(scope="module")
def page(draw, small):
    return draw(small)


@pytest.fixture(scope="module")
def result(page, stages):
    image, _ = page
    return digitize(image, observe=lambda stage, value: stages.append((stage, value)))


class Known:
    """Either reader: returns what was read before."""

    def __init__(self, value):
        self.value = value

    def read(self, _):
        return self.value


@pytest.fixture(scope="module")
def again(page, result, stages):
    """Digitize the page once more under another configuration, without reading it anew."""
    evidence, traces = dict(stages)["evidence"], dict(stages)["traces"]

    def digitized(**values):
        return digitize(
            page[0],
            page_reader=Known(evidence),
            strip_reader=Known(traces),
            config=DigitizeConfig(**values),
        )

    return digitized


def test_rows_only_a_reader_sees_must_complete_a_known_layout(result, stages):
    upright = dict(stages)["page"]
    everything = upright.rows
    lacking = replace(upright, rows=everything[:-1], doubted_rows=everything)
    assert with_seen_rows(lacking, DigitizeConfig()).rows == everything
    first, second = everything[:2]
    middle = (first.baseline_mm + second.baseline_mm) / 2
    text = replace(first, baseline_mm=middle, marked=False)
    crowded = replace(upright, doubted_rows=(first, text, *everything[1:]))
    assert with_seen_rows(crowded, DigitizeConfig()).rows == everything
    assert with_seen_rows(upright, DigitizeConfig()) is upright


def test_the_signals_come_back(page, result, snr_of):
    _, truth = page
    assert snr_of(truth, result.signal) > 17.0
    assert result.signal.fs_hz == 500.0
    assert result.signal.leads == ("I", "II", "III", "aVR", "aVL", "aVF")


def test_layout_and_calibration_are_told(page, result):
    _, truth = page
    assert result.layout.name == "3x2-limb"
    assert result.layout.confidence > 0.9
    assert not result.layout.simultaneous
    assert (result.calibration.mm_per_s, result.calibration.mm_per_mv) == (25.0, 10.0)
    assert result.calibration.gain_source == "pulse"
    assert [n.code for n in result.notes] == ["speed_assumed"]
    known = {p.lead: p for p in truth.layout.panels}
    for panel in result.layout.panels:
        assert panel.start_s == pytest.approx(known[panel.lead].start_s, abs=0.03)
        assert panel.duration_s == pytest.approx(1.8, abs=0.03)


def test_statuses_and_quality_are_given(result):
    status = {s.lead: s for s in result.leads}
    assert len(status) == 12
    assert {s.lead for s in result.leads if s.status != "missing"} == set(result.signal.leads)
    assert status["V1"].coverage == 0.0
    assert result.quality.coverage > 0.97
    assert result.quality.px_per_mm == pytest.approx(110 / 25.4, rel=0.01)
    assert result.quality.limb_residual_mv < 0.05


@pytest.mark.xfail(strict=True, reason="the rims of a 45-mm panel are 2 % of it")
def test_leads_that_are_all_there_are_ok(result):
    assert {s.status for s in result.leads if s.coverage > 0} == {"ok"}


def test_the_stages_are_told_in_order(result, stages):
    assert [name for name, _ in stages] == ["evidence", "page", "frame", "traces", "layout"]


def test_every_row_is_cut_once_and_holds_its_baseline(page, result, stages):
    image, _ = page
    values = dict(stages)
    strips = cut_strips(image.pixels, values["page"].geometry, values["frame"])
    assert [s.row for s in strips] == [0, 1, 2]
    for strip in strips:
        height = strip.pixels.shape[0] / strip.px_per_mm
        assert strip.y0_mm < strip.baseline_mm < strip.y0_mm + height
        assert strip.valid.shape == strip.pixels.shape[:2]


def test_a_row_is_the_same_however_many_others_are_cut(page, result, stages):
    image, _ = page
    values = dict(stages)
    geometry = values["page"].geometry
    for strip in cut_strips(image.pixels, geometry, values["frame"]):
        height, width = strip.pixels.shape[:2]
        x1 = strip.x0_mm + width / strip.px_per_mm
        y1 = strip.y0_mm + height / strip.px_per_mm
        box = (strip.x0_mm, strip.y0_mm, x1, y1)
        alone, _ = warp_box(
            image.pixels, geometry, box, strip.px_per_mm, interpolation=cv2.INTER_CUBIC
        )
        assert np.abs(alone.astype(int) - strip.pixels).max() <= 2


def test_an_all_twelve_page_with_a_strip_comes_back(draw, twelve, snr_of):
    image, truth = draw(twelve)
    result = digitize(image)
    assert result.layout.name == "3x4+1"
    assert snr_of(truth, result.signal) > 15.0
    assert result.calibration.time_source == "text"
    strip = next(p for p in result.layout.panels if p.rhythm)
    assert (strip.lead, strip.start_s) == ("II", 0.0)
    assert strip.duration_s == pytest.approx(5.0, abs=0.05)


def test_a_dark_screen_is_read_as_paper(page, result):
    image, _ = page
    assert np.array_equal(light_paper(255 - image.pixels), image.pixels)
    assert light_paper(image.pixels) is image.pixels


def test_the_users_scale_scales(again, result):
    doubled = again(mm_per_mv=5.0, mm_per_s=25.0)
    assert doubled.calibration.gain_source == doubled.calibration.time_source == "user"
    assert doubled.notes == ()
    once, twice = result.signal.samples_mv, doubled.signal.samples_mv
    # Leads are reconciled by absolute uncertainties, which is not quite linear.
    assert np.nanmax(np.abs(2 * once - twice)) < 0.01 * np.nanmax(np.abs(twice))


def test_leads_can_be_left_as_they_were_read(again, result):
    read = again(reconcile=False)
    same = np.isfinite(read.signal.samples_mv) == np.isfinite(result.signal.samples_mv)
    assert same.all()
    assert (np.nan_to_num(read.signal.samples_mv - result.signal.samples_mv) != 0).any()
    assert read.notes == result.notes


def test_the_rate_is_what_was_asked_for(again, result):
    half = again(fs_hz=250.0).signal
    assert half.fs_hz == 250.0
    n = min(len(half.samples_mv), len(result.signal.samples_mv[::2]))
    difference = half.samples_mv[:n] - result.signal.samples_mv[::2][:n]
    assert np.nanmax(np.abs(difference)) < 0.02


def test_the_user_may_name_the_leads(again):
    named = again(leads=("V7", "v8", "V9"))
    assert named.signal.leads == ("V7", "V8", "V9")
    assert named.layout.confidence == 1.0
    with pytest.raises(LayoutNotFound, match="W9"):
        again(leads=("I", "II", "W9"))
    with pytest.raises(LayoutNotFound, match="2 leads"):
        again(leads=("I", "II"))


def test_a_layout_that_does_not_fit_is_refused(again):
    with pytest.raises(LayoutNotFound, match="12x1") as caught:
        again(layout="12x1")
    assert caught.value.reason_code == "no_layout"


def refused(pixels):
    with pytest.raises(DigitizationError) as caught:
        digitize(EcgImage(pixels, "picture.png"))
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_blank_page_has_no_grid():
    error = refused(np.full((400, 500, 3), 255, np.uint8))
    assert isinstance(error, GridNotFound)
    assert error.reason_code == "no_grid"
    assert "picture.png" in str(error)


@pytest.mark.parametrize(
    "side",
    [
        pytest.param(1, marks=pytest.mark.xfail(strict=True, reason="shrunk to nothing")),
        10,
    ],
)
def test_a_tiny_picture_is_refused(side):
    assert refused(np.full((side, side, 3), 200, np.uint8)).reason_code == "no_grid"


@pytest.fixture(scope="module")
def graph_paper(draw, small):
    image, _ = draw(
        small,
        paper__size_mm=(90.0, 60.0),
        layout__column_s=1.0,
        layout__bottom_mm=45.0,
        pen__density=0.0,
        text__show_names=False,
        scale__pulse="none",
        separators__style="none",
    )
    return image.pixels


def test_a_sheet_of_graph_paper_is_no_ecg(graph_paper):
    assert refused(graph_paper).reason_code == "no_layout"


def test_two_curves_on_graph_paper_are_no_ecg(graph_paper):
    pixels = graph_paper.copy()
    x = np.arange(20, 370)
    for level in (80, 180):
        y = np.rint(level + 15 * np.sin(x / 50)).astype(int)
        for k in range(2):
            pixels[y + k, x] = 20
    error = refused(pixels)
    assert isinstance(error, NotAnEcg)
    assert error.reason_code == "not_an_ecg"


def test_a_reader_without_an_opinion_on_the_grid_is_an_answer(page):
    image, _ = page
    blank = EcgImage(np.full_like(image.pixels, 255), "blank.png")
    with pytest.raises(GridNotFound):
        digitize(blank, page_reader=Known(PageEvidence()))


def test_the_classical_reader_gives_lattice_and_masks(page):
    image, _ = page
    evidence = ClassicalPageReader().read(image)
    assert evidence.lattice is not None
    assert evidence.page_mask.shape == evidence.grid_mask.shape == image.pixels.shape[:2]
    assert evidence.names is None


def test_merging_takes_each_lead_from_the_better_picture(result):
    blurred = replace(
        result,
        signal=replace(result.signal, samples_mv=result.signal.samples_mv * 0),
        leads=tuple(
            replace(s, coverage=0.3, predicted_snr_db=1.0) if s.status != "missing" else s
            for s in result.leads
        ),
    )
    for order in ((result, blurred), (blurred, result)):
        merged = merge(order)
        assert merged.leads == result.signal.leads
        assert np.array_equal(merged.samples_mv, result.signal.samples_mv, equal_nan=True)


def test_merging_puts_pages_together(result):
    limb, chest = result.signal, replace(result.signal, leads=("V1", "V2", "V3", "V4", "V5", "V6"))
    longer = np.pad(chest.samples_mv, ((0, 100), (0, 0)), constant_values=np.nan)
    other = replace(
        result,
        signal=replace(chest, samples_mv=longer, sigma_mv=None),
        leads=tuple(
            replace(s, lead=lead) for s, lead in zip(result.leads[:6], chest.leads, strict=True)
        ),
    )
    merged = merge([result, other])
    assert merged.leads == limb.leads + chest.leads
    assert len(merged.samples_mv) == len(limb.samples_mv) + 100
    assert np.isnan(merged.sigma_mv[:, 6:]).all()


def test_only_results_of_one_rate_can_be_merged(result):
    other = replace(result, signal=replace(result.signal, fs_hz=250.0))
    for bad in ([], [result, other]):
        with pytest.raises(ValueError, match="one sampling rate"):
            merge(bad)
