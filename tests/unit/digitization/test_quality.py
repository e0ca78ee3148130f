import numpy as np
import pytest

from cinc_ecg.digitization.quality import (
    WARN_BELOW_DB,
    expected_snr,
    few_leads_notes,
    low_snr_notes,
    stated_snr,
    with_expected_snr,
)
from cinc_ecg.types import LeadStatus, Signal

FS = 500.0


def lead(sigma_mv=0.02, gain=1.0):
    t = np.arange(1250) / FS
    samples = gain * np.sin(2 * np.pi * 3 * t)[:, None].astype(np.float32)
    return Signal(samples, FS, ("II",), np.full_like(samples, sigma_mv))


def test_the_stated_snr_is_power_over_squared_error():
    expected = 10 * np.log10(np.var(lead().samples_mv) / 0.02**2)
    assert stated_snr(lead(), "II") == pytest.approx(expected, abs=1e-3)
    assert stated_snr(lead(), "V1") is None


def test_a_lead_without_a_course_or_an_error_has_none():
    assert stated_snr(lead(gain=0.0), "II") is None
    assert expected_snr(lead(gain=0.0), "II", 1.0, 0.01) is None
    assert expected_snr(Signal(lead().samples_mv, FS, ("II",)), "II", 1.0, 0.01) is None


def test_larger_errors_less_ink_and_contradicting_limb_leads_lower_it():
    good = expected_snr(lead(0.02), "II", 1.0, 0.005)
    for worse in (
        expected_snr(lead(0.1), "II", 1.0, 0.005),
        expected_snr(lead(0.02), "II", 0.8, 0.005),
        expected_snr(lead(0.02), "II", 1.0, 0.05),
    ):
        assert worse < good - 1


@pytest.mark.parametrize("sigma_mv", [1e-9, 1e9])
def test_it_stays_within_what_was_seen(sigma_mv):
    for residual in (None, 0.0, 100.0):
        assert -5 <= expected_snr(lead(sigma_mv), "II", 1.0, residual) <= 35


def test_poor_leads_are_named_and_missing_ones_left_alone():
    statuses = [LeadStatus("II", "ok", coverage=1.0), LeadStatus("V1", "missing")]
    fine, missing = with_expected_snr(statuses, lead(0.005), 0.005)
    assert fine.predicted_snr_db > WARN_BELOW_DB
    assert missing == statuses[1]
    assert low_snr_notes([fine, missing]) == []
    poor, _ = with_expected_snr(statuses, lead(5.0), 0.5)
    (note,) = low_snr_notes([poor, missing])
    assert (note.code, note.severity, note.where) == ("low_snr", "warning", "II")


def test_a_page_of_which_few_leads_were_recognised_is_doubtful():
    chest = [LeadStatus(f"V{k}", "ok", coverage=1.0) for k in range(1, 7)]
    assert few_leads_notes(chest) == []
    (note,) = few_leads_notes([*chest[:2], LeadStatus("II", "missing")])
    assert note.code == "few_leads"
    assert "V1, V2" in note.text
