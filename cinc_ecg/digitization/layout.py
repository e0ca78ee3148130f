"""Which lead stands where: score arrangements of rows and columns against the marks on the page.

A hypothesis is a structure (so many grid rows, columns and rhythm rows) with a lead for every
panel: from the layout table, or, when the printed names are clear enough, straight from the names.
Each is scored by the lead names, the separators and how common it is; the posterior over all of
them gives the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from cinc_ecg.digitization.frame import Frame
from cinc_ecg.errors import LayoutNotFound
from cinc_ecg.layouts import TEMPLATES, LayoutTemplate
from cinc_ecg.leads import LEADS
from cinc_ecg.types import FloatArray, LeadName, Separator

#: Ends the name of an arrangement that is in no table: its leads are those of the printed names.
NAMED = "-named"
#: How much likelier than an unusual one each layout is before anything is seen (natural logarithm).
_PRIOR = {
    "3x4+1": 2.0,
    "3x4": 1.2,
    "3x4+3": 0.8,
    "6x2": 0.8,
    "12x1": 0.8,
    "6x2+1": 0.6,
    "3x4+2": 0.2,
}
_CABRERA_PRIOR = -1.5
#: Price per panel of taking the leads from the names alone: the table explains them for nothing.
_FREE_PRICE = 0.55
#: Price of an arrangement that is in no table.
_UNUSUAL_PRICE = 1.5
#: A name stands from this far left of its panel's start ...
_NAME_LEFT_MM = 6.0
_SEPARATOR_PLAY_MM = 2.5
_EVEN_PLAY_MM = 1.2
#: What a panel without a name costs on a page with at least so many sure names.
_UNNAMED_PRICE = 0.8
_NAMING_PAGE = 4
_SEEN_NAME = 0.3
#: What leaving out a detected row costs, and up to how many rows that is tried.
_DROPPED_ROW_PRICE = 2.5
_DROPPED_MARKED_PRICE = 8.0
_MAX_ROWS_TO_DROP_FROM = 15


@dataclass(frozen=True, slots=True)
class Place:
    """One panel of a hypothesis: lead, row index, start and end on the page."""

    lead: str
    row: int
    x0_mm: float
    x1_mm: float
    rhythm: bool
    inverted: bool


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An arrangement with its score (log-likelihood up to a constant)."""

    name: str
    places: tuple[Place, ...]
    n_columns: int
    cabrera: bool
    score: float


def hypotheses(
    frame: Frame,
    names: Sequence[LeadName],
    separators: Sequence[Separator],
    *,
    wanted: str | None = None,
) -> list[Hypothesis]:
    """Score all arrangements, best first.

    Args:
        frame: Rows and extent of the traces.
        names: Lead names found.
        separators: Column ticks found.
        wanted: Restrict to this layout name.

    Raises:
        LayoutNotFound: No arrangement has as many rows as the page.
    """
    found = []
    for kept in _row_choices(len(frame.rows)):
        part = Frame(tuple(frame.rows[k] for k in kept), frame.x0_mm, frame.x1_mm)
        price = sum(
            _DROPPED_MARKED_PRICE if row.marked else _DROPPED_ROW_PRICE
            for k, row in enumerate(frame.rows)
            if k not in kept
        )
        for hypothesis in _for_rows(part, names, separators, wanted):
            places = tuple(replace(p, row=kept[p.row]) for p in hypothesis.places)
            found.append(replace(hypothesis, places=places, score=hypothesis.score - price))
    if not found:
        what = f"layout {wanted}" if wanted else "any known layout"
        raise LayoutNotFound(
            f"{len(frame.rows)} trace rows do not fit {what}; name the rows with --leads"
        )
    return sorted(found, key=lambda h: -h.score)


