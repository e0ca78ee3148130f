"""Charts and recordings of other things than the heart's voltage."""

from __future__ import annotations

import numpy as np

from benchmarks.non_ecg.sheet import INK, Draw, Pixels, Rgb, Rng, Sheet, wander

_HUES: tuple[Rgb, ...] = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40))
_GREY = (215, 215, 215)
_ELECTRODES = tuple(
    "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 Fz Cz Pz A1".split()  # noqa: SIM905
)
_BOX = (110.0, 60.0, 1190.0, 860.0)


def _axes(sheet: Sheet, pitch: float = 90.0) -> None:
    sheet.lines(pitch, _GREY, 1, _BOX)
    sheet.pen.rectangle(_BOX, outline=INK, width=2)
    for k in range(9):
        sheet.write(70, 850 - pitch * k, str(10 * k), 15)
        sheet.write(105 + pitch * k, 870, str(k), 15)


def _bars(rng: Rng) -> Pixels:
    sheet = Sheet()
    _axes(sheet)
    for k in range(12):
        top = rng.uniform(150, 800)
        sheet.pen.rectangle([140 + 86 * k, top, 195 + 86 * k, 860], fill=_HUES[k % 4])
    return sheet.pixels()


def _lines(rng: Rng) -> Pixels:
    sheet = Sheet()
    _axes(sheet)
    x = np.arange(110, 1190, 4)
    for colour in _HUES:
        sheet.curve(x, rng.uniform(300, 600) + 90 * wander(rng, len(x), 20), colour, 3)
    return sheet.pixels()


def _fine_grid_lines(rng: Rng) -> Pixels:
    sheet = Sheet()
    sheet.lines(18, (225, 225, 225), 1, _BOX)
    _axes(sheet)
    x = np.arange(110, 1190, 4)
    for k, colour in enumerate(_HUES):
        sheet.curve(x, 180 + 170 * k + 45 * wander(rng, len(x), 8), colour, 3)
    return sheet.pixels()


def _scatter(rng: Rng) -> Pixels:
    sheet = Sheet()
    _axes(sheet)
    for x, y in zip(rng.normal(640, 200, 400), rng.normal(450, 130, 400), strict=True):
        sheet.pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=_HUES[0])
    return sheet.pixels()


def _pie(rng: Rng) -> Pixels:
    sheet = Sheet()
    edges = np.r_[0, np.sort(rng.uniform(0, 360, 5)), 360]
    for k in range(6):
        sheet.pen.pieslice([280, 120, 960, 800], edges[k], edges[k + 1], fill=_HUES[k % 4])
    sheet.write(500, 40, "Market share", 34)
    return sheet.pixels()


def _stocks(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(18, 22, 30))
    sheet.lines(60, (45, 52, 64))
    price = 470 - np.cumsum(rng.normal(0, 9, 150))
    for k, level in enumerate(price):
        low, high = sorted(level + rng.normal(0, 12, 2))
        colour = (60, 190, 110) if rng.random() < 0.5 else (220, 70, 70)
        sheet.pen.line([(30 + 8 * k, low - 8), (30 + 8 * k, high + 8)], fill=colour)
        sheet.pen.rectangle([28 + 8 * k, low, 32 + 8 * k, high], fill=colour)
    return sheet.pixels()


def _eeg(rng: Rng) -> Pixels:
    """Twenty channels of an electroencephalogram without a grid."""
    sheet = Sheet()
    x = np.arange(80, 1200)
    for r, name in enumerate(
        [
            "Fp1",
            "Fp2",
            "F3",
            "F4",
            "C3",
            "C4",
            "P3",
            "P4",
            "O1",
            "O2",
            "F7",
            "F8",
            "T3",
            "T4",
            "T5",
            "T6",
            "Fz",
            "Cz",
            "Pz",
            "A1",
        ]
    ):
        y = 40 + 44 * r
        sheet.write(20, y - 8, name, 15)
        sheet.curve(x, y + 6 * wander(rng, len(x), 4) + 3 * rng.normal(size=len(x)), INK, 1)
    return sheet.pixels()


def _sleep(rng: Rng) -> Pixels:
    """A polysomnogram: channels over thin vertical lines each second."""
    sheet = Sheet()
    sheet.lines(38, (200, 215, 230), 1, rows=False)
    x = np.arange(80, 1220)
    for r, name in enumerate(["LOC", "ROC", "C3A2", "C4A1", "EMG", "Flow", "Chest", "Abd", "SpO2"]):
        y = 70 + 100 * r
        sheet.write(8, y - 8, name, 16)
        sheet.curve(x, y + 18 * wander(rng, len(x), 6.0 if r < 5 else 25.0), INK, 1)
    return sheet.pixels()


