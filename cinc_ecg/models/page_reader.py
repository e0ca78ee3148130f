"""The learned page reader: a network's evidence beside the classical geometry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cinc_ecg.digitization.orient import turned
from cinc_ecg.digitization.read_page import light_paper, read_grid
from cinc_ecg.digitization.threads import beside
from cinc_ecg.errors import GridNotFound
from cinc_ecg.geometry import densify, to_page
from cinc_ecg.models.page_card import load_page_net
from cinc_ecg.models.page_net import PageNet
from cinc_ecg.models.page_sight import PageSight, SeenName, look
from cinc_ecg.types import EcgImage, FloatArray, LeadName, Orientation, PageEvidence, PageGeometry

#: An orientation is given from this probability.
_SURE_TURN = 0.6
#: Paper that the network is this sure of is paper, however dark.
_SURE_PAPER = 0.9
#: Scale of a whole page as the network sees it, and the share of its long side below which a
#: picture shows a part of a page, so near that grid lines look like traces: then it looks again.
_USUAL_PX_PER_MM, _CLOSE = 4.2, 0.7
#: Length of the phase's vectors from which the grid is seen.
_SEEN_GRID = 0.5


#: Parts of the evidence, and those that are given unless others are asked for: what has been shown
#: to help (docs/explanation/digitizer.md).
PARTS = ("orientation", "trace", "names", "paper", "grid", "waves")
DEFAULT_PARTS = ("trace", "names", "grid", "waves")


class LearnedPageReader:
    """Looks at a page with a trained network; implements `cinc_ecg.types.PageReader`.

    Geometry stays the classical one, locked to the printed lines; where that finds no grid, the
    network's lattice waves are tried as its seed. Orientation, traces, names and paper are given
    beside it.

    Args:
        net: The network.
        device: Where it runs.
        parts: What of its evidence is given, of `PARTS`.
    """

    def __init__(
        self, net: PageNet, device: str = "cpu", parts: Collection[str] = DEFAULT_PARTS
    ) -> None:
        self.parts = frozenset(parts)
        self.device = torch.device(device)
        self.net = net.to(self.device).eval()

    def read(self, image: EcgImage) -> PageEvidence:
        """Return evidence; the lattice is None where the picture shows no grid to follow."""
        pixels = light_paper(image.pixels)
        first_look = beside(lambda: look(self.net, pixels, self.device))
        shape = (image.height, image.width)
        paper = None
        if "paper" in self.parts:
            paper = _full_size(first_look().page, shape) > _SURE_PAPER
        try:
            found = read_grid(
                pixels, paper, lambda: first_look().waves if "waves" in self.parts else ()
            )
        except GridNotFound:
            return self._evidence(first_look(), shape)
        assert found.lattice is not None
        sight = first_look()
        long_side = max(shape) * _USUAL_PX_PER_MM / max(found.lattice.px_per_mm)
        if long_side < _CLOSE * self.net.config.long_side_px:
            sight = look(self.net, pixels, self.device, round(long_side))
        evidence = self._evidence(sight, shape)
        way = evidence.orientation or Orientation()
        names = self._names(pixels, sight, way) if "names" in self.parts else ()
        upright = turned(found.lattice, way.quarter_turns, way.mirrored)
        return replace(
            evidence,
            lattice=found.lattice,
            page_mask=found.page_mask,
            grid_mask=self._grid(found, sight),
            names=names_mm(names, upright) or None,
        )

    def _evidence(self, sight: PageSight, shape: tuple[int, int]) -> PageEvidence:
        """Return what needs no geometry, for a picture of (H, W) pixels."""
        return PageEvidence(
            orientation=self._orientation(sight),
            trace=_full_size(sight.trace, shape) if "trace" in self.parts else None,
        )

    def _grid(self, found: PageEvidence, sight: PageSight) -> NDArray[np.bool_] | None:
        """Return where the grid is seen; its far end may be too faint to lock to, not to see."""
        if found.grid_mask is None or "grid" not in self.parts:
            return found.grid_mask
        shape = (found.grid_mask.shape[0], found.grid_mask.shape[1])
        return found.grid_mask | (_full_size(sight.grid, shape) > _SEEN_GRID)

    def _orientation(self, sight: PageSight) -> Orientation | None:
        sure = "orientation" in self.parts and sight.sure >= _SURE_TURN
        return sight.orientation if sure else None

    def _names(
        self, pixels: NDArray[np.uint8], sight: PageSight, way: Orientation
    ) -> Sequence[SeenName]:
        """Return the names, from another look at the upright picture if this one lies otherwise."""
        if way == Orientation():
            return sight.names
        flipped = pixels[:, ::-1] if way.mirrored else pixels
        upright = np.ascontiguousarray(np.rot90(flipped, way.quarter_turns))
        again = look(self.net, upright, self.device)
        shape = (pixels.shape[0], pixels.shape[1])
        return [replace(n, box_px=_box_before(n.box_px, shape, way)) for n in again.names]


def _box_before(
    box: tuple[float, float, float, float], shape: tuple[int, int], way: Orientation
) -> tuple[float, float, float, float]:
    """Return a box of the upright picture in pixels of the picture as it was, of (H, W) pixels."""
    points = np.array([box[:2], box[2:]])
    sides = shape if way.quarter_turns % 2 == 0 else shape[::-1]
    for _ in range(way.quarter_turns):
        # Undoing one quarter turn counter-clockwise: (x, y) came from (h - 1 - y, x), where h is
        # the height of the turned picture.
        points = np.stack([sides[0] - 1 - points[:, 1], points[:, 0]], 1)
        sides = sides[::-1]
    if way.mirrored:
        points[:, 0] = shape[1] - 1 - points[:, 0]
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def names_mm(names: Sequence[SeenName], geometry: PageGeometry) -> tuple[LeadName, ...]:
    """Return names with their boxes in page mm."""
    if not names:
        return ()
    if min(geometry.nodes_px.shape[:2]) < 3:  # too few nodes for a spline that has derivatives
        geometry = densify(geometry, min(geometry.pitch_mm) / 4)
    corners = np.array(
        [[(n.box_px[i], n.box_px[j]) for i in (0, 2) for j in (1, 3)] for n in names]
    )
    page: FloatArray = to_page(geometry, corners)
    low, high = page.min(1), page.max(1)
    return tuple(
        LeadName(n.lead, (float(a[0]), float(a[1]), float(b[0]), float(b[1])), n.score)
        for n, a, b in zip(names, low, high, strict=True)
    )


def _full_size(small: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map at the picture's size (H, W)."""
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)


def load_page_reader(folder: Path, device: str = "cpu") -> LearnedPageReader:
    """Load a learned page reader from the folder of its card.

    Raises:
        CardError: Card or weights are missing, damaged or do not fit; names the file.
    """
    net, _ = load_page_net(folder)
    return LearnedPageReader(net, device)
