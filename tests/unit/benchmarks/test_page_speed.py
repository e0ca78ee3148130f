"""The seconds per page: medians of processes, one line each; a real process when asked for."""

import pytest

from benchmarks import page_speed
from benchmarks.page_speed import STAGES, Timing, header, median_of, row


def timing(seconds, peak_mb):
    return Timing(1.0, seconds, seconds, seconds, dict.fromkeys(STAGES, seconds), peak_mb)


def test_medians_of_seconds_and_the_largest_memory():
    middle = median_of([timing(3.0, 900.0), timing(1.0, 1200.0), timing(2.0, 1000.0)])
    assert (middle.first_s, middle.next_s, middle.stages_s["traces"]) == (2.0, 2.0, 2.0)
    assert middle.peak_mb == 1200.0


def test_a_line_has_a_cell_per_column():
    names, marks = (line.count("|") for line in header().splitlines())
    assert names == marks == row("clean", "2200 x 1700", "learned", 2, timing(2.5, 1e3)).count("|")


@pytest.mark.slow
def test_a_page_is_timed_in_a_process_of_its_own(capsys):
    options = ["--conditions", "clean", "--readers", "classical", "--threads", "2"]
    page_speed.main([*options, "--repeats", "1", "--pages", "2"])
    line = capsys.readouterr().out.splitlines()[2]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:4] == ["clean", "2200 x 1700", "classical", "2"]
    assert all(float(cell) > 0 for cell in cells[4:])
