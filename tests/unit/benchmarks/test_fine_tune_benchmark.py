"""The measurement of fine-tuning: a fair split, styles that render, a table that adds up."""

import numpy as np
import pytest

from benchmarks.fine_tune import STYLES, Scored, split_recordings, style_page, table
from cinc_ecg.data.signal_pool import is_held_out
from cinc_ecg.synth.ecg import simulate


def test_recordings_measured_on_are_not_those_trained_on(tmp_path, write_ecg):
    for k in range(16):
        write_ecg(tmp_path, f"r{k}", k)
    training, held_out = split_recordings(tmp_path, 4, 2, 7)
    assert len(training) == 4
    assert held_out
    assert not any(is_held_out(name) for name in training)
    assert all(is_held_out(name) for name in held_out)
    assert split_recordings(tmp_path, 4, 2, 7) == (training, held_out)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_styles_print_the_signal(style):
    image, truth = style_page(style, simulate(seed=1), 3, 0)
    assert len(truth.trace_mm) == 13
    assert image.pixels.std() > 10
    assert np.isfinite(truth.signal.samples_mv).any()


def test_the_table_counts_leads():
    results = [
        Scored("fax", "a", {"I": 10.0, "II": 12.0}, {"I": 13.0, "II": 12.5}),
        Scored("fax", "b", {"I": 10.0, "II": float("nan")}, {"I": 8.0, "II": float("nan")}),
    ]
    assert table(results).splitlines()[2] == "| fax | 2 | 10.7 | 11.2 | +0.50 | 33% / 33% |"
