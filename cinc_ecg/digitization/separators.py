"""Ticks between the columns of a rectified page."""

from __future__ import annotations

from collections.abc import Sequence

from cinc_ecg.digitization.mark_ink import FloatMap, MarkInk
from cinc_ecg.digitization.strokes import Upright, upright_strokes
from cinc_ecg.types import LeadName, Pulse, Separator

#: Height of a tick in mm; longer lines are drawn through all rows and count as grid.
_TICK_MM = (3.0, 12.0)
_THICK_MM = 0.6
#: Ticks at more places (in bins of 2 mm) than this are remains of a grid.
_MOST_COLUMNS = 10


def find_separators(
    marks: MarkInk,
    pulses: Sequence[Pulse] = (),
    names: Sequence[LeadName] = (),
    strokes: Sequence[Upright] | None = None,
) -> list[Separator]:
    """Find the ticks between columns.

    Ticks of a page are alike in height and width and stand in rows and columns. Those that are
    clear by themselves (upright, of even width, both ends free) give the measure; strokes of that
    measure level with one or above one are ticks too, although a trace or a name touches them.

    Args:
        marks: Ink of the page from `mark_ink(..., reach_mm=STROKE_REACH_MM)`.
        pulses, names: Marks found already; their strokes are no ticks.
        strokes: The upright strokes of `marks`, if they are known already.
    """
    k = marks.px_per_mm
    strokes = upright_strokes(marks) if strokes is None else strokes
    loose = [u for u in strokes if _of_tick_size(u, k)]
    loose = [u for u in loose if not _in_marks(marks, u, pulses, names)]
    clear = [u for u in loose if _is_clear(marks.ink, u, k)]
    clear = [u for u in clear if any(_partners(u, other, k) for other in clear)]
    # Bars thicker than any trace need not be free at their ends.
    thick = [u for u in loose if u.width > _THICK_MM * k and u.lean < 0.06 * k]
    clear += [
        u for u in thick if u not in clear and sum(_partners(u, other, k) for other in thick) >= 2
    ]
    if not clear:
        return []
    measure = max(
        clear, key=lambda u: u.y1 - u.y0 + 10 * k * sum(_alike(u, other) for other in clear)
    )
    seeds = [u for u in clear if _alike(u, measure)]
    ticks = [
        u
        for u in loose
        if any(u is seed or (_alike(u, seed) and _partners(u, seed, k)) for seed in seeds)
    ]
    columns = {round(u.x / (2 * k)) for u in ticks}
    if len(columns) > _MOST_COLUMNS:
        return []
    ox, oy = marks.origin_mm
    found = [Separator(ox + u.x / k, oy + u.y0 / k, oy + (u.y1 - 1) / k) for u in ticks]
    return sorted(found, key=lambda tick: (tick.y0_mm, tick.x_mm))


def _of_tick_size(u: Upright, k: float) -> bool:
    return _TICK_MM[0] * k <= u.y1 - u.y0 <= _TICK_MM[1] * k and u.lean < 0.08 * k + 0.2


def _in_marks(
    marks: MarkInk, u: Upright, pulses: Sequence[Pulse], names: Sequence[LeadName]
) -> bool:
    """Tell whether a stroke is the side of a pulse or part of a name."""
    x0, y0, x1, y1 = marks.box_mm((u.x, u.y0, u.x, u.y1))
    for p in pulses:
        if min(abs(x0 - p.x0_mm), abs(x0 - p.x1_mm)) < 0.6 and y0 < p.foot_mm and y1 > p.top_mm:
            return True
    for name in names:
        left, top, right, bottom = name.box_mm
        if left - 0.3 < x1 and x0 < right + 0.3 and y0 > top - 0.5 and y1 < bottom + 0.5:
            return True
    return False


def _is_clear(ink: FloatMap, u: Upright, k: float) -> bool:
    """Tell whether a stroke is a bar: blunt ends with nothing beside or beyond them."""
    half = max(round(0.4 * u.width), 1)
    x, y0, y1 = round(u.x), round(u.y0), round(u.y1)
    skip = max(round(0.2 * k), 2)
    beyond = [
        ink[max(y0 - skip - 1, 0) : max(y0 - skip, 0), max(x - half, 0) : x + half + 1],
        ink[y1 + skip - 1 : y1 + skip, max(x - half, 0) : x + half + 1],
    ]
    side = round(0.5 * u.width + 0.3 * k), round(0.5 * u.width + 0.7 * k)
    end = max(round(0.12 * (u.y1 - u.y0)), 2)
    beside = [
        ink[rows, max(x + step * side[step < 0], 0) : max(x + step * side[step > 0], 0) + 1]
        for rows in (slice(y0, y0 + end), slice(y1 - end, y1))
        for step in (-1, 1)
    ]
    return all(float(part.max(initial=0.0)) < 0.4 for part in (*beyond, *beside))


def _alike(a: Upright, b: Upright) -> bool:
    """Tell whether two strokes have the same height and width."""
    height = b.y1 - b.y0
    return abs(a.y1 - a.y0 - height) < 0.12 * height + 1 and abs(a.width - b.width) < 0.5 * b.width


def _partners(a: Upright, b: Upright, k: float) -> bool:
    """Tell whether two different strokes alike stand in one row or one column."""
    if a is b or not _alike(a, b):
        return False
    level = abs(a.y0 - b.y0) < 0.5 * k and abs(a.x - b.x) > 20 * k
    above = abs(a.x - b.x) < 0.5 * k and abs(a.y0 - b.y0) > 8 * k
    return level or above
