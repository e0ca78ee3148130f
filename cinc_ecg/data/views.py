"""What each view of a network is given: rectified pages, row crops, panel pictures, signals.

Rectified means: page millimetres map to pixels by one scale and shift per axis, the centre of the
first pixel being 0, so that `models.readout` can turn rows into millivolts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.pages import Page
from cinc_ecg.geometry import to_image
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.models.readout import print_geometry
from cinc_ecg.signals import resample
from cinc_ecg.types import FloatArray, PageGeometry, Panel, Signal

Arrays = dict[str, NDArray[np.generic]]
Box = tuple[float, float, float, float]

_MARGIN_MM = 2.0
#: Height of a row crop or panel picture over the distance between rows: most peaks stay inside.
_ROW_REACH = 1.9
#: The map from canvas to picture is computed at every eighth pixel and interpolated: pages bend
#: over centimetres.
_MAP_STEP_PX = 8
_SUBCOLUMNS = 4


@dataclass(frozen=True, slots=True)
class Canvas:
    """A page rectangle and the pixels it becomes.

    Attributes:
        box_mm: (x0, y0, x1, y1) on the page.
        size: (height, width) px.
    """

    box_mm: Box
    size: tuple[int, int]

    @property
    def px_per_mm(self) -> tuple[float, float]:
        """Scale in x and y."""
        x0, y0, x1, y1 = self.box_mm
        return self.size[1] / (x1 - x0), self.size[0] / (y1 - y0)

    @property
    def origin_px(self) -> tuple[float, float]:
        """Where page position (0, 0) mm falls."""
        sx, sy = self.px_per_mm
        return -self.box_mm[0] * sx - 0.5, -self.box_mm[1] * sy - 0.5

    def to_px(self, points_mm: FloatArray) -> FloatArray:
        """Map (..., 2) page positions to canvas pixels."""
        return np.asarray(points_mm, float) * self.px_per_mm + self.origin_px


def page_view(page: Page, model: ModelConfig, jitter: FloatArray | None = None) -> Arrays:
    """Return "image" (H, W, 3) uint8, row targets and the geometry of the whole page.

    Args:
        page: Picture and truth.
        model: Sizes.
        jitter: (4,) mm by which the canvas's edges are moved.
    """
    canvas = Canvas(_trace_box(page.layout.panels, jitter), model.image_size)
    sx, sy = canvas.px_per_mm
    geometry = print_geometry(
        page.layout,
        model.leads,
        px_per_mm=(sx, sy),
        origin_px=np.array(canvas.origin_px),
        n_samples=model.n_samples,
        fs_hz=model.fs_hz,
    )
    canvases = [canvas] * model.head.n_rows
    return {
        "image": rectify(page.pixels, page.geometry, canvas),
        **_row_targets(page, canvases),
        **geometry.as_batch(),
        **signal_targets(page.signal, model),
    }


def rows_view(page: Page, model: ModelConfig, jitter: FloatArray | None = None) -> Arrays:
    """Return "rows" (R, h, W, 3) uint8, a crop per row, "row_mask", and targets as page_view."""
    x0, _, x1, _ = _trace_box(page.layout.panels, jitter)
    dy = 0.0 if jitter is None else float(jitter[1])
    canvases: list[Canvas] = []
    pictures = np.full((model.head.n_rows, *model.image_size, 3), 255, np.uint8)
    used = np.zeros(model.head.n_rows, np.float32)
    for row in range(model.head.n_rows):
        panels = [panel for panel in page.layout.panels if panel.row == row]
        reach = _ROW_REACH * _half_height(page.layout.panels)
        middle = (panels[0].baseline_mm if panels else 0.0) + dy
        canvases.append(Canvas((x0, middle - reach, x1, middle + reach), model.image_size))
        if panels:
            pictures[row] = rectify(page.pixels, page.geometry, canvases[-1])
            used[row] = 1
    geometry = print_geometry(
        page.layout,
        model.leads,
        px_per_mm=canvases[0].px_per_mm,
        origin_px=np.array([canvas.origin_px for canvas in canvases]),
        n_samples=model.n_samples,
        fs_hz=model.fs_hz,
    )
    return {
        "rows": pictures,
        "row_mask": used,
        **_row_targets(page, canvases),
        **geometry.as_batch(),
        **signal_targets(page.signal, model),
    }


def panels_view(page: Page, model: ModelConfig, jitter: FloatArray | None = None) -> Arrays:
    """Return up to `n_panels` pictures of one lead each, in the order of the model's leads.

    A picture spans the model's `n_samples` from the panel's start; what the panel does not fill is
    white. Sample 0 of a lead's target is the panel's start. Keys: "panels" (P, h, w, 3) uint8,
    "panel_mask" (P,), "panel_lead" (P,), "signal_mv" and "visible" (leads, n_samples), and rows and
    geometry as in page_view, a picture's number standing for the row.
    """
    chosen = [
        (number, panel)
        for number, lead in enumerate(model.leads)
        if (panel := _shortest(page.layout.panels, lead)) is not None
    ][: model.n_panels]
    pictures = np.full((model.n_panels, *model.image_size, 3), 255, np.uint8)
    used = np.zeros(model.n_panels, np.float32)
    leads = np.zeros(model.n_panels, np.int64)
    values = np.zeros((len(model.leads), model.n_samples), np.float32)
    visible = np.zeros((len(model.leads), model.n_samples), bool)
    dx, dy = (0.0, 0.0) if jitter is None else (float(jitter[0]), float(jitter[1]))
    canvases: list[Canvas] = []
    for slot, (number, panel) in enumerate(chosen):
        x0 = panel.box_mm[0] + dx
        width_mm = model.n_samples / model.fs_hz * panel.mm_per_s
        reach = _ROW_REACH * _half_height(page.layout.panels)
        middle = panel.baseline_mm + dy
        canvas = Canvas((x0, middle - reach, x0 + width_mm, middle + reach), model.image_size)
        canvases.append(canvas)
        picture = rectify(page.pixels, page.geometry, canvas)
        end = canvas.to_px(np.array([panel.box_mm[2], 0.0]))[0]
        picture[:, max(int(end) + 1, 0) :] = 255
        pictures[slot], used[slot], leads[slot] = picture, 1, number
        part = _window(page.signal, panel)
        target = signal_targets(part, model)
        column = list(model.leads).index(panel.lead)
        values[column], visible[column] = target["signal_mv"][column], target["visible"][column]
    return {
        "panels": pictures,
        "panel_mask": used,
        "panel_lead": leads,
        "signal_mv": values,
        "visible": visible,
        **_panel_rows(page, model, [panel for _, panel in chosen], canvases),
    }


def _panel_rows(
    page: Page, model: ModelConfig, chosen: list[Panel], canvases: list[Canvas]
) -> Arrays:
    """Return row targets and geometry of single panels, each a row of its own that starts at 0."""
    if not chosen:
        return {}
    alone = [replace(panel, row=slot, start_s=0.0) for slot, panel in enumerate(chosen)]
    layout = replace(page.layout, panels=tuple(alone))
    places = [page.layout.panels.index(panel) for panel in chosen]
    ways = None if page.trace_mm is None else tuple(page.trace_mm[k] for k in places)
    # empty places lie anywhere: no panel refers to them
    filled = canvases + canvases[:1] * (model.n_panels - len(canvases))
    geometry = print_geometry(
        layout,
        model.leads,
        px_per_mm=filled[0].px_per_mm,
        origin_px=np.array([canvas.origin_px for canvas in filled]),
        n_samples=model.n_samples,
        fs_hz=model.fs_hz,
    )
    targets = _row_targets(replace(page, layout=layout, trace_mm=ways), filled)
    return {**targets, **geometry.as_batch()}


def signal_targets(signal: Signal, model: ModelConfig) -> Arrays:
    """Return "signal_mv" (leads, n_samples), 0 where unknown, and "visible", at the model's
    rate."""
    wanted = min(len(signal.samples_mv), int(np.ceil(model.n_samples / model.fs_hz * signal.fs_hz)))
    samples = (
        resample(signal.samples_mv[:wanted], signal.fs_hz, model.fs_hz, n_out=model.n_samples)
        if wanted > 1
        else np.full((model.n_samples, len(signal.leads)), np.nan)
    )
    columns = np.full((len(model.leads), model.n_samples), np.nan, np.float32)
    for number, lead in enumerate(model.leads):
        if lead in signal.leads:
            columns[number] = samples[:, signal.leads.index(lead)]
    visible = np.isfinite(columns)
    return {"signal_mv": np.where(visible, columns, 0).astype(np.float32), "visible": visible}


def rectify(pixels: NDArray[np.uint8], geometry: PageGeometry, canvas: Canvas) -> NDArray[np.uint8]:
    """Resample a page rectangle into a canvas; white outside the picture."""
    height, width = canvas.size
    columns = _every(width)
    rows = _every(height)
    xs = canvas.box_mm[0] + (columns + 0.5) / canvas.px_per_mm[0]
    ys = canvas.box_mm[1] + (rows + 0.5) / canvas.px_per_mm[1]
    coarse = to_image(geometry, np.stack(np.meshgrid(xs, ys), -1))
    across, down = _weights(columns, width), _weights(rows, height)
    maps = [(down @ coarse[..., k] @ across.T).astype(np.float32) for k in (0, 1)]
    shrink = np.array(geometry.px_per_mm) / canvas.px_per_mm
    if shrink.max() > 1.2:  # blur to the canvas's resolution, or thin lines flicker away
        sigma = 0.4 * np.sqrt(np.maximum(shrink**2 - 1, 1e-4))
        blurred = cv2.GaussianBlur(pixels, (0, 0), sigmaX=float(sigma[0]), sigmaY=float(sigma[1]))
        pixels = blurred.astype(np.uint8, copy=False)
    white = (255, 255, 255)
    canvas_pixels = cv2.remap(
        pixels, maps[0], maps[1], cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, white
    )
    return canvas_pixels.astype(np.uint8, copy=False)


def _row_targets(page: Page, canvases: list[Canvas]) -> Arrays:
    """Return "row_y" (R, W) px, the mean of the pen's y over each column, and "row_visible".

    Nothing where the pen's way is not known.
    """
    if page.trace_mm is None:
        return {}
    height, width = canvases[0].size
    row_y = np.zeros((len(canvases), width), np.float32)
    visible = np.zeros((len(canvases), width), bool)
    edges = (np.arange(width * _SUBCOLUMNS) + 0.5) / _SUBCOLUMNS - 0.5
    for panel, trace_mm in zip(page.layout.panels, page.trace_mm, strict=True):
        if panel.row >= len(canvases) or len(trace_mm) < 2:
            continue
        trace = canvases[panel.row].to_px(trace_mm)
        # NaN stays NaN in the interpolation: where the pen is lifted nothing is visible
        y = np.interp(edges, trace[:, 0], trace[:, 1], left=np.nan, right=np.nan)
        column = y.reshape(width, _SUBCOLUMNS).mean(1)
        seen = np.isfinite(column) & (column >= 0) & (column <= height - 1)
        row_y[panel.row, seen] = column[seen]
        visible[panel.row] |= seen
    return {"row_y": row_y, "row_visible": visible}


def _trace_box(panels: tuple[Panel, ...], jitter: FloatArray | None) -> Box:
    boxes = np.array([panel.box_mm for panel in panels])
    half = 0.4 * _half_height(panels)
    edges = np.array([*boxes[:, :2].min(0), *boxes[:, 2:].max(0)])
    edges += (-_MARGIN_MM, -half, _MARGIN_MM, half)
    x0, y0, x1, y1 = (float(v) for v in (edges if jitter is None else edges + jitter))
    return x0, y0, x1, y1


def _half_height(panels: tuple[Panel, ...]) -> float:
    """Half the distance between neighbouring rows, 20 mm where there is one row."""
    baselines = sorted({panel.baseline_mm for panel in panels})
    gaps = [b - a for a, b in pairwise(baselines) if b - a > 1.0]
    return min(gaps) / 2 if gaps else 20.0


def _shortest(panels: tuple[Panel, ...], lead: str) -> Panel | None:
    """Return a lead's short panel, not its rhythm strip, where it has both."""
    printed = [panel for panel in panels if panel.lead == lead]
    return min(printed, key=lambda panel: panel.duration_s, default=None)


def _window(signal: Signal, panel: Panel) -> Signal:
    start = round(panel.start_s * signal.fs_hz)
    stop = start + round(panel.duration_s * signal.fs_hz)
    return Signal(signal.samples_mv[start:stop], signal.fs_hz, signal.leads)


def _every(size: int) -> NDArray[np.float64]:
    return np.linspace(0, size - 1, max(size // _MAP_STEP_PX, 2) + 1)


def _weights(nodes: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the (size, n) matrix of linear interpolation from nodes to 0..size-1."""
    return np.stack([np.interp(np.arange(size), nodes, row) for row in np.eye(len(nodes))], axis=1)
