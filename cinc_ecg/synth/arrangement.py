"""Where everything stands on the page: panels, pulses, separators and the pen's way, all in page mm."""

from __future__ import annotations

from dataclasses import dataclass

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
        ConfigError: Unknown template, an order that does not fit it, or too many baselines or too few.
    """
    template = _template(settings)
    baselines = _baselines(template, settings)
    columns = template.n_columns
    width_s = _printed_s(signal, settings)
    column_s = settings.layout.column_s or width_s / columns
    column_mm = column_s * settings.scale.mm_per_s
    panels, windows = [], []
    half_mm = _half_height(baselines)
    for row, leads in enumerate(template.all_rows):
        rhythm = row >= len(template.rows)
        for column, lead in enumerate(leads):
            if lead not in signal.leads:
                continue
            seconds = (column_s * columns) if rhythm else column_s
            sequential = settings.layout.columns == "sequential" and not rhythm
            start = int(column * column_s * signal.fs_hz + 1e-6) if sequential else 0
            stop = min(start + int(seconds * signal.fs_hz + 1e-6), len(signal.samples_mv))
            if stop <= start:
                continue
            x0 = settings.layout.left_mm + column * column_mm
            windows.append((start, stop))
            panels.append(
                Panel(
                    lead=lead,
                    row=row,
                    box_mm=(
                        x0,
                        baselines[row] - half_mm,
                        x0 + (stop - start) / signal.fs_hz * settings.scale.mm_per_s,
                        baselines[row] + half_mm,
                    ),
                    start_s=start / signal.fs_hz,
                    duration_s=(stop - start) / signal.fs_hz,
                    mm_per_s=settings.scale.mm_per_s,
                    mm_per_mv=_gain(lead, settings),
                    baseline_mm=baselines[row],
                    rhythm=rhythm,
                    inverted=template.cabrera and lead == "aVR" and settings.layout.inverted_sign,
                )
            )
    layout = Layout(
        name=template.name if settings.layout.order is None else "rows",
        panels=tuple(panels),
        cabrera=template.cabrera,
        simultaneous=settings.layout.columns == "simultaneous" or columns == 1,
    )
    traces = tuple(
        _trace(signal, panel, window, settings.scale.clip_mm)
        for panel, window in zip(panels, windows, strict=True)
    )
    return Arrangement(
        layout,
        tuple(windows),
        traces,
        _pulses(layout, baselines, settings),
        _separators(layout, settings),
        baselines,
    )


def printed_signal(
    signal: Signal, arrangement: Arrangement, clip_mm: float | None = None
) -> Signal:
    """Return `signal` with NaN wherever no panel prints it, and clipped where the writer saturated."""
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
    rows = tuple(tuple(order[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True))
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


def _half_height(baselines: tuple[float, ...]) -> float:
    """Half the row distance: the panels' nominal height above and below the baseline."""
    return float(np.diff(baselines).min()) / 2 if len(baselines) > 1 else 20.0


def _printed_s(signal: Signal, settings: PageSettings) -> float:
    layout = settings.layout
    room = settings.paper.size_mm[0] - layout.left_mm - layout.right_mm
    return min(signal.duration_s, room / settings.scale.mm_per_s)


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
    for panel, after in zip(layout.panels[:-1], layout.panels[1:], strict=True):
        if panel.row == after.row:
            half = (
                style.height_mm / 2
                if style.style != "full"
                else panel.box_mm[3] - panel.baseline_mm
            )
            x = after.box_mm[0]
            marks.append(Separator(x, panel.baseline_mm - half, panel.baseline_mm + half))
    return tuple(marks)
