"""What a page network saw, as arrays of one picture: masks, names, orientation, lattice waves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.digitization.grid import TileGrid
from cinc_ecg.leads import LEADS
from cinc_ecg.models.page_net import PageNet, PageReading
from cinc_ecg.types import FloatArray, Orientation

F32 = NDArray[np.float32]
Box = tuple[float, float, float, float]

#: Cells count as part of a name from this probability; a name has this many of them.
_NAME_LEVEL = 0.4
_MIN_CELLS = 3
#: Boxes of names were trained this much larger than their ink, in cells.
_RIM_CELLS = 0.3
#: Side in cells of the squares in which a wave is read off the phase, the length that a phase
#: vector must have there, and the share of the square that must be of one wave.
_WAVE_CELLS = 16
_MIN_LENGTH = 0.35
_MIN_AGREEMENT = 0.5


@dataclass(frozen=True, slots=True)
class SeenName:
    """A lead's name: its box in pixels of the picture (x0, y0, x1, y1) and its probability."""

    lead: str
    box_px: Box
    score: float


@dataclass(frozen=True, slots=True)
class PageSight:
    """What is seen on one picture of H x W pixels, in maps that may be shrunk.

    Attributes:
        trace, page, pulse, separator: 0..1; a map's pixel k covers the picture's pixels from
            k s to (k + 1) s, with s the ratio of their sides.
        grid: Likewise, how surely the lattice is seen.
        names: Lead names, surest first.
        orientation: The likeliest way to turn the picture upright.
        sure: Its probability.
        waves: Tiles of the 5 mm lattice, in picture pixels.
    """

    trace: F32
    page: F32
    pulse: F32
    separator: F32
    grid: F32
    names: tuple[SeenName, ...]
    orientation: Orientation
    sure: float
    waves: tuple[TileGrid, ...]


@torch.no_grad()
def look(
    net: PageNet,
    pixels: NDArray[np.uint8],
    device: torch.device,
    long_side_px: int | None = None,
) -> PageSight:
    """Run the network on a picture.

    Args:
        net: In inference mode.
        pixels: (H, W, 3), dark ink on light paper.
        device: Of the network.
        long_side_px: The picture is brought to this; the network's own by default.
    """
    height, width = pixels.shape[:2]
    factor = (long_side_px or net.config.long_side_px) / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = torch.from_numpy(np.asarray(cv2.resize(pixels, size, interpolation=how))).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        reading = net(small.permute(2, 0, 1)[None].float() / 255.0)
    return sight_of(reading, (size[0] / width, size[1] / height), net.config.cell)


def sight_of(reading: PageReading, scale: tuple[float, float], cell: int) -> PageSight:
    """Turn a network's reading of one page into what is seen on its picture.

    Args:
        reading: With a batch of one.
        scale: Pixels that the network saw per pixel of the picture, in x and y.
        cell: Side in network pixels of the reading's cells.
    """
    per_cell = np.array([cell / scale[0], cell / scale[1]])
    masks = (reading.trace_logit, reading.page_logit, reading.pulse_logit, reading.separator_logit)
    trace, page, pulse, separator = (mask[0].sigmoid().cpu().numpy() for mask in masks)
    chances = reading.orientation_logit[0].softmax(0).cpu().numpy()
    best = int(chances.argmax())
    phase = reading.phase[0].cpu().numpy()
    grid = np.minimum(np.hypot(phase[0], phase[1]), np.hypot(phase[2], phase[3]))
    return PageSight(
        trace,
        page,
        pulse,
        separator,
        grid,
        tuple(_names(reading.name_logit[0].softmax(0).cpu().numpy(), per_cell)),
        Orientation(best % 4, best >= 4),
        float(chances[best]),
        tuple(lattice_waves(phase, per_cell)),
    )


def _names(chance: F32, per_cell: FloatArray) -> list[SeenName]:
    """Find connected cells that show a name; their summed probabilities vote for the lead."""
    seen = (1.0 - chance[0] > _NAME_LEVEL).astype(np.uint8)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    found = []
    for k in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[k])
        if area < _MIN_CELLS:
            continue
        inside = regions[y : y + height, x : x + width] == k
        votes = chance[1:, y : y + height, x : x + width][:, inside].mean(1)
        lead = int(votes.argmax())
        corner = (np.array([x, y]) + _RIM_CELLS) * per_cell - 0.5
        far = (np.array([x + width, y + height]) - _RIM_CELLS) * per_cell - 0.5
        box = (float(corner[0]), float(corner[1]), float(far[0]), float(far[1]))
        found.append(SeenName(LEADS[lead], box, float(votes[lead])))
    return sorted(found, key=lambda name: -name.score)


def lattice_waves(phase: F32, per_cell: FloatArray) -> list[TileGrid]:
    """Return the local wave vectors of the 5 mm lattice.

    The phase's step from one cell to the next is the wave vector; averaged over a square of cells,
    places where the steps disagree cancel each other.

    Args:
        phase: (4, h, w) as in `PageReading`.
        per_cell: Picture pixels per cell in x and y.
    """
    families = (phase[0] + 1j * phase[1], phase[2] + 1j * phase[3])
    tiles = []
    height, width = phase.shape[1:]
    n = _WAVE_CELLS
    for top in range(0, height - n + 1, n):
        for left in range(0, width - n + 1, n):
            square = (slice(top, top + n), slice(left, left + n))
            waves = [_wave(field[square]) for field in families]
            if any(wave is None for wave in waves):
                continue
            across, down = (wave / per_cell for wave, _ in filter(None, waves))
            centre = (np.array([left, top]) + n / 2) * per_cell - 0.5
            weight = min(strength for _, strength in filter(None, waves))
            tiles.append(TileGrid(centre, across, down, 10.0 * weight))
    return tiles


def _wave(field: NDArray[np.complexfloating]) -> tuple[FloatArray, float] | None:
    """Return cycles per cell along x and y and how well the field agrees with them."""
    if np.abs(field).mean() < _MIN_LENGTH:
        return None
    steps = (field[:, 1:] * field[:, :-1].conj(), field[1:] * field[:-1].conj())
    means = [step.sum() / max(float(np.abs(step).sum()), 1e-9) for step in steps]
    agreement = float(min(abs(mean) for mean in means))
    if agreement < _MIN_AGREEMENT:
        return None
    return np.array([np.angle(mean) for mean in means]) / (2 * np.pi), agreement
