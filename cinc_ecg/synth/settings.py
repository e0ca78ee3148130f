"""How a page is printed: one frozen dataclass per concern, collected in `PageSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from cinc_ecg.errors import ConfigError

Rgb = tuple[int, int, int]

LETTER_MM = (279.4, 215.9)
A4_MM = (297.0, 210.0)


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """The sheet: size (width, height), resolution of the picture, colour."""

    size_mm: tuple[float, float] = LETTER_MM
    dpi: float = 200.0
    colour: Rgb = (255, 255, 255)

    @property
    def px_per_mm(self) -> float:
        """Scale of the flat page."""
        return self.dpi / 25.4

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        width, height = (round(side * self.px_per_mm) for side in self.size_mm)
        return width, height


@dataclass(frozen=True, slots=True)
class GridSettings:
    """The printed grid.

    Attributes:
        style: "solid" lines, "dotted" lines, "dots" at the crossings only, or "none".
        minor, major: Whether the 1 mm and the 5 mm lines are there.
        offset_mm: Page position of one major crossing.
    """

    style: Literal["solid", "dotted", "dots", "none"] = "solid"
    minor: bool = True
    major: bool = True
    minor_colour: Rgb = (252, 219, 214)
    major_colour: Rgb = (243, 34, 30)
    minor_width_mm: float = 0.1764
    major_width_mm: float = 0.1764
    offset_mm: tuple[float, float] = (0.0, 0.9)


@dataclass(frozen=True, slots=True)
class LayoutSettings:
    """Which lead stands where.

    Attributes:
        template: A name of `cinc_ecg.layouts.TEMPLATES`.
        columns: "sequential" (each column continues the one before) or "simultaneous" (all start at
            0 s).
        column_s: Seconds per column; None = what fits, at most the record over the columns.
        order: Leads in reading order replacing the template's (row by row, rhythm rows not
            included), or None.
        left_mm: Page x of the first sample.
        right_mm: Margin kept free at the right.
        baselines_mm: Page y of each row's 0 mV, or None = evenly from `top_mm` to `bottom_mm`.
        top_mm, bottom_mm: First and last baseline; None = the standard's, scaled to the page.
        inverted_sign: Print Cabrera's aVR as "-aVR".
    """

    template: str = "3x4+1"
    columns: Literal["sequential", "simultaneous"] = "sequential"
    column_s: float | None = None
    order: tuple[str, ...] | None = None
    left_mm: float = 15.0
    right_mm: float = 8.0
    baselines_mm: tuple[float, ...] | None = None
    top_mm: float | None = None
    bottom_mm: float | None = None
    inverted_sign: bool = True


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """Paper speed, gain and the calibration pulse; `chest_mm_per_mv` overrides the gain of V leads.

    `clip_mm` cuts the trace at that distance from its baseline, as a saturated writer does.
    """

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0
    chest_mm_per_mv: float | None = None
    pulse: Literal["left", "right", "none"] = "left"
    pulse_width_mm: float = 5.0
    clip_mm: float | None = None


@dataclass(frozen=True, slots=True)
class PenSettings:
    """The trace's pen; `fade` 0..1 takes ink from fast strokes, `breaks` 0..1 leaves small gaps."""

    width_mm: float = 0.2646
    colour: Rgb = (38, 38, 38)
    density: float = 1.0
    fade: float = 0.0
    breaks: float = 0.0


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Lead names, header block (its lines are given to `render`) and calibration text.

    Attributes:
        font: File name of a font shipped with matplotlib, or "builtin" for Pillow's own.
        name_position: Where the lead name stands relative to the start of its panel.
        name_style: "plain" (aVR), "upper" (AVR), "lead" (Lead I), "colon" (V1:).
        show_header, show_scale, show_names: What is printed at all.
        scale_text: Printed speed and gain; None = from the calibration.
    """

    font: str = "DejaVuSans.ttf"
    colour: Rgb = (0, 0, 0)
    name_height_mm: float = 3.75
    name_position: Literal["below", "above", "inside", "left"] = "below"
    name_style: Literal["plain", "upper", "lead", "colon"] = "plain"
    show_names: bool = True
    show_header: bool = True
    show_scale: bool = True
    header_height_mm: float = 3.75
    scale_text: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SeparatorSettings:
    """Marks between a row's columns: a bar, two bars, dotted, over the full height, or none."""

    style: Literal["bar", "pair", "dotted", "full", "none"] = "bar"
    width_mm: float = 0.76
    height_mm: float = 7.0


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Everything about a printed page; the defaults draw the Challenge's standard page."""

    paper: PaperSettings = field(default_factory=PaperSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    layout: LayoutSettings = field(default_factory=LayoutSettings)
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    pen: PenSettings = field(default_factory=PenSettings)
    text: TextSettings = field(default_factory=TextSettings)
    separators: SeparatorSettings = field(default_factory=SeparatorSettings)


def with_values(settings: PageSettings, values: Mapping[str, Any]) -> PageSettings:
    """Return settings with some fields replaced by dotted name, as in {"paper.dpi": 100}.

    Lists become tuples and whole numbers become floats where the field is one.

    Raises:
        ConfigError: A name is unknown (near matches are given) or a value has the wrong type.
    """
    known = {
        f"{part.name}.{entry.name}"
        for part in fields(settings)
        for entry in fields(getattr(settings, part.name))
    }
    for name, value in values.items():
        if name not in known:
            near = ", ".join(get_close_matches(name, known, 3, 0.4)) or ", ".join(sorted(known))
            raise ConfigError(f"page setting {name!r} is not known; did you mean {near}?")
        part_name, field_name = name.split(".")
        part = getattr(settings, part_name)
        fitting = _fitting(name, value, getattr(part, field_name))
        settings = replace(settings, **{part_name: replace(part, **{field_name: fitting})})
    return settings


def _fitting(name: str, value: Any, before: Any) -> Any:
    """Bring a value from YAML or the command line into the field's type."""
    if isinstance(value, list | tuple):
        value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    if isinstance(before, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if before is not None and value is not None and type(value) is not type(before):
        expected = type(before).__name__
        raise ConfigError(f"page setting {name!r} is {value!r}, but it must be a {expected}")
    return value