def _seismogram(rng: Rng) -> Pixels:
    """A drum recorder's sheet: many lines with a burst, no grid."""
    sheet = Sheet(colour=(250, 250, 245))
    x = np.arange(30, 1210)
    for r in range(24):
        burst = 1 + 9 * np.exp(-(((x - rng.uniform(0, 1200)) / 60) ** 2)) * (rng.random() < 0.3)
        sheet.curve(x, 40 + 37 * r + rng.normal(size=len(x)) * burst, INK, 1)
    return sheet.pixels()


def _fetal_monitor(rng: Rng) -> Pixels:
    """A cardiotocogram: fetal heart rate and uterine pressure on ruled paper."""
    sheet = Sheet(colour=(255, 252, 246))
    sheet.lines(12, (250, 220, 205), 1)
    sheet.lines(60, (235, 160, 130), 2)
    x = np.arange(0, 1240, 2)
    sheet.curve(x, 260 + 22 * wander(rng, len(x), 4) + 20 * wander(rng, len(x), 60), INK, 2)
    sheet.curve(x, 740 - 90 * np.abs(np.sin(x / 170)) ** 8 + 4 * rng.normal(size=len(x)), INK, 2)
    for y, text in ((150, "180"), (270, "140"), (390, "100"), (600, "100 mmHg")):
        sheet.write(500, y, text, 18)
    return sheet.pixels()


def _oscilloscope(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(8, 30, 30))
    sheet.lines(110, (60, 110, 100), 2, (70, 30, 1170, 910))
    x = np.arange(70, 1170)
    sheet.curve(x, 470 - 220 * np.sin(x / 40) * np.sin(x / 300), (120, 255, 140), 3)
    sheet.write(80, 5, "CH1 200 mV   5 ms", 18, (230, 230, 120))
    return sheet.pixels()


def _spirometry(rng: Rng) -> Pixels:
    """A flow-volume loop on fine graph paper."""
    sheet = Sheet()
    sheet.graph_paper(6.0, (225, 232, 245), (150, 170, 215))
    angle = np.linspace(0, np.pi, 200)
    x = 300 + 300 * (1 - np.cos(angle))
    sheet.curve(x, 450 - 330 * np.sin(angle) ** 0.6 * (1 - (x - 300) / 900), INK, 3)
    sheet.curve(x[::-1], 450 + 220 * np.sin(angle), INK, 3)
    sheet.write(330, 40, "Flow [l/s]   Volume [l]", 22)
    return sheet.pixels()


def _fever_chart(rng: Rng) -> Pixels:
    """A temperature chart from a ward: zigzag lines between dots on squared paper."""
    sheet = Sheet()
    sheet.lines(20, (190, 205, 225), 1, (120, 60, 1200, 900))
    sheet.lines(100, (90, 110, 150), 2, (120, 60, 1200, 900))
    for base, colour in ((300, (200, 30, 30)), (600, (30, 60, 190))):
        x = np.arange(130, 1190, 40)
        y = base + rng.normal(0, 50, len(x))
        sheet.curve(x, y, colour, 3)
        for a, b in zip(x, y, strict=True):
            sheet.pen.ellipse([a - 6, b - 6, a + 6, b + 6], fill=colour)
    for k in range(8):
        sheet.write(60, 80 + 100 * k, f"{42 - k} C", 18)
    return sheet.pixels()


def _tide_strips(rng: Rng) -> Pixels:
    """Four strips of a tide gauge on fine paper: slow waves, no spikes, no lead names."""
    sheet = Sheet(colour=(250, 253, 255))
    sheet.graph_paper(6.0, (215, 230, 240), (150, 185, 205))
    x = np.arange(40, 1200, 2)
    for r in range(4):
        sheet.curve(x, 130 + 220 * r + 60 * np.sin(x / 95 + r) + 6 * wander(rng, len(x), 20), INK)
        sheet.write(50, 30 + 220 * r, f"Station {r + 1}", 18)
    return sheet.pixels()


CHARTS: dict[str, Draw] = {
    "bar chart": _bars,
    "line chart": _lines,
    "line chart, fine grid": _fine_grid_lines,
    "scatter plot": _scatter,
    "pie chart": _pie,
    "stock chart": _stocks,
    "electroencephalogram": _eeg,
    "polysomnogram": _sleep,
    "seismogram": _seismogram,
    "cardiotocogram": _fetal_monitor,
    "oscilloscope": _oscilloscope,
    "spirometry": _spirometry,
    "fever chart": _fever_chart,
    "tide gauge": _tide_strips,
}
