"""The benchmark's own arithmetic, with digitizers whose faults are known."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measure import measure_page, mistaken_leads, score_page
from benchmarks.run import main
from benchmarks.sources import Page, Task, choose_recordings, drawn_tasks
from benchmarks.table import ladder_costs, rows
from cinc_ecg.data.signal_pool import is_held_out
from cinc_ecg.errors import GridNotFound
from cinc_ecg.geometry import flat_geometry
from cinc_ecg.leads import LEADS
from cinc_ecg.types import (
    Calibration,
    Digitization,
    EcgImage,
    Layout,
    PageTruth,
    Panel,
    Quality,
    Signal,
)

FS = 100.0
TASK = Task("clean", 0, 0, "rec", ("plain",))


@pytest.fixture
def page():
    rng = np.random.default_rng(0)
    samples = np.full((1000, 12), np.nan, np.float32)
    panels = []
    for k, lead in enumerate(LEADS):
        row, column = k % 3, k // 3
        samples[column * 250 : column * 250 + 250, k] = rng.standard_normal(250)
        box = (15.0 + 62 * column, 40.0 * row, 77.0 + 62 * column, 40.0 * row + 40)
        panels.append(Panel(lead, row, box, 2.5 * column, 2.5, 25, 10, 40.0 * row + 20))
    truth = PageTruth(
        Signal(samples, FS, LEADS),
        Layout("3x4", tuple(panels)),
        flat_geometry(1120, 500, 4.0),
        Calibration(25, 10, "grid", "grid"),
        (),
        (),
    )
    return Page(EcgImage(np.zeros((500, 1120, 3), np.uint8)), truth.signal, truth)


def oracle(page, order=LEADS):
    """Return a digitizer that reads the truth with a little noise, leads named in `order`."""
    rng = np.random.default_rng(1)
    column = [order.index(lead) for lead in LEADS]
    samples = page.signal.samples_mv[:, column]
    noisy = (samples + 0.05 * rng.standard_normal(samples.shape)).astype(np.float32)
    panels = [
        replace(p, lead=lead) for p, lead in zip(page.truth.layout.panels, order, strict=True)
    ]
    digitization = Digitization(
        Signal(noisy, FS, LEADS),
        Layout("3x4", tuple(panels)),
        page.truth.geometry,
        page.truth.calibration,
        (),
        (),
        Quality(4.0, None, 1.0),
    )
    return lambda image: digitization


def test_a_good_digitizer_scores_well_and_mistakes_nothing(page):
    result = measure_page(TASK, page, oracle(page), fast=False)
    assert result.outcome == "ok"
    assert len(result.snr_db) == 12
    assert result.mean_db > 20
    assert result.mistaken == []
    assert result.peak_mb > 10


@pytest.mark.parametrize("known", [True, False])
def test_swapped_leads_are_counted(page, known):
    order = ["II", "I", *LEADS[2:]]
    digitization = oracle(page, order)(page.image)
    seen = page if known else Page(page.image, page.signal, None)
    assert mistaken_leads(seen, digitization) == {"I", "II"}


def test_refusals_and_crashes_count_0_db_on_every_printed_lead(page):
    def refuse(image):
        raise GridNotFound("no grid on the page")

    def crash(image):
        raise KeyError("x")

    refused = measure_page(TASK, page, refuse, fast=True)
    crashed = measure_page(TASK, page, crash, fast=True)
    assert (refused.outcome, crashed.outcome) == ("no_grid", "crash:KeyError")
    assert set(refused.snr_db.values()) == {0.0}
    main_rows, variants = rows([refused, crashed, measure_page(TASK, page, oracle(page), True)])
    assert main_rows[0][:2] == ["clean", "3"]
    assert main_rows[0][7] == "2 (1 crashed)"
    assert variants == []


def test_estimates_at_another_rate_are_resampled(page):
    smooth = np.sin(np.arange(1000) / 15)[:, None] * np.ones(12)
    truth = Signal(smooth.astype(np.float32), FS, LEADS)
    fine = np.sin(np.arange(5000) / 75)[:, None] * np.ones(12) + 0.001
    estimate = Signal(fine.astype(np.float32), 5 * FS, LEADS)
    assert min(score_page(truth, estimate, fast=True).values()) > 40


def test_ladder_pages_are_spread_and_listed_by_artefact_and_severity():
    tasks = drawn_tasks("ladders", 12, [None], 0)
    assert len({task.variants[0] for task in tasks}) == 12
    assert len({task.variants[1] for task in tasks}) == 6
    some = [task.index for task in drawn_tasks("ladders", 40, [None], 0)]
    assert sorted(set(some)) == sorted(some)
    assert len(drawn_tasks("ladders", 60, [None], 0)) == 60
    whole = drawn_tasks("ladders", 72, ["a", "b"], 0)
    assert {task.record for task in whole if task.variants[0] == "curl"} == {"a"}
    assert drawn_tasks("clean", 2, ["a", "b"], 0)[1].record == "b"


def test_what_a_severity_costs_is_told_on_the_same_page(page):
    result = measure_page(TASK, page, oracle(page), True)

    def rung(artefact, severity, db):
        return replace(
            result,
            condition="ladders",
            variants=(artefact, f"severity {severity}"),
            snr_db=dict.fromkeys(LEADS, db),
        )

    pages = [rung("curl", 0, 30.0), rung("curl", 1, 28.0), rung("noise", 0, 20.0)]
    header, _, first = ladder_costs([*pages, rung("noise", 1, 14.0)])
    assert header == "| severity | mean | median | curl | noise |"
    assert first == "| 1 | 4.0 | 4.0 | 2.0 | 6.0 |"
    assert ladder_costs(pages[:1]) == ladder_costs([]) == []


def test_held_out_recordings_are_those_no_network_was_trained_on(tmp_path, write_ecg):
    for k in range(12):
        write_ecg(tmp_path / "set", f"r{k}", k)
    everything = choose_recordings(tmp_path, 12, 0)
    held_out = choose_recordings(tmp_path, 12, 0, held_out=True)
    assert set(held_out) == {record for record in everything if is_held_out(record)}
    assert 0 < len(held_out) < len(everything) == 12


def test_bad_arguments_end_in_one_line(capsys, tmp_path):
    assert main(["--conditions", "nothing"]) == 2
    assert "unknown condition 'nothing'" in capsys.readouterr().err
    assert main(["--conditions", "public"]) == 2
    assert "--public must be a folder" in capsys.readouterr().err
    assert main(["--conditions", "clean", "--data", str(tmp_path)]) == 2
    assert "no usable 12-lead recording" in capsys.readouterr().err