def _row_choices(n: int) -> list[tuple[int, ...]]:
    """All rows, and all but one or two of them: a line of text or a frame may pass for a row."""
    everything = tuple(range(n))
    choices = [everything]
    for dropped in (1, 2):
        if n - dropped >= 2 and n <= _MAX_ROWS_TO_DROP_FROM:
            choices += [
                tuple(k for k in everything if k not in gone)
                for gone in combinations(everything, dropped)
                if dropped == 1 or set(gone) <= {0, 1, n - 2, n - 1}
            ]
    return choices


def _for_rows(
    frame: Frame, names: Sequence[LeadName], separators: Sequence[Separator], wanted: str | None
) -> list[Hypothesis]:
    """Score the arrangements that use exactly these rows."""
    n = len(frame.rows)
    row_of = _rows_of_names(frame, names)
    found = []
    for template in TEMPLATES.values():
        if len(template.all_rows) == n and (wanted is None or template.name == wanted):
            found.append(_from_template(frame, template, names, row_of, separators))
    if wanted is None:
        for n_columns in (1, 2, 3, 4, 6):
            for n_rhythm in range(min(4, n)):
                free = _from_names(frame, n_columns, n_rhythm, names, row_of, separators)
                if free is not None:
                    found.append(free)
    return found


def posterior(found: Sequence[Hypothesis]) -> FloatArray:
    """Turn scores into probabilities."""
    scores = np.array([h.score for h in found])
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def _rows_of_names(frame: Frame, names: Sequence[LeadName]) -> list[int]:
    """Assign each name to a row: all stand at one offset above or below their rows."""
    baselines = np.array([row.baseline_mm for row in frame.rows])
    centres = np.array([(n.box_mm[1] + n.box_mm[3]) / 2 for n in names])
    if len(names) == 0:
        return []
    spacing = float(np.median(np.diff(baselines))) if len(baselines) > 1 else 25.0
    weights = np.array([n.score**2 for n in names])
    offsets = np.linspace(-0.65, 0.65, 53) * spacing
    support = []
    for offset in offsets:
        distance = np.abs(centres[:, None] - baselines[None, :] - offset).min(1)
        support.append(float((weights * np.exp(-0.5 * (distance / 2.0) ** 2)).sum()))
    # Between equally good offsets the smaller one wins: names belong to the nearest row.
    offset = offsets[int(np.argmax(np.array(support) - 1e-3 * np.abs(offsets)))]
    distance = np.abs(centres[:, None] - baselines[None, :] - offset)
    nearest = distance.argmin(1)
    return [int(r) if distance[k, r] < 0.45 * spacing else -1 for k, r in enumerate(nearest)]


def _column_edges(frame: Frame, n_columns: int, separators: Sequence[Separator]) -> FloatArray:
    """Divide the frame evenly, then move inner edges onto separators that stand close by."""
    edges = np.linspace(frame.x0_mm, frame.x1_mm, n_columns + 1)
    ticks = np.array([s.x_mm for s in separators])
    for k in range(1, n_columns):
        close = ticks[np.abs(ticks - edges[k]) < _SEPARATOR_PLAY_MM] if len(ticks) else ticks
        # Columns of equal duration are equally wide to a hair: ticks overrule that only clearly.
        if len(close) >= 2 and abs(np.median(close) - edges[k]) > _EVEN_PLAY_MM:
            edges[k] = float(np.median(close))
    return edges


def _evidence(
    frame: Frame, edges: FloatArray, names: Sequence[LeadName], row_of: Sequence[int]
) -> tuple[dict[tuple[int, int], dict[str, float]], float]:
    """Collect the names near each panel's start, and the weight of sure names elsewhere."""
    cells: dict[tuple[int, int], dict[str, float]] = {}
    astray = 0.0
    width = float(edges[1] - edges[0])
    for name, row in zip(names, row_of, strict=True):
        x = name.box_mm[0]
        column = int(np.searchsorted(edges, x + _NAME_LEFT_MM, side="right")) - 1
        into = x - edges[min(max(column, 0), len(edges) - 2)]
        if row < 0 or not 0 <= column < len(edges) - 1 or into > max(0.4 * width, 12.0):
            if name.score > 0.6:
                astray += name.score
            continue
        cell = cells.setdefault((row, column), {})
        cell[name.lead] = max(cell.get(name.lead, 0.0), name.score)
    return cells, astray


