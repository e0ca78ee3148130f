"""The classical page reader: paper, grid and geometry, from colour and periodicity alone."""

from __future__ import annotations

import numpy as np

from cinc_ecg.digitization.density import (
    is_dark_mode,
    optical_density,
    paper_background,
    paper_mask,
)
from cinc_ecg.digitization.grid import find_grid
from cinc_ecg.digitization.rectify import fit_geometry
from cinc_ecg.types import EcgImage, PageEvidence


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
        pixels = light_paper(image.pixels)
        background = paper_background(pixels)
        mask = paper_mask(background)
        density = optical_density(pixels, background)
        geometry, grid, _ = fit_geometry(density, mask, find_grid(density, mask))
        return PageEvidence(lattice=geometry, page_mask=mask, grid_mask=grid)


def light_paper(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with dark ink on light paper: screenshots in dark mode are inverted."""
    return 255 - pixels if is_dark_mode(pixels) else pixels
