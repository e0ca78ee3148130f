"""Written and ruled paper: letters, tables, music, notebooks, forms, millimetre paper."""

from __future__ import annotations

import numpy as np

from benchmarks.non_ecg.sheet import INK, Draw, Pixels, Rng, Sheet, wander

_PINK, _RED = (250, 215, 215), (235, 130, 130)
_BLUE = (170, 190, 230)


def _letter(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.write(120, 70, "Dear colleague,", 20)
    sheet.paragraph(rng, (120, 130, 1120, 700))
    sheet.write(120, 760, "Yours sincerely", 18)
    return sheet.pixels()


def _newspaper(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(243, 240, 230))
    sheet.write(60, 30, "The Evening Post", 60)
    for k in range(4):
        sheet.paragraph(rng, (60 + 290 * k, 150, 330 + 290 * k, 900), 12)
    sheet.lines(290, INK, 1, (48, 140, 1210, 910), rows=False)
    return sheet.pixels()


def _table(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.lines(44, INK, 2, (60, 80, 1180, 872), columns=False)
    for x in (60, 330, 560, 800, 1000, 1180):
        sheet.pen.line([(x, 80), (x, 872)], fill=INK, width=2)
    for r in range(18):
        for c, x in enumerate((70, 340, 570, 810, 1010)):
            text = f"Item {r}" if c == 0 else f"{rng.uniform(0, 999):.1f}"
            sheet.write(x, 92 + 44 * r, text, 18)
    return sheet.pixels()


def _spreadsheet(rng: Rng) -> Pixels:
    sheet = Sheet()
    for c in range(14):
        sheet.write(90 + 86 * c, 4, chr(65 + c), 13)
    for y in range(26, 940, 24):
        sheet.pen.line([(0, y), (1240, y)], fill=(210, 210, 210))
        for c in range(13):
            if rng.random() < 0.6:
                sheet.write(62 + 86 * c, y + 4, f"{rng.integers(0, 99999)}", 13)
    sheet.lines(86, (210, 210, 210), 1, (50, 0, 1240, 940), rows=False)
    return sheet.pixels()


def _music(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(253, 251, 245))
    for top in range(90, 860, 110):
        sheet.lines(10, INK, 1, (60, top, 1180, top + 40), columns=False)
        for x in range(60, 1181, 280):
            sheet.pen.line([(x, top), (x, top + 40)], fill=INK, width=2)
        for x in np.arange(90, 1170, 35):
            y = top + 5 * rng.integers(-1, 9)
            sheet.pen.ellipse([x, y - 5, x + 13, y + 5], fill=INK)
            sheet.pen.line([(x + 13, y), (x + 13, y - 34)], fill=INK, width=2)
    return sheet.pixels()


def _scribble(sheet: Sheet, rng: Rng, y: float, size: float, x0=90.0, x1=1150.0) -> None:
    """Write a line of joined-up nonsense."""
    x = x0
    while x < x1:
        n = int(rng.integers(30, 90))
        word = np.cumsum(np.full(n, 0.12 * size))
        curl = 0.5 * size * np.sin(np.arange(n) * rng.uniform(0.5, 0.8)) * rng.uniform(0.5, 1, n)
        sheet.curve(x + word + 0.3 * size * np.cos(np.arange(n) * 0.7), y + curl, (20, 30, 110))
        x += word[-1] + size


def _lined_notebook(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(252, 252, 247))
    sheet.lines(38, _BLUE, 2, (0, 80, 1240, 940), columns=False)
    sheet.pen.line([(110, 0), (110, 940)], fill=_RED, width=2)
    for y in range(110, 900, 38):
        _scribble(sheet, rng, y - 8, 17, 130)
    return sheet.pixels()


def _squared_notebook(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(252, 252, 247))
    sheet.lines(29, _BLUE)
    for y in range(100, 900, 58):
        _scribble(sheet, rng, y, 18, x1=rng.uniform(500, 1100))
    return sheet.pixels()


def _graph_paper(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.graph_paper(6.0, _PINK, _RED)
    return sheet.pixels()


def _graph_paper_green(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(246, 250, 244))
    sheet.graph_paper(4.5, (205, 230, 205), (120, 180, 120))
    sheet.write(70, 60, "Physics II, exercise 4", 26)
    return sheet.pixels()


def _graph_paper_notes(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.graph_paper(6.0, _PINK, _RED)
    for y in range(120, 880, 80):
        _scribble(sheet, rng, y, 20, x1=rng.uniform(400, 1100))
    return sheet.pixels()


def _graph_paper_waves(rng: Rng) -> Pixels:
    """Homework: one sine and one exponential on axes."""
    sheet = Sheet()
    sheet.graph_paper(6.0, (215, 225, 245), (130, 160, 220))
    sheet.pen.line([(90, 470), (1180, 470)], fill=INK, width=2)
    sheet.pen.line([(120, 60), (120, 900)], fill=INK, width=2)
    x = np.arange(120, 1150)
    sheet.curve(x, 470 - 200 * np.sin((x - 120) / 90), (160, 20, 20), 3)
    sheet.curve(x, 470 - 300 * np.exp(-(x - 120) / 300), (20, 80, 20), 3)
    sheet.write(300, 200, "y = sin x", 24)
    return sheet.pixels()


def _graph_paper_curve(rng: Rng) -> Pixels:
    """A barograph's sheet: one wandering line over a fine grid."""
    sheet = Sheet()
    sheet.graph_paper(6.0, _PINK, _RED)
    x = np.arange(60, 1180, 2)
    sheet.curve(x, 450 + 90 * wander(rng, len(x), 12), INK, 3)
    return sheet.pixels()


def _ledger(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(245, 250, 240))
    sheet.lines(26, (150, 190, 150), 1, columns=False)
    for x in (140, 700, 860, 1020, 1180):
        sheet.pen.line([(x, 0), (x, 940)], fill=(200, 90, 90), width=2)
    for y in range(32, 900, 26):
        sheet.write(20, y, f"{rng.integers(1, 29)}.{rng.integers(1, 13)}", 15)
        sheet.write(160, y, "carried forward" if rng.random() < 0.5 else "paid", 15)
        sheet.write(720 + 160 * rng.integers(3), y, f"{rng.uniform(1, 900):.2f}", 15)
    return sheet.pixels()


def _receipt(rng: Rng) -> Pixels:
    sheet = Sheet((520, 1300))
    sheet.write(130, 40, "SUPERMARKET", 30)
    for y in range(130, 1150, 32):
        sheet.write(50, y, f"Item no {rng.integers(1000)}", 20)
        sheet.write(390, y, f"{rng.uniform(0.5, 30):.2f}", 20)
    return sheet.pixels()


def _form(rng: Rng) -> Pixels:
    """A hospital form with the words of an ECG but no tracing."""
    sheet = Sheet()
    sheet.write(60, 40, "12-lead ECG report   25 mm/s   10 mm/mV", 24)
    for r, label in enumerate(("Name", "Date of birth", "Lead II", "V1", "V5", "aVR", "PR", "QT")):
        sheet.write(70, 130 + 90 * r, label, 22)
        sheet.pen.rectangle([300, 110 + 90 * r, 1150, 165 + 90 * r], outline=INK, width=2)
    return sheet.pixels()


def _crossword(rng: Rng) -> Pixels:
    sheet = Sheet((940, 940))
    sheet.lines(56, INK, 2, (50, 50, 890, 890))
    for r in range(15):
        for c in range(15):
            if rng.random() < 0.22:
                x, y = 50 + 56 * c, 50 + 56 * r
                sheet.pen.rectangle([x, y, x + 56, y + 56], fill=INK)
            elif rng.random() < 0.25:
                sheet.write(54 + 56 * c, 52 + 56 * r, str(rng.integers(1, 60)), 12)
    return sheet.pixels()


def _sudoku(rng: Rng) -> Pixels:
    sheet = Sheet((940, 940))
    sheet.lines(90, INK, 1, (65, 65, 875, 875))
    sheet.lines(270, INK, 5, (65, 65, 875, 875))
    for r in range(9):
        for c in range(9):
            if rng.random() < 0.4:
                sheet.write(95 + 90 * c, 80 + 90 * r, str(rng.integers(1, 10)), 46)
    return sheet.pixels()


def _calendar(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.write(480, 40, "March 2021", 44)
    sheet.lines(160, INK, 2, (60, 130, 1180, 930))
    for k in range(31):
        sheet.write(70 + 160 * (k % 7), 140 + 160 * (k // 7), str(k + 1), 26)
    return sheet.pixels()


PAPERS: dict[str, Draw] = {
    "letter": _letter,
    "newspaper": _newspaper,
    "table": _table,
    "spreadsheet": _spreadsheet,
    "music": _music,
    "lined notebook": _lined_notebook,
    "squared notebook": _squared_notebook,
    "graph paper": _graph_paper,
    "graph paper, title": _graph_paper_green,
    "graph paper, notes": _graph_paper_notes,
    "graph paper, functions": _graph_paper_waves,
    "graph paper, one curve": _graph_paper_curve,
    "ledger": _ledger,
    "receipt": _receipt,
    "ECG form without a tracing": _form,
    "crossword": _crossword,
    "sudoku": _sudoku,
    "calendar": _calendar,
}
