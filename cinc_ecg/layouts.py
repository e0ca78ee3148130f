"""The layout table: which leads a page prints in which row and column."""

from __future__ import annotations

from dataclasses import dataclass

from cinc_ecg.leads import CABRERA_ORDER, CHEST_LEADS, LEADS, LIMB_LEADS


@dataclass(frozen=True, slots=True)
class LayoutTemplate:
    """A named arrangement of leads on a page.

    Attributes:
        name: Rows x columns + rhythm rows, as in "3x4+1"; Cabrera variants end in "-cabrera".
        rows: Leads of each row, left to right, without the rhythm rows.
        rhythm: Leads of the full-width rows at the bottom.
        cabrera: True when the limb leads stand in Cabrera order (aVR inverted).
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    rhythm: tuple[str, ...] = ()
    cabrera: bool = False

    @property
    def n_columns(self) -> int:
        """Number of columns of the grid rows."""
        return max(len(row) for row in self.rows)

    @property
    def all_rows(self) -> tuple[tuple[str, ...], ...]:
        """Every row from top to bottom, rhythm rows included."""
        return self.rows + tuple((lead,) for lead in self.rhythm)

    @property
    def leads(self) -> frozenset[str]:
        """Every lead that is printed."""
        return frozenset(lead for row in self.all_rows for lead in row)


def _by_columns(order: tuple[str, ...], n_rows: int) -> tuple[tuple[str, ...], ...]:
    """Fill an n_rows-high table column after column, the way devices print."""
    return tuple(tuple(order[row::n_rows]) for row in range(n_rows))


def _by_rows(order: tuple[str, ...], n_rows: int) -> tuple[tuple[str, ...], ...]:
    """Fill an n_rows-high table row after row (4x3: I II III / aVR aVL aVF / ...)."""
    n_columns = len(order) // n_rows
    return tuple(order[row * n_columns : (row + 1) * n_columns] for row in range(n_rows))


def _templates() -> dict[str, LayoutTemplate]:
    table = []
    for suffix, order, cabrera in (
        ("", LEADS, False),
        ("-cabrera", CABRERA_ORDER + CHEST_LEADS, True),
    ):
        for n_rows in (3, 6, 12, 4, 2):
            rows = (_by_rows if n_rows in (4, 2) else _by_columns)(order, n_rows)
            base = f"{n_rows}x{len(order) // n_rows}"
            rhythms: tuple[tuple[str, ...], ...] = ((),)
            if n_rows in (3, 6, 12):
                rhythms += (("II",),)
            if n_rows == 3:
                rhythms += (("V1",), ("V5",), ("II", "V5"), ("V1", "II"), ("V1", "II", "V5"))
            for rhythm in rhythms:
                name = base + (f"+{len(rhythm)}" if rhythm else "") + suffix
                if rhythm not in ((), ("II",), ("V1", "II", "V5"), ("II", "V5")):
                    name += "".join(f"-{lead}" for lead in rhythm)
                table.append(LayoutTemplate(name, rows, rhythm, cabrera))
    table.append(LayoutTemplate("6x1-limb", tuple((lead,) for lead in LIMB_LEADS)))
    table.append(LayoutTemplate("6x1-chest", tuple((lead,) for lead in CHEST_LEADS)))
    table.append(LayoutTemplate("3x2-limb", _by_columns(LIMB_LEADS, 3)))
    table.append(LayoutTemplate("3x2-chest", _by_columns(CHEST_LEADS, 3)))
    table.append(LayoutTemplate("3x1", (("I",), ("II",), ("III",))))
    return {template.name: template for template in table}


#: Every known template by name.
TEMPLATES: dict[str, LayoutTemplate] = _templates()
