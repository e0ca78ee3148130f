"""Folder scoring: the official figures and every quirk of the official flow."""

import math

import numpy as np
import pytest

from benchmarks import reference_scorer as slow
from cinc_ecg.challenge.evaluate import EvaluateOptions, evaluate
from cinc_ecg.challenge.evaluate_report import problems, report_json, report_text, warnings
from cinc_ecg.challenge.evaluate_text import f_measure_table, snr_table, summary_text
from cinc_ecg.errors import InputError, ScoreError
from tests.unit.challenge.conftest import LEADS, write_wfdb


def run(folders, **options):
    return evaluate(*folders, EvaluateOptions(jobs=1, **options))


def quantized(signal):
    return np.round(signal, 3)


@pytest.mark.parametrize("version", ["2024-09", "2025-10"])
def test_b1_folder_score_equals_the_literal_one_in_both_versions(folders, toy, version):
    _, est = folders
    early = np.vstack((toy[7:], np.full((7, 12), np.nan)))
    write_wfdb(est / "a", early + 0.01, comments=["Labels: NORM"])
    evaluation = run(folders, version=version)
    lead = evaluation.records[0].leads[3]
    assert (lead.lead, lead.score.shift_samples) == ("AVR", -7)
    expected = slow.score(toy[:, 3], quantized(early + 0.01)[:, 3], 100, version)
    assert lead.score.snr_db == pytest.approx(expected, abs=1e-9)
    scores = [x.score.snr_db for r in evaluation.records for x in r.leads]
    assert evaluation.snr_db == pytest.approx(np.mean(scores), abs=1e-12)


def test_b2_snr_median_averages_the_whole_tuple(folders):
    evaluation = run(folders, extra=True)
    tuples = [x.score.extra.snr_median for r in evaluation.records for x in r.leads]
    assert evaluation.snr_median == pytest.approx(np.mean(tuples), abs=1e-12)
    lines = [line.split(":")[0] for line in summary_text(evaluation).splitlines()]
    assert lines == [
        "SNR",
        "SNR median",
        "KS metric",
        "ASCI metric",
        "Weighted absolute difference metric",
        "F-measure",
    ]


def test_b3_perfect_leads_leave_the_mean(folders, toy):
    _, est = folders
    for record in ("a", "b/c"):
        write_wfdb(est / record, toy)
    evaluation = run(folders)
    assert math.isnan(evaluation.snr_db)
    assert summary_text(evaluation) == "SNR: nan\nF-measure: nan\n"


def test_b4_missing_output_counts_0_db_if_any_record_was_digitized(folders):
    _, est = folders
    both = run(folders).snr_db
    (est / "a.dat").unlink()
    evaluation = run(folders)
    assert all(lead.score.snr_db == 0 for lead in evaluation.records[0].leads)
    assert 0.4 * both < evaluation.snr_db < 0.6 * both
    (est / "b" / "c.dat").unlink()
    assert math.isnan(run(folders).snr_db)
    assert any("no output" in line for line in warnings(run(folders)))


def test_b6_a_rejected_shift_leaves_the_lead_as_it_came(folders, toy):
    _, est = folders
    write_wfdb(est / "a", toy + 1.5)
    lead = run(folders).records[0].leads[0]
    assert not lead.score.shift_accepted
    expected = slow.score(toy[:, 0], quantized(toy + 1.5)[:, 0], 100, shift=False)
    assert lead.score.snr_db == pytest.approx(expected, abs=1e-9)


def test_b7_unknown_channel_stops_and_is_named(folders, toy):
    write_wfdb(folders[1] / "a", toy, leads=[*LEADS[:11], "V7"])
    with pytest.raises(ScoreError, match=r"^a: .*V6.*quirk B7"):
        run(folders)
    evaluation = run(folders, lenient=True)
    assert evaluation.records[0].leads[11].score.snr_db == 0
    assert evaluation.records[0].problem is None


def test_b8_extra_scores_stop_at_an_empty_lead(folders, toy):
    empty = toy.copy()
    empty[:, 4] = np.nan
    write_wfdb(folders[1] / "a", empty)
    assert run(folders).records[0].leads[4].score.snr_db == 0
    with pytest.raises(ScoreError, match=r"^a: lead AVL .*quirk B8"):
        run(folders, extra=True)
    assert run(folders, extra=True, lenient=True).ks is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fs": 125}, "125 Hz, reference 100 Hz"),
        ({"units": "uV"}, "uV"),
        ({"leads": ["I", *LEADS[:11]]}, "repeat"),
    ],
)
def test_b9_b20_asserts_stop_everything(folders, toy, change, message):
    write_wfdb(folders[1] / "a", toy, **change)
    with pytest.raises(ScoreError, match=message) as caught:
        run(folders)
    assert "B9" in str(caught.value)
    evaluation = run(folders, lenient=True)
    assert problems(evaluation) == [str(caught.value)]
    assert all(lead.score.snr_db == 0 for lead in evaluation.records[0].leads)


def test_b9_channel_counts_must_agree(folders, toy):
    write_wfdb(folders[1] / "a", np.hstack((toy, toy[:, :1])), leads=[*LEADS, "V7"])
    with pytest.raises(ScoreError, match="13 channels"):
        run(folders)
    assert run(folders, lenient=True).records[0].leads[0].lead == "I"


