"""Where everything stands on the page: panels, pulses, separators, the pen's way; in page mm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from cinc_ecg.errors import ConfigError
from cinc_ecg.layouts import TEMPLATES, LayoutTemplate
from cinc_ecg.leads import LIMB_LEADS
from cinc_ecg.synth.settings import LETTER_MM, PageSettings
from cinc_ecg.types import FloatArray, Layout, Panel, Pulse, Separator, Signal

#: Baselines of the standard page (three rows and a rhythm strip) on letter paper.
_STANDARD_MM = (90.0, 126.0, 162.0, 195.0)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The places of all marks that depend on the signal; `windows` are sample ranges per panel."""

    layout: Layout
    windows: tuple[tuple[int, int], ...]
    traces_mm: tuple[FloatArray, ...]
    pulses: tuple[Pulse, ...]
    separators: tuple[Separator, ...]
    baselines_mm: tuple[float, ...]


def arrange(signal: Signal, settings: PageSettings) -> Arrangement:
    """Place the leads of `signal` on the page described by `settings`.

    Args:
        signal: Any leads, rate and length; NaN lifts the pen. Leads it lacks are not printed.
        settings: The page.

    Raises:
        ConfigError: Unknown template, an order that does not fit it, or too many baselines or too
            few.
    """
    template = _template(settings)
    baselines = _baselines(template, settings)
    column_s = settings.layout.column_s or _printed_s(signal, settings) / template.n_columns
    panels: list[Panel] = []
    windows: list[tuple[int, int]] = []
    for row, leads in enumerate(template.all_rows):
        for column, lead in enumerate(leads):
            window = _window(signal, settings, template, row, column, column_s)
            if lead in signal.leads and window[1] > window[0]:
                x0 = settings.layout.left_mm + column * column_s * settings.scale.mm_per_s
                panels.append(_panel(lead, row, x0, window, signal.fs_hz, baselines, settings))
                windows.append(window)
    layout = Layout(
        name=template.name if settings.layout.order is None else "rows",
        panels=tuple(
            replace(
                panel,
                rhythm=panel.row >= len(template.rows),
                inverted=template.cabrera and panel.lead == "aVR" and settings.layout.inverted_sign,
            )
            for panel in panels
        ),
        cabrera=template.cabrera,
        simultaneous=settings.layout.columns == "simultaneous" or template.n_columns == 1,
    )
    traces = tuple(
        _trace(signal, panel, window, settings.scale.clip_mm)
        for panel, window in zip(layout.panels, windows, strict=True)
    )
    pulses = _pulses(layout, baselines, settings)
    marks = _separators(layout, settings)
    return Arrangement(layout, tuple(windows), traces, pulses, marks, baselines)


def printed_signal(
    signal: Signal, arrangement: Arrangement, clip_mm: float | None = None
) -> Signal:
    """Return `signal`, NaN wherever no panel prints it, clipped where the writer saturated."""
    samples = np.full(signal.samples_mv.shape, np.nan, np.float32)
    for panel, (start, stop) in zip(arrangement.layout.panels, arrangement.windows, strict=True):
        column = signal.leads.index(panel.lead)
        values = signal.samples_mv[start:stop, column]
        if clip_mm is not None:
            limit = clip_mm / panel.mm_per_mv
            values = np.clip(values, -limit, limit)
        samples[start:stop, column] = values
    return Signal(samples, signal.fs_hz, signal.leads)


def _template(settings: PageSettings) -> LayoutTemplate:
    name = settings.layout.template
    if name not in TEMPLATES:
        raise ConfigError(f"layout {name!r} is not known; use one of {', '.join(TEMPLATES)}")
    template = TEMPLATES[name]
    order = settings.layout.order
    if order is None:
        return template
    sizes = [len(row) for row in template.rows]
    if len(order) != sum(sizes):
        raise ConfigError(f"layout.order has {len(order)} leads, {name} has room for {sum(sizes)}")
    edges = np.cumsum([0, *sizes])
    rows = tuple(tuple(order[a:b]) for a, b in pairwise(edges))
    return LayoutTemplate(name, rows, template.rhythm, template.cabrera)


def _baselines(template: LayoutTemplate, settings: PageSettings) -> tuple[float, ...]:
    n_rows = len(template.all_rows)
    layout = settings.layout
    if layout.baselines_mm is not None:
        if len(layout.baselines_mm) != n_rows:
            raise ConfigError(
                f"layout.baselines_mm has {len(layout.baselines_mm)} values, "
                f"{template.name} has {n_rows} rows"
            )
        return layout.baselines_mm
    stretch = settings.paper.size_mm[1] / LETTER_MM[1]
    if n_rows == len(_STANDARD_MM) and layout.top_mm is None and layout.bottom_mm is None:
        return tuple(y * stretch for y in _STANDARD_MM)
    crowded = n_rows > len(_STANDARD_MM)
    top = layout.top_mm if layout.top_mm is not None else (50.0 if crowded else 90.0) * stretch
    bottom = layout.bottom_mm if layout.bottom_mm is not None else 195.0 * stretch
    return tuple(float(y) for y in np.linspace(top, bottom, n_rows))


