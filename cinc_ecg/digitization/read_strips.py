"""Read rectified rows without weights: ink, path, runs, centre line, re-render correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from cinc_ecg.digitization import stroke
from cinc_ecg.digitization.appearance import measure_pen
from cinc_ecg.digitization.detour import take_detours
from cinc_ecg.digitization.ink import Ink, ink_map, page_colours
from cinc_ecg.digitization.overlap import Claim, claim, settle
from cinc_ecg.digitization.path import Path, trace_paths
from cinc_ecg.digitization.prior import PriorSettings, StripPrior, guide, rival_guess
from cinc_ecg.digitization.rerender import FitSettings, Picture, better_guess, refine
from cinc_ecg.digitization.runs import Runs, runs_on_path
from cinc_ecg.digitization.stroke import NODES_PER_COLUMN, Pen
from cinc_ecg.digitization.subpixel import centre_line
from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.digitization.ticks import Cuts, RowView, find_cuts
from cinc_ecg.digitization.uncertainty import standard_error
from cinc_ecg.types import RowTrace, Strip

Real = NDArray[np.floating]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Gaps up to this long get a guess (marked not visible); longer ones stay NaN.
_BRIDGE_MM = 1.0
#: In steep columns half height lies a little outside the stroke's own edge; found by experiment.
_FLANK = 1.1


@dataclass(frozen=True, slots=True)
class StripReaderSettings:
    """Settings of the classical strip reader.

    Attributes:
        rerender: Whether to run the re-render correction.
        fit: Its settings.
        prior: How a network's statements are used where there are any.
    """

    rerender: bool = True
    fit: FitSettings = field(default_factory=FitSettings)
    prior: PriorSettings = field(default_factory=PriorSettings)


class ClassicalStripReader:
    """Reads the rows of one page jointly; implements `cinc_ecg.types.StripReader`."""

    def __init__(self, settings: StripReaderSettings = StripReaderSettings()) -> None:
        self.settings = settings

    def read(
        self, strips: Sequence[Strip], priors: Sequence[StripPrior | None] | None = None
    ) -> list[RowTrace]:
        """Return one trace per strip.

        Args:
            strips: All rectified rows of one page.
            priors: What a network says about each of them.

        Returns:
            Traces in page millimetres, in the order of the strips.
        """
        if not strips:
            return []
        priors = priors or [None] * len(strips)
        colours = page_colours(strips)
        inks = side_by_side(lambda strip: ink_map(strip, colours), strips)
        evidence = side_by_side(Ink.evidence, inks)
        settings = [self.settings.prior] * len(strips)
        covers = side_by_side(_guided, evidence, inks, strips, priors, settings)
        baselines = [(s.baseline_mm - s.y0_mm) * s.px_per_mm for s in strips]
        limits = _territories(strips)
        paths = trace_paths(covers, baselines, strips[0].px_per_mm, limits)
        scale = strips[0].px_per_mm
        rows = side_by_side(_measure, strips, inks, covers, paths, limits, priors)
        views = side_by_side(_view, rows, evidence)
        cuts = find_cuts(views, scale)
        claims = settle([_claim(row) for row in rows])
        return side_by_side(self._read_one, rows, cuts, claims)

    def _read_one(self, row: _Row, cuts: Cuts, owned: Claim) -> RowTrace:
        """Fit one row's centre line."""
        runs, pen = owned.runs, row.pen
        if runs.seen.sum() < 10:
            return _row_trace(row.strip, np.full(_n_nodes(row.cover), np.nan), runs.seen, None)
        shown = runs.seen & ~cuts.hidden & ~owned.hidden
        line = _fill(centre_line(runs, _FLANK * row.half), shown, cuts)
        if not self.settings.rerender:
            return _row_trace(row.strip, line, shown, None)
        picture = _picture(row.ink, owned, shown, pen)
        at_cuts = _cut_nodes(cuts, len(line))
        if row.prior is not None:
            rival = rival_guess(line, row.prior, self.settings.prior)
            line = better_guess(picture, line, rival, pen, at_cuts, self.settings.fit)
        fit = refine(picture, line, pen, at_cuts, self.settings.fit)
        return _row_trace(row.strip, fit.line, shown, standard_error(fit, row.ink.noise, shown))


@dataclass(frozen=True, slots=True)
class _Row:
    strip: Strip
    ink: Ink
    cover: Real
    path: Path
    runs: Runs
    half: float
    pen: Pen
    prior: StripPrior | None = None


def _guided(
    cover: Real, ink: Ink, strip: Strip, prior: StripPrior | None, settings: PriorSettings
) -> Real:
    """Return the evidence to follow, toned down where page reader or network see no trace.

    The re-render correction still fits the ink itself: evidence is coarser than ink.
    """
    if prior is not None:
        return guide(cover, prior, settings, gridded=ink.gridded())
    if strip.trace is None:
        return cover
    return np.asarray(cover * (0.3 + 0.7 * np.clip(strip.trace, 0.0, 1.0)))


def _view(row: _Row, evidence: Real) -> RowView:
    """Show a row to the search for ticks, which a network's guidance would hide."""
    cover, runs = row.cover, row.runs
    if row.prior is not None:
        cover = evidence
        runs = runs_on_path(cover, row.path.rows)
    return RowView(cover, row.path, runs, row.pen, row.strip.x0_mm * row.strip.px_per_mm)


