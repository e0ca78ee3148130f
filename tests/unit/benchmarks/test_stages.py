import numpy as np
import pytest

from benchmarks.measure import score_page
from benchmarks.stages import (
    STAGES,
    StageResult,
    TrueGeometry,
    TrueTraces,
    table,
    true_arrangement,
    with_true_layout,
)
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values


@pytest.fixture(scope="module")
def photographed():
    """A small bent page, so that no frame is by chance another."""
    settings = with_values(PageSettings(), {"paper.dpi": 80.0, "layout.template": "3x4+1"})
    image, truth = render(simulate(seed=4), settings, seed=4)
    steps = [Step("perspective", {"corner_shift": 0.03}), Step("curl", {"amount": 0.004})]
    return apply(image, truth, steps, np.random.default_rng(4))


def test_the_truth_in_all_places_gives_the_truth(photographed):
    image, truth = photographed
    signal = with_true_layout(image, truth, truth.geometry, TrueTraces(truth))
    scores = score_page(truth.signal, signal, True)
    assert len(scores) == 12
    assert min(scores.values()) > 20
    assert np.mean(list(scores.values())) > 28


def test_true_layout_is_the_same_in_another_frame(photographed):
    """A found page has its own origin; the true panels must land on the same ink."""
    _, truth = photographed
    moved = type(truth.geometry)(
        truth.geometry.nodes_px,
        (truth.geometry.origin_mm[0] + 7.0, truth.geometry.origin_mm[1] - 3.0),
        truth.geometry.pitch_mm,
    )
    frame, hypothesis = true_arrangement(truth, truth.geometry)
    other_frame, other = true_arrangement(truth, moved)
    assert len(hypothesis.places) == len(truth.layout.panels)
    assert other_frame.x0_mm == pytest.approx(frame.x0_mm + 7.0, abs=1e-3)
    assert other_frame.rows[0].baseline_mm == pytest.approx(frame.rows[0].baseline_mm - 3, abs=1e-3)
    assert [p.lead for p in other.places] == [p.lead for p in hypothesis.places]


def test_true_geometry_is_handed_over(photographed):
    image, truth = photographed
    evidence = TrueGeometry(truth).read(image)
    assert evidence.lattice is truth.geometry
    assert evidence.orientation is not None


def test_table_has_a_row_per_condition_and_a_column_per_stage():
    scores = {name: [10.0, 20.0] for name in STAGES}
    lines = table([StageResult("clean", 0, scores), StageResult("bw", 0, scores)]).splitlines()
    assert len(lines) == 4
    assert lines[2].count("15.0") == len(STAGES)
