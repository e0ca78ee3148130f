"""The grid of a vector page: families of equally spaced straight lines give the millimetre."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from cinc_ecg.io.pdf import PathObject
from cinc_ecg.types import FloatArray

PT_PER_MM = 72.0 / 25.4
_MIN_LINES = 8
#: Lines closer than this, in points, are one line drawn twice.
_SAME_PT = 0.02
_MAX_RESIDUAL = 0.06
#: Exports are scaled to their paper, but not beyond this factor of true size.
_MAX_SCALE = 2.2
_THIN_PT = 1.5


@dataclass(frozen=True, slots=True)
class StraightLine:
    """An axis-parallel line: `across` is its fixed coordinate, `low..high` its reach, in points."""

    vertical: bool
    across: float
    low: float
    high: float
    style: Hashable

    @property
    def length(self) -> float:
        """Length in points."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class VectorGrid:
    """Points per millimetre along x and y, the styles of the grid's lines, and where one lies."""

    pt_per_mm: tuple[float, float]
    styles: frozenset[Hashable]
    offset_pt: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Family:
    """Equally spaced parallel lines of one style."""

    style: Hashable
    pitch: float
    offset: float
    count: int


def straight_line(path: PathObject) -> StraightLine | None:
    """Return a path as an axis-parallel line, or None; thin filled boxes count as lines too."""
    low, high = path.points_pt.min(axis=0), path.points_pt.max(axis=0)
    size = high - low
    if len(path.points_pt) > (2 if path.stroke and not path.fill else 5):
        return None
    if min(size) > (_THIN_PT if path.fill else _SAME_PT) or max(size) <= 0:
        return None
    vertical = bool(size[1] > size[0])
    axis = 0 if vertical else 1
    style = (path.stroke, path.fill, round(path.width_pt, 2))
    return StraightLine(
        vertical,
        float(low[axis] + high[axis]) / 2,
        float(low[1 - axis]),
        float(high[1 - axis]),
        style,
    )


def find_vector_grid(lines: Sequence[StraightLine]) -> VectorGrid | None:
    """Find the grid among a page's straight lines.

    A family is a set of lines of one style at equal distances. Two pitches in the ratio 5 are the
    1 mm and the 5 mm lines; a single pitch is whichever of the two is nearer to true size.

    Returns:
        The grid, or None when no family of lines is regular in both directions.
    """
    scale, offset = [], []
    styles: set[Hashable] = set()
    for vertical in (True, False):
        families = _families([line for line in lines if line.vertical == vertical])
        if not families:
            return None
        pitch_mm = _millimetres(families)
        finest = min(families, key=lambda family: family.pitch)
        pt_per_mm = finest.pitch / pitch_mm
        if not 1 / _MAX_SCALE < pt_per_mm / PT_PER_MM < _MAX_SCALE:
            return None
        scale.append(pt_per_mm)
        offset.append(finest.offset)
        styles.update(family.style for family in families)
    return VectorGrid((scale[0], scale[1]), frozenset(styles), (offset[0], offset[1]))


def _millimetres(families: Sequence[_Family]) -> float:
    """Return how many millimetres apart the finest lines are: 1 or 5."""
    finest = min(family.pitch for family in families)
    if any(abs(family.pitch / finest - 5.0) < 0.05 for family in families):
        return 1.0
    return min((1.0, 5.0), key=lambda mm: abs(math.log(finest / mm / PT_PER_MM)))


def _families(lines: Sequence[StraightLine]) -> list[_Family]:
    by_style: dict[Hashable, list[StraightLine]] = defaultdict(list)
    for line in lines:
        by_style[line.style].append(line)
    found = []
    for style, members in by_style.items():
        longest = max(line.length for line in members)
        across = np.array([line.across for line in members if line.length > 0.3 * longest])
        comb = _fit_comb(across)
        if comb is not None and longest > 10 * comb[0]:
            found.append(_Family(style, *comb, len(across)))
    return found


def _fit_comb(positions: FloatArray) -> tuple[float, float] | None:
    """Return (pitch, offset) of equally spaced positions, gaps allowed, or None."""
    unique = np.unique(positions)
    if len(unique) > 1:
        unique = unique[np.r_[True, np.diff(unique) > _SAME_PT]]
    if len(unique) < _MIN_LINES:
        return None
    gaps = np.diff(unique)
    pitch = float(np.percentile(gaps, 20))
    steps = np.rint(gaps / pitch)
    if np.any(steps < 1) or np.mean(steps == 1) < 0.4:
        return None
    index = np.r_[0.0, np.cumsum(steps)]
    pitch, offset = np.polyfit(index, unique, 1)
    residual = float(np.std(unique - np.polyval((pitch, offset), index)))
    return (float(pitch), float(offset)) if residual < _MAX_RESIDUAL * pitch else None
