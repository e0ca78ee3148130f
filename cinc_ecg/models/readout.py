"""From trace rows in pixels to leads in millivolts, differentiably.

The picture a view looks at (a rectified page, or one crop per row) shows R trace rows. A head gives
the trace's y in pixels for every column of every row; where each lead stands is not the network's
business but the batch's. `PrintGeometry` says it with one affine map per lead:

    x(t) = x0_px + px_per_s * t           column of sample t (seconds from the record's start)
    v(t) = (baseline_px - y(x)) / px_per_mv

and a window [first, last) of samples outside of which the lead is not printed. A lead printed
twice is read from its longer print. `px_per_mv` is negative for an inverted print (-aVR). All
pixels are those of the network's input, the centre of the first pixel being 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinc_ecg.types import Layout, Panel

#: Prefix of the geometry's keys in a batch: "print_row", "print_x0_px", ...
PREFIX = "print_"


@dataclass(frozen=True, slots=True)
class PrintGeometry:
    """Where each lead is printed; every array has one entry per lead of the model.

    Attributes:
        row: Trace row from the top; -1 where the lead is not printed.
        x0_px: Column of the sample at 0 s of the record (may lie outside the picture).
        px_per_s: Columns per second.
        baseline_px: y of 0 mV.
        px_per_mv: Upward pixels per millivolt; negative for an inverted print.
        first, last: Window of output samples that are printed, last excluded.
    """

    row: NDArray[np.int64]
    x0_px: NDArray[np.float32]
    px_per_s: NDArray[np.float32]
    baseline_px: NDArray[np.float32]
    px_per_mv: NDArray[np.float32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def as_batch(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays under the names that a batch holds, without the batch axis."""
        return {PREFIX + item.name: getattr(self, item.name) for item in fields(self)}


#: Keys a batch needs for an output in millivolts, each of shape (B, leads).
KEYS = tuple(PREFIX + item.name for item in fields(PrintGeometry))


def print_geometry(
    layout: Layout,
    leads: tuple[str, ...],
    *,
    px_per_mm: tuple[float, float],
    origin_px: NDArray[np.floating],
    n_samples: int,
    fs_hz: float,
) -> PrintGeometry:
    """Describe a flat page, or its row crops, to the network.

    Args:
        layout: Panels in page millimetres.
        leads: The model's leads.
        px_per_mm: Scale of the network's input in x and y.
        origin_px: (2,) or (rows, 2): where page position (0, 0) mm falls in the input, for the
            whole page or for each row's crop.
        n_samples, fs_hz: Length and rate of the model's output.
    """
    scale_x, scale_y = px_per_mm
    origins = np.asarray(origin_px, dtype=np.float64)
    entries: list[tuple[float, ...]] = []
    for lead in leads:
        panel = _longest(layout.panels, lead)
        if panel is None:
            entries.append((-1, 0.0, 1.0, 0.0, 1.0, 0, 0))
            continue
        x_px, y_px = origins if origins.ndim == 1 else origins[panel.row]
        per_s = panel.mm_per_s * scale_x
        entries.append(
            (
                panel.row,
                x_px + panel.box_mm[0] * scale_x - panel.start_s * per_s,
                per_s,
                y_px + panel.baseline_mm * scale_y,
                panel.mm_per_mv * scale_y * (-1 if panel.inverted else 1),
                max(0, round(panel.start_s * fs_hz)),
                min(n_samples, round((panel.start_s + panel.duration_s) * fs_hz)),
            )
        )
    row, x0, per_s_px, baseline, per_mv, first, last = np.array(entries, np.float64).T
    return PrintGeometry(
        row.astype(np.int64),
        x0.astype(np.float32),
        per_s_px.astype(np.float32),
        baseline.astype(np.float32),
        per_mv.astype(np.float32),
        first.astype(np.int64),
        last.astype(np.int64),
    )


def _longest(panels: tuple[Panel, ...], lead: str) -> Panel | None:
    printed = [panel for panel in panels if panel.lead == lead]
    return max(printed, key=lambda panel: panel.duration_s, default=None)


def read_leads(
    row_y_px: Tensor,
    row_visible_logit: Tensor,
    batch: dict[str, Tensor],
    *,
    cell_x: float,
    n_samples: int,
    fs_hz: float,
) -> tuple[Tensor, Tensor]:
    """Sample the rows along each lead's columns, linearly between cells.

    Args:
        row_y_px: (B, R, W) y of the trace.
        row_visible_logit: (B, R, W).
        batch: Holds the tensors of `KEYS`, each (B, leads).
        cell_x: Width of a column cell in input pixels.
        n_samples, fs_hz: Of the output.

    Returns:
        (B, leads, n_samples) mV, 0 outside the printed window, and the visibility logit, which is
        -20 there.
    """
    row = batch["print_row"].long()
    time = torch.arange(n_samples, device=row_y_px.device, dtype=row_y_px.dtype)
    x_px = batch["print_x0_px"][..., None] + batch["print_px_per_s"][..., None] * (time / fs_hz)
    cell = (x_px + 0.5) / cell_x - 0.5
    y_px = _along(row_y_px, row, cell)
    visible = _along(row_visible_logit, row, cell)
    mv = (batch["print_baseline_px"][..., None] - y_px) / batch["print_px_per_mv"][..., None]
    inside = (time >= batch["print_first"][..., None]) & (time < batch["print_last"][..., None])
    inside = inside & (row >= 0)[..., None]
    return torch.where(inside, mv, 0.0), torch.where(inside, visible, -20.0)


def _along(rows: Tensor, row: Tensor, cell: Tensor) -> Tensor:
    """Interpolate (B, R, W) at fractional cells (B, L, T) of the rows (B, L)."""
    width = rows.shape[-1]
    lines = torch.gather(rows, 1, row.clamp(min=0)[..., None].expand(-1, -1, width))
    cell = cell.clamp(0, width - 1)
    left = cell.detach().floor().clamp(max=max(width - 2, 0))
    share = cell - left
    index = left.long()
    near = torch.gather(lines, 2, index)
    far = torch.gather(lines, 2, (index + 1).clamp(max=width - 1))
    return near + share * (far - near)
