"""The classical page reader: paper, grid and geometry, from colour and periodicity alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cinc_ecg.digitization.density import (
    is_dark_mode,
    optical_density,
    paper_background,
    paper_mask,
)
from cinc_ecg.digitization.grid import TileGrid, find_grid, seed_from_waves
from cinc_ecg.digitization.rectify import fit_geometry
from cinc_ecg.errors import GridNotFound
from cinc_ecg.types import EcgImage, PageEvidence

#: So many tiles with waves make a seed.
_LEAST_WAVES = 4


class ClassicalPageReader:
    """Finds the page's geometry from its printed grid; implements `cinc_ecg.types.PageReader`.

    The marks (names, pulses, ticks) are left to the pipeline, which reads them on the rectified
    page.
    """

    def read(self, image: EcgImage) -> PageEvidence:
        """Return the lattice and the paper mask.

        Raises:
            GridNotFound: The picture shows no grid that can be followed.
        """
        return read_grid(light_paper(image.pixels))


def read_grid(
    pixels: np.ndarray,
    paper: np.ndarray | None = None,
    waves: Callable[[], Sequence[TileGrid]] = tuple,
) -> PageEvidence:
    """Find paper and geometry.

    Args:
        pixels: (H, W, 3) picture with dark ink on light paper.
        paper: (H, W) True where somebody else is sure of paper, however dark it looks.
        waves: Gives seeds of the 5 mm lattice to try where the spectrum gives none that can be
            followed.

    Raises:
        GridNotFound: The picture shows no grid that can be followed.
    """
    background = paper_background(pixels)
    mask = paper_mask(background)
    if paper is not None:
        mask = mask | paper
    density = optical_density(pixels, background)
    try:
        geometry, grid, _ = fit_geometry(density, mask, find_grid(density, mask))
    except GridNotFound:
        seeds = waves()
        if len(seeds) < _LEAST_WAVES:
            raise
        geometry, grid, _ = fit_geometry(density, mask, seed_from_waves(density, mask, seeds))
    return PageEvidence(lattice=geometry, page_mask=mask, grid_mask=grid)


def light_paper(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with dark ink on light paper: screenshots in dark mode are inverted."""
    return 255 - pixels if is_dark_mode(pixels) else pixels
