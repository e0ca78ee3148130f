"""Random pages and random damage, as wide as real ones: what learned parts are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.synth.artefacts import Step
from cinc_ecg.synth.settings import (
    A4_MM,
    LETTER_MM,
    GridSettings,
    LayoutSettings,
    PageSettings,
    PaperSettings,
    PenSettings,
    Rgb,
    ScaleSettings,
    SeparatorSettings,
    TextSettings,
)
from cinc_ecg.synth.text import DEFAULT_FONTS
from cinc_ecg.synth.textures import DEFAULT_BACKGROUNDS

Rng = np.random.Generator
T = TypeVar("T")

#: Grid colours (1 mm, 5 mm) of everyday pages; the published benchmark has its own.
DEFAULT_GRIDS: dict[str, tuple[Rgb, Rgb]] = {
    "red": ((252, 219, 214), (243, 34, 30)),
    "pink": ((250, 222, 228), (236, 140, 160)),
    "orange": ((252, 226, 196), (240, 150, 60)),
    "green": ((206, 232, 206), (80, 160, 90)),
    "blue": ((206, 222, 246), (90, 130, 210)),
    "grey": ((222, 222, 222), (150, 150, 150)),
    "black": ((176, 176, 176), (24, 24, 24)),
    "brown": ((230, 210, 196), (168, 112, 84)),
}
DEFAULT_PAPERS: tuple[Rgb, ...] = (
    (255, 255, 254),
    (253, 250, 240),
    (255, 244, 240),
    (240, 242, 246),
    (226, 224, 220),
)
_INKS: tuple[Rgb, ...] = ((0, 0, 0), (38, 38, 38), (20, 20, 60), (60, 40, 30), (70, 70, 70))
_WIDE_MM = (330.0, 200.0)
_SCALE_TEXTS = (
    ("{s:g} mm/s", "{g:g} mm/mV"),
    ("{s:g}mm/sec  {g:g}mm/mV  0.05-150Hz",),
    ("Speed: {s:g} mm/s", "Gain: {g:g} mm/mV"),
    ("{s:g} mm/s   {g:g} mm/mV   ~ 0.15 - 40 Hz   50 Hz",),
)


def draw_settings(rng: Rng, template: str | None = None) -> PageSettings:
    """Draw a page: layout, scale, grid, pen, fonts, paper; seldom things stay seldom.

    Args:
        rng: Source of all chance.
        template: A layout's name, or None for the standard one or any other.
    """
    name = template or _pick(
        rng, ["3x4+1", *TEMPLATES], [0.35, *[0.65 / len(TEMPLATES)] * len(TEMPLATES)]
    )
    scale = _scale(rng)
    paper = _paper(rng)
    grid = _grid(rng)
    pen = _pen(rng, paper, grid)
    if rng.random() < 0.04:
        paper, grid, pen = _dark(rng, paper, grid, pen)
    ink = pen.colour if rng.random() < 0.5 else _contrasting(paper.colour, rng)
    return PageSettings(
        paper=paper,
        grid=grid,
        layout=_layout(rng, name, paper, scale),
        scale=scale,
        pen=pen,
        text=_text(rng, ink, scale),
        separators=SeparatorSettings(
            style=_pick(rng, ["bar", "pair", "dotted", "full", "none"], [0.5, 0.1, 0.1, 0.1, 0.2]),
            width_mm=rng.uniform(0.3, 0.9),
            height_mm=rng.uniform(4, 12),
        ),
    )


def draw_steps(rng: Rng, severity: float = 0.5) -> list[Step]:
    """Draw the damage of one page: a clean export, a scan, a photograph, a fax.

    Args:
        rng: Source of all chance.
        severity: 0 (hardly any) to 1 (as bad as it gets).
    """
    steps: list[Step] = []
    how: str = _pick(rng, ["export", "scan", "photo", "fax"], [0.2, 0.4, 0.35, 0.05])
    for name, chance, parameters in _wear(rng, severity):
        if how != "export" and rng.random() < chance * (0.4 + severity):
            steps.append(Step(name, parameters))
    if how == "photo":
        steps.append(_photo(rng, severity))
        if rng.random() < 0.2:
            steps.append(Step("motion", {"length_px": rng.uniform(1.5, 2 + 5 * severity)}))
        if rng.random() < 0.12:
            steps.append(Step("moire", {"strength": rng.uniform(0.02, 0.05 + 0.15 * severity)}))
    elif how == "scan":
        steps.append(Step("rotate", {"max_deg": 1 + 8 * severity, "colour": _surround(rng)}))
        steps.append(Step("blur", {"sigma_px": rng.uniform(0.3, 0.5 + 0.8 * severity)}))
        steps.append(Step("noise", {"sigma": rng.uniform(0.5, 3 + 25 * severity**2)}))
        if rng.random() < 0.25:
            steps.append(Step("grey", {"contrast": rng.uniform(0.7, 1.3)}))
    elif how == "fax":
        steps.append(Step("rotate", {"max_deg": 2.0, "colour": (255, 255, 255)}))
        steps.append(Step("fax", {"dpi_factor": rng.uniform(0.6, 1.0)}))
    if rng.random() < 0.25:
        steps.append(Step("down_up", {"factor": rng.uniform(1 - 0.5 * severity, 1.0)}))
    if rng.random() < 0.5:
        steps.append(Step("jpeg", {"quality": int(rng.uniform(90 - 70 * severity, 96))}))
    return steps


def _pick(rng: Rng, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    p = None if weights is None else np.asarray(weights) / np.sum(weights)
    return options[int(rng.choice(len(options), p=p))]


def _scale(rng: Rng) -> ScaleSettings:
    gain = _pick(rng, [10.0, 5.0, 20.0, 2.5], [0.75, 0.14, 0.08, 0.03])
    return ScaleSettings(
        mm_per_s=_pick(rng, [25.0, 50.0, 12.5], [0.84, 0.12, 0.04]),
        mm_per_mv=gain,
        chest_mm_per_mv=gain / 2 if rng.random() < 0.06 else None,
        pulse=_pick(rng, ["left", "right", "none"], [0.65, 0.15, 0.2]),
        pulse_width_mm=_pick(rng, [5.0, 2.5], [0.85, 0.15]),
        clip_mm=rng.uniform(12, 25) if rng.random() < 0.04 else None,
    )


def _paper(rng: Rng) -> PaperSettings:
    dpi = _pick(rng, [200.0, 300.0, 150.0, 100.0], [0.5, 0.2, 0.2, 0.1])
    if rng.random() < 0.3:
        dpi = float(np.exp(rng.uniform(np.log(72), np.log(400))))
    return PaperSettings(
        size_mm=_pick(rng, [LETTER_MM, A4_MM, _WIDE_MM], [0.5, 0.4, 0.1]),
        dpi=dpi,
        colour=_pick(rng, DEFAULT_PAPERS, [0.5, 0.15, 0.15, 0.1, 0.1]),
    )


def _grid(rng: Rng) -> GridSettings:
    names = list(DEFAULT_GRIDS)
    minor, major = DEFAULT_GRIDS[_pick(rng, names, [0.3, 0.2, *[0.5 / 6] * (len(names) - 2)])]
    paleness = rng.uniform(0, 0.6)
    lines = _pick(rng, ["both", "minor", "major"], [0.9, 0.05, 0.05])
    return GridSettings(
        style=_pick(rng, ["solid", "dotted", "dots", "none"], [0.78, 0.1, 0.06, 0.06]),
        minor=lines != "major",
        major=lines != "minor",
        minor_colour=_mix(minor, (255, 255, 255), paleness * 0.5),
        major_colour=_mix(major, (255, 255, 255), paleness),
        minor_width_mm=rng.uniform(0.08, 0.2),
        major_width_mm=rng.uniform(0.12, 0.35),
        offset_mm=(rng.uniform(0, 5), rng.uniform(0, 5)),
    )


def _pen(rng: Rng, paper: PaperSettings, grid: GridSettings) -> PenSettings:
    colour = _pick(rng, _INKS)
    if rng.random() < 0.08:
        colour = _mix(grid.major_colour, (0, 0, 0), rng.uniform(0.3, 0.7))
    return PenSettings(
        width_mm=float(np.exp(rng.uniform(np.log(0.15), np.log(0.6)))),
        colour=colour,
        density=rng.uniform(0.75, 1.0),
        fade=rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0,
        breaks=rng.uniform(0, 1) if rng.random() < 0.15 else 0.0,
    )


def _dark(
    rng: Rng, paper: PaperSettings, grid: GridSettings, pen: PenSettings
) -> tuple[PaperSettings, GridSettings, PenSettings]:
    """A monitor in dark mode: bright trace, dim grid, black ground."""
    ground: Rgb = _pick(rng, [(0, 0, 0), (16, 20, 28), (30, 30, 30)])
    line = _pick(rng, [(40, 90, 50), (70, 70, 80), (110, 110, 110)])
    trace: Rgb = _pick(rng, [(60, 255, 90), (240, 240, 240), (255, 230, 80), (90, 220, 255)])
    return (
        replace(paper, colour=ground),
        replace(grid, minor_colour=_mix(line, ground, 0.6), major_colour=line),
        replace(pen, colour=trace),
    )


def _layout(rng: Rng, name: str, paper: PaperSettings, scale: ScaleSettings) -> LayoutSettings:
    template = TEMPLATES[name]
    height = paper.size_mm[1]
    top = rng.uniform(30, 70 if len(template.all_rows) > 6 else 95) / 215.9 * height
    bottom = height - rng.uniform(14, 30)
    leads = [lead for row in template.rows for lead in row]
    shuffled = tuple(leads[k] for k in rng.permutation(len(leads)))
    spare = scale.pulse_width_mm + 1 if scale.pulse == "left" else 3
    return LayoutSettings(
        template=name,
        columns=_pick(rng, ["sequential", "simultaneous"], [0.7, 0.3]),
        order=shuffled if rng.random() < 0.1 else None,
        left_mm=spare + rng.uniform(1, 12),
        right_mm=rng.uniform(3, 12) + (scale.pulse_width_mm if scale.pulse == "right" else 0),
        top_mm=top,
        bottom_mm=bottom,
        inverted_sign=bool(rng.random() < 0.8),
    )


def _text(rng: Rng, ink: Rgb, scale: ScaleSettings) -> TextSettings:
    stated: tuple[str, ...] | None = None
    if rng.random() < 0.6:
        parts = _pick(rng, _SCALE_TEXTS)
        stated = tuple(part.format(s=scale.mm_per_s, g=scale.mm_per_mv) for part in parts)
    return TextSettings(
        font=_pick(rng, DEFAULT_FONTS),
        colour=ink,
        name_height_mm=rng.uniform(2.6, 5.0),
        name_position=_pick(rng, ["below", "above", "inside", "left"], [0.4, 0.35, 0.2, 0.05]),
        name_style=_pick(rng, ["plain", "upper", "lead", "colon"], [0.7, 0.15, 0.05, 0.1]),
        show_names=bool(rng.random() < 0.96),
        show_header=bool(rng.random() < 0.85),
        show_scale=bool(rng.random() < 0.85),
        header_height_mm=rng.uniform(2.4, 4.0),
        scale_text=stated,
    )


def _wear(rng: Rng, severity: float) -> list[tuple[str, float, dict[str, Any]]]:
    """What may have happened to the paper before it was scanned: name, chance, parameters."""
    return [
        ("handwriting", 0.2, {"strokes": int(rng.integers(1, 12)), "words": int(rng.integers(4))}),
        ("stain", 0.12, {"strength": rng.uniform(0.1, 0.3 + 0.5 * severity)}),
        ("fading", 0.15, {"strength": rng.uniform(0.1, 0.3 + 0.5 * severity)}),
        ("fold", 0.15, {"folds": int(rng.integers(1, 4))}),
        ("crumple", 0.15, {"strength": rng.uniform(0.02, 0.04 + 0.14 * severity)}),
        ("occlusion", 0.05, {"count": int(rng.integers(1, 4))}),
        ("colour_cast", 0.4, {"strength": rng.uniform(0.02, 0.05 + 0.25 * severity)}),
        ("light_gradient", 0.2, {"low": rng.uniform(0.6, 1.0), "high": rng.uniform(1.0, 1.15)}),
    ]


def _photo(rng: Rng, severity: float) -> Step:
    """A photograph of random size whose faults grow with the severity."""
    width = rng.uniform(1600, 3200)
    return Step(
        "photograph",
        {
            "size_px": (round(width), round(width / rng.uniform(1.25, 1.4))),
            "fill": (0.75, 0.98),
            "corner_shift": 0.01 + 0.06 * severity,
            "rotation_deg": 2 + 10 * severity,
            "curl": 0.001 + 0.011 * severity,
            "light": (rng.uniform(0.6, 0.95), rng.uniform(1.0, 1.15)),
            "shadow": rng.uniform(0, 0.1 + 0.5 * severity),
            "psf_px": (0.4, 0.7 + 1.2 * severity),
            "noise": (1.0, 3 + 10 * severity),
            "jpeg": int(rng.uniform(90 - 55 * severity, 95)),
            "backgrounds": DEFAULT_BACKGROUNDS,
        },
    )


def _mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    red, green, blue = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _contrasting(ground: Rgb, rng: Rng) -> Rgb:
    return (225, 225, 225) if sum(ground) < 300 else _pick(rng, _INKS)


def _surround(rng: Rng) -> Rgb:
    return _pick(rng, [(255, 255, 255), (0, 0, 0), (128, 128, 128), (235, 232, 225)])