def test_sample_count_may_differ(folders, toy):
    write_wfdb(folders[1] / "a", toy[:200] + 0.01)
    assert run(folders).records[0].leads[0].covered == pytest.approx(2 / 3)


def test_b12_repeated_label_lines_merge_and_are_reported_as_a_leak(folders, toy):
    write_wfdb(folders[1] / "b/c", toy, comments=["Labels: NORM, PVC", "Labels: NORM"])
    evaluation = run(folders)
    assert evaluation.records[1].predicted == ("NORM", "PVC", "NORM")
    assert evaluation.f_measure == 1
    assert any("own labels" in line for line in warnings(evaluation))


def test_copied_headers_are_reported_as_a_leak(folders, toy):
    write_wfdb(folders[1] / "a", toy, comments=["Age: 50", "Labels: NORM"])
    assert any("own labels" in line for line in warnings(run(folders)))


def test_b13_text_and_tables(folders):
    evaluation = run(folders)
    assert summary_text(evaluation) == f"SNR: {evaluation.snr_db:.3f}\nF-measure: 0.500\n"
    assert f_measure_table(evaluation) == "NORM\t1.0\nPVC\t0.0\n"


def test_b16_minus_32768_is_missing(folders, toy):
    hole = toy.copy()
    hole[0, 0] = -32.768
    write_wfdb(folders[1] / "a", hole)
    assert run(folders).records[0].leads[0].covered == pytest.approx(299 / 300)


def test_b17_table_sorts_leads_and_writes_none_for_an_absent_one(folders, toy):
    ref, est = folders
    for folder in (ref, est):
        write_wfdb(folder / "d", toy[:, :2] + (folder == est) * 0.01, leads=["V1", "II"])
    lines = snr_table(run(folders)).splitlines()
    assert lines[0] == "Record\tAVF\tAVL\tAVR\tI\tII\tIII\tV1\tV2\tV3\tV4\tV5\tV6"
    assert [line.split("\t")[0] for line in lines[1:]] == ["a", "b/c", "d"]
    row = lines[3].split("\t")
    assert row[1] == row[4] == "None"
    assert row[5] == "nan" or math.isfinite(float(row[5]))


def test_lead_names_match_in_any_case_and_order(folders, toy):
    order = [3, 0, 1, 2, *range(4, 12)]
    names = ["aVR", "I", "II", "III", "aVL", "aVF", *LEADS[6:]]
    before = run(folders).records[0].leads[3].score.snr_db
    rng = np.random.default_rng(4)
    write_wfdb(
        folders[1] / "a", (toy + 0.02 * rng.standard_normal(toy.shape))[:, order], leads=names
    )
    assert run(folders).records[0].leads[3].score.snr_db == pytest.approx(before, abs=1e-9)


def test_records_without_labels_or_signals_are_skipped(folders, toy):
    ref, _ = folders
    write_wfdb(ref / "unlabelled", toy)
    (ref / "unlabelled.dat").unlink()
    evaluation = run(folders)
    assert evaluation.records[2].leads == ()
    assert "unlabelled" not in snr_table(evaluation)


def test_no_records_and_unreadable_folder_are_refused(tmp_path):
    with pytest.raises(ScoreError, match="No records found"):
        evaluate(tmp_path, tmp_path)
    with pytest.raises(InputError, match="not a readable folder"):
        evaluate(tmp_path / "missing", tmp_path)


def test_damaged_header_is_named(folders):
    (folders[1] / "a.hea").write_text("a 12 x 300\na.dat 16\n")
    with pytest.raises(ScoreError, match="official evaluator stops here"):
        run(folders)
    assert problems(run(folders, lenient=True))


def test_crlf_headers_score_alike(folders):
    before = run(folders)
    for path in folders[1].rglob("*.hea"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    after = run(folders)
    assert after.snr_db == before.snr_db
    assert after.f_measure == before.f_measure


def test_unmasked_reference_is_noticed(folders, toy):
    masked = toy.copy()
    masked[75:] = np.nan
    write_wfdb(folders[1] / "a", masked)
    assert any("not masked" in line for line in warnings(run(folders)))


def test_report_groups_by_lead_and_condition(folders):
    evaluation = run(folders, distances=True)
    content = report_json(evaluation, EvaluateOptions())
    assert list(content["per_condition"]) == [".", "b"]
    assert content["per_lead"]["II"]["n"] == 2
    assert content["summary"]["low"] <= content["snr_db"] <= content["summary"]["high"]
    assert 0.9 < content["records"][0]["leads"]["V6"]["r"] <= 1
    assert "Kaggle 2025 score" in report_text(evaluation, EvaluateOptions())


def test_processes_give_the_same_scores(folders, toy):
    for folder in folders:
        for k in range(3):
            write_wfdb(folder / f"z{k}", toy + (folder == folders[1]) * 0.01 * (k + 1))
    done = []
    parallel = evaluate(
        *folders, EvaluateOptions(jobs=2), progress=lambda *counts: done.append(counts)
    )
    assert parallel == run(folders) or repr(parallel) == repr(run(folders))
    assert done[-1] == (5, 5)
