"""Pages to learn from: drawn from signals with exact truth, or pictures placed by the digitizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.config import PageOptions
from cinc_ecg.digitization.pipeline import DigitizeConfig
from cinc_ecg.digitization.vector_digitize import digitize_source
from cinc_ecg.errors import RecordError
from cinc_ecg.io.images import read_image
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.synth.artefacts import apply
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.synth.variety import draw_settings, draw_steps
from cinc_ecg.types import FloatArray, Layout, PageGeometry, Signal

#: Shorter signals say nothing about a heart.
_MIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """A picture of a page and what is known about it.

    Attributes:
        pixels: (height, width, 3) uint8.
        geometry: Page millimetres to pixels.
        layout: Panels.
        signal: Target: NaN where not printed.
        trace_mm: The pen's way per panel, or None where only the signal is known.
    """

    pixels: NDArray[np.uint8]
    geometry: PageGeometry
    layout: Layout
    signal: Signal
    trace_mm: tuple[FloatArray, ...] | None = None


def draw_page(signal: Signal, options: PageOptions, rng: np.random.Generator) -> Page:
    """Draw one page of a signal, its first `page_s` seconds.

    Raises:
        RecordError: the signal is shorter than a second or empty.
    """
    part = signal.samples_mv[: round(options.page_s * signal.fs_hz)]
    if len(part) < _MIN_S * signal.fs_hz or not np.isfinite(part).any():
        raise RecordError("fewer than one second of signal; nothing to print")
    template = str(rng.choice(list(options.layouts)))
    settings = with_values(
        draw_settings(rng, template) if options.style == "vary" else PageSettings(),
        {"layout.template": template, "paper.dpi": float(rng.uniform(*options.dpi))},
    )
    image, truth = render(
        Signal(part, signal.fs_hz, signal.leads), settings, seed=int(rng.integers(2**31))
    )
    if options.style == "vary" and options.severity > 0:
        image, truth = apply(image, truth, draw_steps(rng, options.severity), rng)
    return Page(image.pixels, truth.geometry, truth.layout, truth.signal, truth.trace_mm)


def placed_picture(path: Path, signal: Signal) -> Page:
    """Read a picture and let the classical digitizer say where its traces are.

    Args:
        path: The picture; its first page is taken.
        signal: The record's signal.

    Returns:
        The page; its target is NaN wherever the layout prints nothing, and it has no pen's way.

    Raises:
        ImageError, DigitizationError: the picture cannot be read or placed.
    """
    image = read_image(path)
    config = DigitizeConfig(fs_hz=signal.fs_hz, duration_s=signal.duration_s)
    result = digitize_source(image, config=config)
    return Page(
        image.pixels, result.geometry, result.layout, printed_part(signal, result.layout), None
    )


def printed_part(signal: Signal, layout: Layout) -> Signal:
    """Return the signal with NaN wherever no panel of the layout prints it."""
    samples = np.full_like(signal.samples_mv, np.nan)
    for panel in layout.panels:
        if panel.lead not in signal.leads:
            continue
        start = max(round(panel.start_s * signal.fs_hz), 0)
        stop = round((panel.start_s + panel.duration_s) * signal.fs_hz)
        column = signal.leads.index(panel.lead)
        samples[start:stop, column] = signal.samples_mv[start:stop, column]
    return Signal(samples, signal.fs_hz, signal.leads)


def printed_windows(layout: str, duration_s: float) -> dict[str, tuple[float, float]]:
    """Return start and length in seconds of each lead's longest print in a named layout."""
    template = TEMPLATES[layout]
    column_s = duration_s / template.n_columns
    windows = {
        lead: (column * column_s, column_s)
        for row in template.rows
        for column, lead in enumerate(row)
    }
    return windows | dict.fromkeys(template.rhythm, (0.0, duration_s))
