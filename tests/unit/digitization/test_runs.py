"""The run of ink under a path, against a walk pixel by pixel."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cinc_ecg.digitization.runs import runs_on_path


def walk(column, row, limit):
    """First and last row of the run above a limit around a row, or the row itself."""
    first = last = row
    if column[row] > limit:
        while first > 0 and column[first - 1] > limit:
            first -= 1
        while last < len(column) - 1 and column[last + 1] > limit:
            last += 1
    return first, last


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.6, 4.0))
def test_runs_are_those_found_pixel_by_pixel(seed, blur):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((60, 80)).astype(np.float32), (0, 0), blur)
    cover = (0.4 * (noise - noise.mean()) / noise.std() + 0.3).astype(np.float32)
    path = np.clip(30 + np.cumsum(rng.integers(-3, 4, 80)), 0, 59)
    runs = runs_on_path(cover, path)
    for c, row in enumerate(path):
        column = cover[:, c]
        near = np.clip(np.array([row - 1, row, row + 1]), 0, 59)
        start = int(near[column[near].argmax()])
        first, last = walk(column, start, np.float32(0.8 * 0.3))
        peak = column[first : last + 1].max()
        assert runs.peak[c] == peak
        assert runs.seen[c] == (np.float64(peak) >= 0.3)
        if not runs.seen[c]:
            assert np.isnan(runs.top[c])
            assert np.isnan(runs.bottom[c])
            continue
        darkest = first + int(np.flatnonzero(column[first : last + 1] == peak)[-1])
        limit = np.float32(0.5 * min(float(peak), 1.0))
        first, last = walk(column, darkest, limit)
        assert first - 1 <= runs.top[c] <= first
        assert last <= runs.bottom[c] <= last + 1
