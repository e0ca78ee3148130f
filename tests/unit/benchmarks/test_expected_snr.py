import json

import numpy as np
import pytest

from benchmarks.calibrate_snr import Lead, fit, report
from benchmarks.selective import leads_given, main, read_details, table


@pytest.fixture
def leads():
    """Leads whose quality is a sum of what is known, and a little chance."""
    rng = np.random.default_rng(1)
    known = rng.normal([20, -5, 0.95, -2], [5, 4, 0.05, 0.5], (400, 4))
    snr = 3.0 + known @ [0.5, -0.2, 8.0, -3.0] + rng.normal(0, 0.1, 400)
    rows = enumerate(zip(known, snr, strict=True))
    return [Lead(k // 12, tuple(row), True, y) for k, (row, y) in rows]


def test_the_weights_are_found_again(leads):
    weights, expected = fit(leads, compared=True)
    np.testing.assert_allclose(weights, [3.0, 0.5, -0.2, 8.0, -3.0], atol=0.5)
    assert np.std(expected - [lead.snr_db for lead in leads]) < 0.12
    assert "400 leads, error rms 0.1 dB" in report(leads, compared=True)
    assert "limb -" not in report(leads, compared=False)


def test_leaving_out_doubtful_leads_helps_where_the_expectation_is_right(tmp_path, capsys):
    page = {"expected_db": {"I": 20.0, "II": 2.0, "V1": 9.0}, "snr_db": {"I": 22.0, "II": 1.0}}
    path = tmp_path / "details.jsonl"
    path.write_text(json.dumps(page) + "\n" + json.dumps(page) + "\n")
    found = leads_given(read_details(path))
    np.testing.assert_array_equal(found, [[20, 22], [2, 1]] * 2)
    lines = table(found).splitlines()
    assert lines[2] == "| 100% | 2.0 dB | 11.5 dB | 1.0 dB | 50.0% | 50.0% |"
    assert lines[-1] == "| 50% | 20.0 dB | 22.0 dB | 22.0 dB | 0.0% | 0.0% |"
    main([str(path)])
    assert "4 leads; measured minus expected: mean 0.5 dB" in capsys.readouterr().out
