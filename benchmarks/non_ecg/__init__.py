"""Fifty pictures that are no electrocardiogram, drawn from seeds: what a digitizer must refuse."""

from benchmarks.non_ecg.charts import CHARTS
from benchmarks.non_ecg.papers import PAPERS
from benchmarks.non_ecg.scenes import SCENES
from benchmarks.non_ecg.sheet import Draw

#: Every kind of picture by name: (rng) -> (height, width, 3) uint8.
PICTURES: dict[str, Draw] = {**PAPERS, **CHARTS, **SCENES}