def _claim(row: _Row) -> Claim:
    """Make a row's claim to the ink on its path."""
    strip, scale = row.strip, row.strip.px_per_mm
    return claim(
        row.runs,
        row.half,
        x0_px=strip.x0_mm * scale,
        y0_px=strip.y0_mm * scale,
        baseline_px=strip.baseline_mm * scale,
    )


def _territories(strips: Sequence[Strip]) -> list[tuple[int, int]]:
    """Return the rows of each strip between the baselines of the rows above and below."""
    levels = sorted(strip.baseline_mm for strip in strips)
    territories = []
    for strip in strips:
        above = max((y for y in levels if y < strip.baseline_mm - 1.0), default=-1e6)
        below = min((y for y in levels if y > strip.baseline_mm + 1.0), default=1e6)
        ends = (np.array([above + 1.0, below - 1.0]) - strip.y0_mm) * strip.px_per_mm
        territories.append((int(ends[0]), int(ends[1])))
    return territories


def _measure(
    strip: Strip,
    ink: Ink,
    cover: Real,
    path: Path,
    limits: tuple[int, int],
    prior: StripPrior | None,
) -> _Row:
    """Measure the runs along a path, and the pen; put bridges right."""
    runs = runs_on_path(cover, path.rows)
    if runs.seen.sum() < 10:
        return _Row(strip, ink, cover, path, runs, 1.3, Pen(1.3, 0.6, 1.0), prior)
    half, pen = measure_pen(ink, runs)
    path = take_detours(cover, path, strip.px_per_mm, limits)
    runs = runs_on_path(cover, path.rows)
    return _Row(strip, ink, cover, path, runs, half, pen, prior)


def _n_nodes(cover: Real) -> int:
    return NODES_PER_COLUMN * (cover.shape[1] - 1) + 1


def _at_nodes(shown: Mask, n: int) -> Mask:
    """Repeat a mask of columns for their nodes."""
    return np.repeat(shown, NODES_PER_COLUMN)[:n]


def _cut_nodes(cuts: Cuts, n: int) -> Mask:
    """Mark the node nearest to each cut."""
    mask = np.zeros(n, bool)
    for column in cuts.at:
        mask[int(np.clip(round(column * NODES_PER_COLUMN), 0, n - 1))] = True
    return mask


def _fill(line: F64, shown: Mask, cuts: Cuts) -> F64:
    """Replace nodes of hidden columns: linear between known ones, level up to a cut."""
    n = len(line)
    known = _at_nodes(shown, n) & np.isfinite(line)
    filled = line.copy()
    edges = [0, *(int(np.ceil(c * NODES_PER_COLUMN)) for c in cuts.at), n]
    for start, stop in pairwise(edges):
        inside = np.flatnonzero(known[start:stop]) + start
        if len(inside):
            filled[start:stop] = np.interp(np.arange(start, stop), inside, line[inside])
    lost = ~np.isfinite(filled)
    if lost.any() and not lost.all():
        filled[lost] = np.interp(np.flatnonzero(lost), np.flatnonzero(~lost), filled[~lost])
    return filled


def _picture(ink: Ink, owned: Claim, shown: Mask, pen: Pen) -> Picture:
    """Cut out the pixels near the stroke."""
    height = ink.darkness.shape[0]
    margin = 3.0 * pen.blur + 3.0
    top = minimum_filter1d(np.where(shown, owned.runs.top, np.inf), 3)
    bottom = maximum_filter1d(np.where(shown, owned.runs.bottom, -np.inf), 3)
    first = np.where(
        shown, np.clip(np.floor(np.maximum(top - margin, owned.first)), 0, height - 1), 1.0
    ).astype(np.intp)
    last = np.where(
        shown, np.clip(np.ceil(np.minimum(bottom + margin, owned.last)), 0, height - 1), 0.0
    ).astype(np.intp)
    pixels = stroke.window(first, last)
    backdrop = ink.backdrop[pixels.row, pixels.owner]
    cover = ink.darkness[pixels.row, pixels.owner] - backdrop
    return Picture(pixels, cover, 1.0 - backdrop, ink.noise)


def _row_trace(strip: Strip, line: F64, shown: Mask, sigma: F64 | None) -> RowTrace:
    """Convert a centre line in strip pixels to page millimetres."""
    visible = _at_nodes(shown, len(line)) & np.isfinite(line)
    line = np.where(_near(visible, round(_BRIDGE_MM * strip.px_per_mm)), line, np.nan)
    if sigma is None:
        sigma = np.where(visible, 1.0, 10.0)
    return RowTrace(
        row=strip.row,
        x0_mm=strip.x0_mm,
        step_mm=1.0 / (NODES_PER_COLUMN * strip.px_per_mm),
        y_mm=strip.y0_mm + line / strip.px_per_mm,
        sigma_mm=sigma / strip.px_per_mm,
        visible=visible,
    )


def _near(visible: Mask, reach: int) -> Mask:
    """Return where a visible node lies within `reach` nodes."""
    near: Mask = maximum_filter1d(visible.astype(np.uint8), 2 * reach + 1).astype(bool)
    return near
