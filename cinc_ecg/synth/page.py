"""Render a signal as a printed page, and say exactly where everything was put."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.raster import blend, draw_box, draw_polyline
from cinc_ecg.synth.arrangement import Arrangement, arrange, printed_signal
from cinc_ecg.synth.header import invented_header
from cinc_ecg.synth.paper import draw_paper, page_geometry
from cinc_ecg.synth.settings import PageSettings, Rgb
from cinc_ecg.synth.text import text_coverage
from cinc_ecg.types import Calibration, EcgImage, FloatArray, LeadName, PageTruth, Signal

Box = tuple[float, float, float, float]

#: The pulse and the name stand out a little from the trace.
_PULSE_PEN = 1.5
_NAME_GAP_MM = 4.1
#: Fast strokes are this long per sample when `PenSettings.fade` takes half of its ink.
_FADE_MM = 1.0
_BREAKS_PER_MM = 0.1
_BREAK_MM = 0.25


def render(
    signal: Signal,
    settings: PageSettings | None = None,
    *,
    seed: int = 0,
    header: Sequence[str] | None = None,
) -> tuple[EcgImage, PageTruth]:
    """Print `signal` on a flat page.

    Args:
        signal: Leads by name, any rate; NaN lifts the pen.
        settings: The page; the defaults are the Challenge's standard page.
        seed: Decides the invented header and the pen's breaks.
        header: Lines of the header block, a tab moving to the next third of the page; None invents
            them.

    Returns:
        The picture and its truth; the truth's geometry has a node on every crossing of the 5 mm
        grid lines.

    Raises:
        ConfigError: Settings that contradict each other or name unknown things.
    """
    settings = settings or PageSettings()
    rng = np.random.default_rng(seed)
    plan = arrange(signal, settings)
    sheet = _Sheet(settings, draw_paper(settings))
    sheet.draw_separators(plan)
    sheet.draw_traces(plan, rng)
    sheet.draw_pulses(plan)
    names = sheet.write_names(plan)
    sheet.write_texts(plan, invented_header(signal, rng) if header is None else header)
    truth = PageTruth(
        signal=printed_signal(signal, plan, settings.scale.clip_mm),
        layout=plan.layout,
        geometry=page_geometry(settings),
        calibration=Calibration(
            settings.scale.mm_per_s, settings.scale.mm_per_mv, "header", "header"
        ),
        trace_mm=plan.traces_mm,
        names=names,
        pulses=plan.pulses,
        separators=plan.separators,
        text_boxes_mm=tuple(sheet.text_boxes),
        settings={"page": asdict(settings), "seed": seed, "artefacts": []},
    )
    return EcgImage(sheet.pixels, source=f"page-{seed}", dpi=settings.paper.dpi), truth


class _Sheet:
    """The picture being drawn, with the map from page mm to its pixels."""

    def __init__(self, settings: PageSettings, pixels: NDArray[np.uint8]) -> None:
        self.settings = settings
        self.pixels = pixels
        self.scale = settings.paper.px_per_mm
        self.text_boxes: list[Box] = []

    def _px(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(points_mm, float) * self.scale - 0.5

    def _blank(self) -> NDArray[np.float32]:
        return np.zeros(self.pixels.shape[:2], np.float32)

    def draw_traces(self, plan: Arrangement, rng: np.random.Generator) -> None:
        pen = self.settings.pen
        ink = self._blank()
        for trace in plan.traces_mm:
            density = _density(trace, pen.density, pen.fade, pen.breaks, rng)
            draw_polyline(ink, self._px(trace), pen.width_mm * self.scale, density)
        blend(self.pixels, ink, pen.colour)

    def draw_pulses(self, plan: Arrangement) -> None:
        pen = self.settings.pen
        ink = self._blank()
        for pulse in plan.pulses:
            corners = [
                (pulse.x0_mm, pulse.foot_mm),
                (pulse.x0_mm, pulse.top_mm),
                (pulse.x1_mm, pulse.top_mm),
                (pulse.x1_mm, pulse.foot_mm),
            ]
            width = pen.width_mm * _PULSE_PEN * self.scale
            draw_polyline(ink, self._px(np.array(corners)), width, pen.density)
        blend(self.pixels, ink, pen.colour)

    def draw_separators(self, plan: Arrangement) -> None:
        style = self.settings.separators
        ink = self._blank()
        for mark in plan.separators:
            for x, y0, y1 in _strokes(
                mark.x_mm, mark.y0_mm, mark.y1_mm, style.style, style.width_mm
            ):
                half = style.width_mm / 2 if style.style == "bar" else style.width_mm / 6
                (left, top), (right, bottom) = self._px(np.array([[x - half, y0], [x + half, y1]]))
                draw_box(ink, (left, top, right, bottom))
        blend(self.pixels, ink, self.settings.pen.colour)

    def write_names(self, plan: Arrangement) -> tuple[LeadName, ...]:
        text = self.settings.text
        if not text.show_names:
            return ()
        names = []
        for panel in plan.layout.panels:
            label = _label(panel.lead, panel.inverted, text.name_style)
            x, y = panel.box_mm[0], panel.baseline_mm
            place = {
                "below": ((x + 0.3, y + _NAME_GAP_MM), "top"),
                "above": ((x + 0.3, y - 2 * _NAME_GAP_MM), "bottom"),
                "inside": ((x + 2.0, y - _NAME_GAP_MM), "bottom"),
                "left": ((x - 0.5, y - 1.0), "right"),
            }[text.name_position]
            box = self._write(label, place[0], text.name_height_mm, text.colour, place[1])
            if box is not None:
                names.append(LeadName(panel.lead, box, 1.0, panel.inverted))
        return tuple(names)

    def write_texts(self, plan: Arrangement, header: Sequence[str]) -> None:
        text, scale = self.settings.text, self.settings.scale
        width_mm, height_mm = self.settings.paper.size_mm
        lines: list[tuple[str, float, float]] = []
        if text.show_header:
            for number, line in enumerate(header):
                y = 2.3 + number * text.header_height_mm * 1.33
                for third, part in enumerate(line.split("\t")):
                    lines.append((part, 1.2 + third * width_mm * 0.27, y))
        if text.show_scale:
            y = min(plan.baselines_mm[-1] + 13.0, height_mm - 2 * text.header_height_mm)
            stated = text.scale_text or (f"{scale.mm_per_s:g}mm/s", f"{scale.mm_per_mv:g}mm/mV")
            lines += [(part, 50.0 + 50.0 * k, y) for k, part in enumerate(stated)]
        for part, x, y in lines:
            box = self._write(part, (x, y), text.header_height_mm, text.colour, "top")
            if box is not None:
                self.text_boxes.append(box)

    def _write(
        self, line: str, at_mm: tuple[float, float], size_mm: float, colour: Rgb, anchor: str
    ) -> Box | None:
        """Write one line with a corner ("top"/"bottom" left, "right" bottom) at `at_mm`."""
        ink = text_coverage(line, self.settings.text.font, round(size_mm * self.scale, 1))
        height, width = ink.shape
        if height == 0:
            return None
        x, y = (round(value) for value in self._px(np.array(at_mm)))
        x -= width if anchor == "right" else 0
        y -= 0 if anchor == "top" else height
        blend(self.pixels, ink, colour, (x, y))
        return (
            x / self.scale,
            y / self.scale,
            (x + width) / self.scale,
            (y + height) / self.scale,
        )


def _density(
    trace: FloatArray, base: float, fade: float, breaks: float, rng: np.random.Generator
) -> FloatArray | float:
    """Ink per sample: less on fast strokes (`fade`), none in short random gaps (`breaks`)."""
    if len(trace) == 0 or (fade == 0 and breaks == 0):
        return base
    step = np.hypot(*np.diff(trace, axis=0, append=trace[-1:]).T)
    step = np.nan_to_num(step)
    density = base * (1 - fade * step / (step + _FADE_MM))
    if breaks > 0:
        way = np.cumsum(step)
        n_gaps = rng.poisson(breaks * _BREAKS_PER_MM * way[-1])
        for at in rng.uniform(0, way[-1], n_gaps):
            density[np.abs(way - at) < _BREAK_MM * rng.uniform(0.5, 2)] *= rng.uniform(0, 0.5)
    return density


def _strokes(
    x: float, y0: float, y1: float, style: str, width_mm: float
) -> list[tuple[float, float, float]]:
    """Split a separator into its strokes (x, top, bottom)."""
    if style == "pair":
        return [(x - width_mm / 2, y0, y1), (x + width_mm / 2, y0, y1)]
    if style == "dotted":
        return [(x, y, min(y + 0.5, y1)) for y in np.arange(y0, y1, 1.0)]
    return [(x, y0, y1)]


def _label(lead: str, inverted: bool, style: str) -> str:
    text = {"upper": lead.upper(), "lead": f"Lead {lead}", "colon": f"{lead}:"}.get(style, lead)
    return f"-{text}" if inverted else text
