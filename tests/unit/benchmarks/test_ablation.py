import numpy as np
import pytest

from benchmarks.ablation import WAYS, ablate
from benchmarks.sources import Task
from benchmarks.stages import StageResult, table


def test_the_table_has_a_row_per_condition_and_one_for_all():
    low, high = ({name: [value] * 12 for name in WAYS} for value in (10.0, 20.0))
    lines = table(
        [StageResult("bw", 0, low), StageResult("clean", 0, high)], total=True
    ).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| bw", "| clean", "| all"]
    assert lines[-1].count("15.0") == len(WAYS)


@pytest.mark.slow
def test_truth_in_place_of_a_stage_helps_and_no_part_ships_that_spoils():
    result = ablate(Task("clean", 0, 3, None), None)
    means = {name: np.mean(values) for name, values in result.snr_db.items()}
    assert means["true traces"] > means["as it ships"]
    assert means["as it ships"] > means["none"] - 0.5