def _log_odds(score: float) -> float:
    """Weight of a name found with this score: 0 for a doubtful one, about 3 for a sure one."""
    score = min(score, 0.97)
    return max(0.0, float(np.log(score / (1 - score)))) if score > 0.5 else 0.4 * score


def _names_panels(names: Sequence[LeadName]) -> bool:
    """Tell whether the page has names enough to miss one where a hypothesis has a panel."""
    return sum(1 for name in names if name.score > 0.6) >= _NAMING_PAGE


def _cell_score(cell: dict[str, float], lead: str, *, expected: bool = False) -> float:
    """Weigh a panel's names for a lead; `expected` says that the page names its panels."""
    if expected and max(cell.values(), default=0.0) < _SEEN_NAME:
        return -_UNNAMED_PRICE
    here = _log_odds(cell[lead]) + 0.5 if lead in cell else 0.0
    other = max((s for name, s in cell.items() if name != lead), default=0.0)
    if lead in cell and cell[lead] >= other:
        return here
    return here - _log_odds(other)


def _separator_score(edges: FloatArray, separators: Sequence[Separator]) -> float:
    """Weigh the ticks: on inner column edges for the structure, regular ones elsewhere against."""
    if not separators or len(separators) > 40:
        return 0.0
    inner = edges[1:-1]
    on = sum(
        1 for s in separators if len(inner) and np.abs(inner - s.x_mm).min() < _SEPARATOR_PLAY_MM
    )
    at_ends = sum(
        1 for s in separators if min(abs(s.x_mm - edges[0]), abs(s.x_mm - edges[-1])) < 8.0
    )
    off = len(separators) - on - at_ends
    return 0.35 * min(on, 8) - 0.35 * min(off, 8) - 0.3 * (len(inner) if on == 0 and off > 0 else 0)


def _from_template(
    frame: Frame,
    template: LayoutTemplate,
    names: Sequence[LeadName],
    row_of: Sequence[int],
    separators: Sequence[Separator],
) -> Hypothesis:
    edges = _column_edges(frame, template.n_columns, separators)
    cells, astray = _evidence(frame, edges, names, row_of)
    score = _PRIOR.get(template.name, 0.0) + (_CABRERA_PRIOR if template.cabrera else 0.0)
    score += _separator_score(edges, separators) - astray
    score += _rhythm_bonus(frame, len(template.rows), template.n_columns)
    places = []
    for r, leads in enumerate(template.all_rows):
        rhythm = r >= len(template.rows)
        for c, lead in enumerate(leads):
            score += _cell_score(cells.get((r, c), {}), lead, expected=_names_panels(names))
            x1 = float(edges[-1] if rhythm else edges[c + 1])
            inverted = template.cabrera and lead == "aVR"
            places.append(Place(lead, r, float(edges[c]), x1, rhythm, inverted))
        if rhythm:  # a second name further right contradicts a full-width strip
            for c in range(1, template.n_columns):
                score -= _log_odds(max(cells.get((r, c), {}).values(), default=0.0))
    return Hypothesis(template.name, tuple(places), template.n_columns, template.cabrera, score)


def _rhythm_bonus(frame: Frame, n_grid_rows: int, n_columns: int) -> float:
    """Reward a break in the spacing where the rhythm rows begin: it often marks them."""
    baselines = np.array([row.baseline_mm for row in frame.rows])
    gaps = np.diff(baselines)
    if n_columns == 1 or n_grid_rows == len(baselines) or len(gaps) < 3:
        return 0.0
    change = abs(gaps[n_grid_rows - 1] - np.median(gaps)) / np.median(gaps)
    return float(min(2.0 * change, 0.5))


