"""Read rectified rows without weights: ink, path, runs, centre line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.ink import ink_map, page_colours
from cinc_ecg.digitization.path import trace_paths
from cinc_ecg.digitization.runs import runs_on_path
from cinc_ecg.digitization.subpixel import centre_line, half_pen
from cinc_ecg.types import RowTrace, Strip

#: Gaps up to this long are bridged by a straight line (and not marked visible); longer ones stay NaN.
_BRIDGE_MM = 1.0


class ClassicalStripReader:
    """Reads the rows of one page jointly; implements `cinc_ecg.types.StripReader`."""

    def read(self, strips: Sequence[Strip]) -> list[RowTrace]:
        """Return one trace per strip.

        Args:
            strips: All rectified rows of one page.

        Returns:
            Traces in page millimetres, in the order of the strips.
        """
        if not strips:
            return []
        colours = page_colours(strips)
        covers = [ink_map(strip, colours).trace() for strip in strips]
        baselines = [(s.baseline_mm - s.y0_mm) * s.px_per_mm for s in strips]
        paths = trace_paths(covers, baselines, strips[0].px_per_mm)
        traces = []
        for strip, cover, path in zip(strips, covers, paths, strict=True):
            runs = runs_on_path(cover, path)
            line = centre_line(runs, half_pen(runs))
            traces.append(_row_trace(strip, line, runs.seen))
        return traces


def _row_trace(strip: Strip, line: NDArray[np.float64], seen: NDArray[np.bool_]) -> RowTrace:
    """Convert a centre line in strip pixels to page millimetres."""
    line = _bridge(line, round(_BRIDGE_MM * strip.px_per_mm))
    sigma = np.where(seen, 0.3, 3.0) / strip.px_per_mm
    return RowTrace(
        row=strip.row,
        x0_mm=strip.x0_mm,
        step_mm=1.0 / strip.px_per_mm,
        y_mm=strip.y0_mm + line / strip.px_per_mm,
        sigma_mm=sigma,
        visible=seen,
    )


def _bridge(line: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Fill gaps of up to `longest` samples linearly."""
    known = np.flatnonzero(np.isfinite(line))
    if len(known) < 2:
        return line
    filled = line.copy()
    for left, right in zip(known[:-1], known[1:], strict=True):
        if 1 < right - left <= longest + 1:
            filled[left : right + 1] = np.interp(
                np.arange(left, right + 1), [left, right], line[[left, right]]
            )
    return filled
