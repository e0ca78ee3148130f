"""A clean 12-lead drawing of a signal on standard paper."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.leads import LEADS
from cinc_ecg.types import Signal

_MINOR, _MAJOR, _INK = (255, 226, 226), (246, 178, 178), (20, 20, 60)
_MM_PER_S, _MM_PER_MV = 25.0, 10.0
_MARGIN_MM, _ROW_MM = 10.0, 30.0
_SHIFT = 4


def draw_signal(
    signal: Signal, *, px_per_mm: float = 6.0, max_s: float = 10.0
) -> NDArray[np.uint8]:
    """Draw every lead over its whole duration, two columns of rows, at 25 mm/s and 10 mm/mV.

    Args:
        signal: Any leads; a NaN lifts the pen.
        px_per_mm: Resolution.
        max_s: Longest stretch drawn.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    shown_s = min(max_s, max(signal.duration_s, 1.0))
    columns = 2 if len(signal.leads) > 6 else 1
    rows = -(-len(signal.leads) // columns)
    panel_mm = 5.0 * np.ceil(shown_s * _MM_PER_S / 5.0) + 10.0
    size_mm = (2 * _MARGIN_MM + columns * panel_mm, 2 * _MARGIN_MM + rows * _ROW_MM)
    canvas = _paper(size_mm, px_per_mm)
    for index, lead in enumerate(_in_order(signal)):
        column, row = divmod(index, rows)
        corner = (_MARGIN_MM + column * panel_mm, _MARGIN_MM + (row + 0.5) * _ROW_MM)
        _draw_lead(canvas, signal, lead, corner, px_per_mm, shown_s)
    caption = f"{_MM_PER_S:g} mm/s   {_MM_PER_MV:g} mm/mV   {signal.fs_hz:g} Hz"
    where = (round(_MARGIN_MM * px_per_mm), round((size_mm[1] - 3.0) * px_per_mm))
    _text(canvas, caption, where, px_per_mm)
    return canvas


def _in_order(signal: Signal) -> Iterator[int]:
    """Yield columns of the signal: standard leads first in their order, then the others."""
    known = [signal.leads.index(lead) for lead in LEADS if lead in signal.leads]
    yield from known
    yield from (k for k in range(len(signal.leads)) if k not in known)


def _paper(size_mm: tuple[float, float], px_per_mm: float) -> NDArray[np.uint8]:
    width, height = (round(side * px_per_mm) for side in size_mm)
    canvas = np.full((height, width, 3), 255, np.uint8)
    for step, colour in ((1, _MINOR), (5, _MAJOR)):
        canvas[:, np.rint(np.arange(0, size_mm[0], step) * px_per_mm).astype(int)] = colour
        canvas[np.rint(np.arange(0, size_mm[1], step) * px_per_mm).astype(int)] = colour
    return canvas


def _draw_lead(
    canvas: NDArray[np.uint8],
    signal: Signal,
    index: int,
    corner_mm: tuple[float, float],
    px_per_mm: float,
    shown_s: float,
) -> None:
    values = np.asarray(signal.samples_mv[: round(shown_s * signal.fs_hz), index], dtype=float)
    half_mv = 0.48 * _ROW_MM / _MM_PER_MV
    centre = _window_centre(values, half_mv)
    x = (corner_mm[0] + np.arange(len(values)) / signal.fs_hz * _MM_PER_S) * px_per_mm
    y = (corner_mm[1] - (values - centre) * _MM_PER_MV) * px_per_mm
    finite = np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.r_[False, finite, False].astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        points = np.rint(np.c_[x, y][start:stop] * (1 << _SHIFT)).astype(np.int32)
        weight = max(1, round(0.25 * px_per_mm))
        cv2.polylines(canvas, [points], False, _INK, weight, cv2.LINE_AA, _SHIFT)
    where = (round((corner_mm[0] + 1) * px_per_mm), round((corner_mm[1] - 10.5) * px_per_mm))
    _text(canvas, signal.leads[index], where, px_per_mm)


def _window_centre(values: NDArray[np.floating], half_mv: float) -> float:
    """Return the level drawn at the middle of the row: 0 mV unless the lead would leave it."""
    finite = values[np.isfinite(values)]
    if not len(finite) or np.abs(finite).max() <= half_mv:
        return 0.0
    low, high = np.percentile(finite, [1, 99])
    return float((low + high) / 2) if max(abs(low), abs(high)) > half_mv else 0.0


def _text(canvas: NDArray[np.uint8], text: str, where: tuple[int, int], px_per_mm: float) -> None:
    shown = text.encode("ascii", "replace").decode()
    scale = px_per_mm / 10.0
    cv2.putText(canvas, shown, where, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