def _window(
    signal: Signal,
    settings: PageSettings,
    template: LayoutTemplate,
    row: int,
    column: int,
    column_s: float,
) -> tuple[int, int]:
    """Samples printed in one cell; a rhythm row shows the whole width from the record's start."""
    rhythm = row >= len(template.rows)
    seconds = column_s * template.n_columns if rhythm else column_s
    sequential = settings.layout.columns == "sequential" and not rhythm
    start = int(column * column_s * signal.fs_hz + 1e-6) if sequential else 0
    stop = start + int(seconds * signal.fs_hz + 1e-6)
    return start, min(stop, len(signal.samples_mv))


def _panel(
    lead: str,
    row: int,
    x0_mm: float,
    window: tuple[int, int],
    fs_hz: float,
    baselines: tuple[float, ...],
    settings: PageSettings,
) -> Panel:
    duration_s = (window[1] - window[0]) / fs_hz
    half = _half_height(baselines)
    baseline = baselines[row]
    x1 = x0_mm + duration_s * settings.scale.mm_per_s
    return Panel(
        lead=lead,
        row=row,
        box_mm=(x0_mm, baseline - half, x1, baseline + half),
        start_s=window[0] / fs_hz,
        duration_s=duration_s,
        mm_per_s=settings.scale.mm_per_s,
        mm_per_mv=_gain(lead, settings),
        baseline_mm=baseline,
    )


def _half_height(baselines: tuple[float, ...]) -> float:
    """Half the row distance: the panels' nominal height above and below the baseline."""
    return float(np.diff(baselines).min()) / 2 if len(baselines) > 1 else 20.0


def _printed_s(signal: Signal, settings: PageSettings) -> float:
    layout = settings.layout
    room = settings.paper.size_mm[0] - layout.left_mm - layout.right_mm
    fits = room / settings.scale.mm_per_s
    if fits < signal.duration_s:
        # Devices print whole or half seconds.
        fits = max(np.floor(fits * 2) / 2, min(fits, 0.5))
    return float(min(signal.duration_s, fits))


def _gain(lead: str, settings: PageSettings) -> float:
    chest = settings.scale.chest_mm_per_mv
    return settings.scale.mm_per_mv if chest is None or lead in LIMB_LEADS else chest


def _trace(
    signal: Signal, panel: Panel, window: tuple[int, int], clip_mm: float | None
) -> FloatArray:
    start, stop = window
    values = signal.samples_mv[start:stop, signal.leads.index(panel.lead)].astype(float)
    height = values * (-panel.mm_per_mv if panel.inverted else panel.mm_per_mv)
    if clip_mm is not None:
        height = np.clip(height, -clip_mm, clip_mm)
    x = panel.box_mm[0] + np.arange(stop - start) / signal.fs_hz * panel.mm_per_s
    return np.stack([x, panel.baseline_mm - height], -1)


def _pulses(
    layout: Layout, baselines: tuple[float, ...], settings: PageSettings
) -> tuple[Pulse, ...]:
    """Draw one pulse per row, its height the gain of the row's neighbouring panel."""
    scale = settings.scale
    if scale.pulse == "none":
        return ()
    pulses = []
    for row, baseline in enumerate(baselines):
        panels = [panel for panel in layout.panels if panel.row == row]
        if not panels:
            continue
        if scale.pulse == "left":
            x0 = panels[0].box_mm[0] - scale.pulse_width_mm
            gain = panels[0].mm_per_mv
        else:
            x0 = panels[-1].box_mm[2] + 1.0
            gain = panels[-1].mm_per_mv
        pulses.append(Pulse(x0, x0 + scale.pulse_width_mm, baseline, baseline - gain))
    return tuple(pulses)


def _separators(layout: Layout, settings: PageSettings) -> tuple[Separator, ...]:
    style = settings.separators
    if style.style == "none":
        return ()
    marks = []
    for panel, after in pairwise(layout.panels):
        if panel.row == after.row:
            half = (
                style.height_mm / 2
                if style.style != "full"
                else panel.box_mm[3] - panel.baseline_mm
            )
            x = after.box_mm[0]
            marks.append(Separator(x, panel.baseline_mm - half, panel.baseline_mm + half))
    return tuple(marks)