def _from_names(
    frame: Frame,
    n_columns: int,
    n_rhythm: int,
    names: Sequence[LeadName],
    row_of: Sequence[int],
    separators: Sequence[Separator],
) -> Hypothesis | None:
    """Let the names alone say which lead is where; nameless panels get what is left."""
    n_grid = len(frame.rows) - n_rhythm
    if n_grid < 1 or n_grid * n_columns > len(LEADS) or (n_columns == 1 and n_rhythm > 1):
        return None
    edges = _column_edges(frame, n_columns, separators)
    cells, astray = _evidence(frame, edges, names, row_of)
    panels = [(r, c) for r in range(n_grid) for c in range(n_columns)]
    chosen = _assign(panels, cells)
    if chosen is None:
        return None
    score = (
        _separator_score(edges, separators) - astray - _UNUSUAL_PRICE - _FREE_PRICE * len(panels)
    )
    score += _rhythm_bonus(frame, n_grid, n_columns)
    places = []
    for (r, c), (lead, gain) in zip(panels, chosen, strict=True):
        score += gain
        places.append(Place(lead, r, float(edges[c]), float(edges[c + 1]), False, False))
    for r in range(n_grid, len(frame.rows)):
        cell = cells.get((r, 0), {})
        lead = max(cell, key=lambda k: cell[k], default="II")
        score += _cell_score(cell, lead) - _FREE_PRICE
        for c in range(1, n_columns):
            score -= _log_odds(max(cells.get((r, c), {}).values(), default=0.0))
        places.append(Place(lead, r, float(edges[0]), float(edges[-1]), True, False))
    name = f"{n_grid}x{n_columns}" + (f"+{n_rhythm}" if n_rhythm else "") + NAMED
    return Hypothesis(name, tuple(places), n_columns, False, score)


def _assign(
    panels: Sequence[tuple[int, int]], cells: dict[tuple[int, int], dict[str, float]]
) -> list[tuple[str, float]] | None:
    """Give each panel its own lead so that the names' total weight is largest (Hungarian)."""
    candidates = list(LEADS) + sorted({n for cell in cells.values() for n in cell} - set(LEADS))
    weights = np.zeros((len(panels), len(candidates)))
    for k, panel in enumerate(panels):
        for j, lead in enumerate(candidates):
            weights[k, j] = _cell_score(cells.get(panel, {}), lead)
    rows, columns = linear_sum_assignment(-weights)
    named = sum(
        1
        for k, j in zip(rows, columns, strict=True)
        if cells.get(panels[k], {}).get(candidates[j], 0) > 0.5
    )
    if named < max(1, len(panels) - 2 if len(panels) > 4 else len(panels)):
        return None  # too many panels would be named by elimination
    return [(candidates[j], float(weights[k, j])) for k, j in zip(rows, columns, strict=True)]


def named_rows(frame: Frame, leads: Sequence[str]) -> Hypothesis:
    """Arrange leads that a user names in reading order: one per row, or one per panel.

    Raises:
        LayoutNotFound: The number of names is no multiple of the number of rows.
    """
    n = len(frame.rows)
    if len(leads) == 0 or len(leads) % n:
        raise LayoutNotFound(
            f"{len(leads)} leads were named for {n} trace rows; name one per row, or one per panel"
        )
    n_columns = len(leads) // n
    edges = np.linspace(frame.x0_mm, frame.x1_mm, n_columns + 1)
    places = [
        Place(
            lead,
            k // n_columns,
            float(edges[k % n_columns]),
            float(edges[k % n_columns + 1]),
            False,
            False,
        )
        for k, lead in enumerate(leads)
    ]
    return Hypothesis(f"{n}x{n_columns}-user", tuple(places), n_columns, False, 0.0)
