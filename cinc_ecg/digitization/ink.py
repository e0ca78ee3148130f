"""How much trace ink lies on each pixel of a rectified row, with paper, shading and grid taken out.

One linear projection of RGB serves the whole page: Fisher's discriminant between the trace's
colour and everything that is not trace (paper, grid, noise), so a coloured grid is nulled where
colour allows it and channels are averaged where it does not. What is left of the grid
(black-and-white pages) is modelled as a backdrop of row and column profiles, which a rectified
page makes possible: grid lines run along rows and columns, a trace does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.types import Strip

Real = NDArray[np.floating]

#: Side of the blocks over which the paper's brightness is taken to be constant.
_SHADE_BLOCK_MM = 4.0
#: Period of the grid's coarse lines; profiles are compared across it.
_GRID_PERIOD_MM = 5.0
#: Straight lines farther than this from the baseline are no trace, periodic or not.
_FRAME_MM = 10.0
#: Ink broader than this in both directions is a stain; fainter ones than this do no harm.
_STAIN_MM, _FAINT_STAIN = 2.0, 0.08
#: Stains are looked for in a picture reduced by this factor.
_COARSE = 3
#: A pixel of which the backdrop leaves less free says nothing.
_HIDDEN = 0.12
#: Share of a strip's pixels that are surely trace or text: a 0.25 mm pen over 48 mm covers about
#: 0.6 %.
_SEED_SHARE = 0.003


@dataclass(frozen=True, slots=True)
class Colours:
    """The page's projection: `darkness = offset - pixel @ weights`, for pixels divided by the
    local shading.

    Attributes:
        paper: (3,) median colour of the flat-fielded paper.
        weights: (3,) projection; a pixel of full trace ink maps to 1, paper to 0.
    """

    paper: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ink:
    """Ink on one strip.

    Attributes:
        darkness: (height, width) 0 = paper, 1 = trace ink; the remaining grid included.
        backdrop: (height, width) what the grid alone would show, 0..1.
        noise: Standard deviation of `darkness` on blank paper.
    """

    darkness: Real
    backdrop: Real
    noise: float

    def trace(self) -> Real:
        """Return the trace's coverage: opaque ink shows in the part that the grid leaves free."""
        free = 1.0 - self.backdrop
        cover: Real = (self.darkness - self.backdrop) / np.maximum(free, 0.15)
        return np.where(free > _HIDDEN, cover, np.float32(0.0))

    def gridded(self) -> bool:
        """Tell whether colour did not take the grid out: much of the strip shows it."""
        return float(np.quantile(self.backdrop[::4, ::4], 0.9)) > 0.2

    def evidence(self) -> Real:
        """Return coverage fit for following a stroke: averaged along it where the page is poor.

        On a clean page this is `trace`. Where there is noise or grid of the trace's own tone,
        coverage is averaged over a few pixels upright and level, each pixel weighted by what the
        grid leaves free of it, and the better direction counts; a stroke is then not cut where it
        crosses a grid line.
        """
        gridded = self.gridded()
        if not gridded and self.noise < 0.06:
            return self.trace()
        free = 1.0 - self.backdrop
        weight = free * free
        value = free * (self.darkness - self.backdrop)
        spread = 1.7 if gridded else 1.2
        best: Real | None = None
        for sigma_x, sigma_y in ((0.5, spread), (spread, 0.5)):
            mean = _smooth(value, sigma_x, sigma_y) / (_smooth(weight, sigma_x, sigma_y) + 0.02)
            best = mean if best is None else np.maximum(best, mean)
        assert best is not None
        return best


def _smooth(image: Real, sigma_x: float, sigma_y: float) -> Real:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_x, sigmaY=sigma_y), np.float32)


def shading(strip: Strip) -> Real:
    """Return the paper's relative brightness over the strip as a small field (block medians)."""
    grey = cv2.cvtColor(strip.pixels, cv2.COLOR_RGB2GRAY)
    block = max(8, round(_SHADE_BLOCK_MM * strip.px_per_mm))
    height, width = grey.shape
    rows, columns = max(1, height // block), max(1, width // block)
    cut = grey[: rows * (height // rows), : columns * (width // columns)]
    cells = cut.reshape(rows, height // rows, columns, width // columns)[:, ::3, :, ::3]
    field = np.median(cells, axis=(1, 3)).astype(np.float32)
    if strip.valid is not None:
        inside = strip.valid[: cut.shape[0], : cut.shape[1]].reshape(
            cells.shape[0], height // rows, columns, -1
        )
        field[inside[:, ::4, :, ::4].mean(axis=(1, 3)) < 0.9] = np.nan
        level = float(np.nanmedian(field)) if np.isfinite(field).any() else 255.0
        field = np.where(np.isfinite(field), field, np.float32(level))
    if min(field.shape) >= 3:
        field = cv2.medianBlur(field, 3)
    return np.maximum(field, 16.0) / 255.0


def _flat(strip: Strip, step: int) -> Real:
    """Return every `step`-th column and second row of the strip divided by its shading."""
    pixels = strip.pixels[::2, ::step].astype(np.float32)
    field = cv2.resize(shading(strip), pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    flat: Real = pixels / field[..., None]
    if strip.valid is not None:
        flat = np.where(strip.valid[::2, ::step, None], flat, np.float32(255.0))
    return flat


def page_colours(strips: Sequence[Strip]) -> Colours:
    """Estimate the page's colour projection from a sample of its strips.

    Seeds are the darkest pixels that neither a row nor a column profile explains; their median is
    the ink's colour d (relative to paper). With the scatter C of all other pixels, w = C^-1 d /
    (d' C^-1 d) shows ink best.

    Args:
        strips: The page's rows.

    Returns:
        The projection for `ink_map`.
    """
    chosen = list(strips)[:: max(1, len(strips) // 4)][:5]
    samples = side_by_side(lambda strip: _flat(strip, 6), chosen)
    paper = np.median(np.concatenate([s[::3].reshape(-1, 3) for s in samples]), axis=0)

    def unexplained(sample: Real) -> tuple[Real, Real]:
        dens: Real = np.asarray(paper, np.float32) - sample
        lines = _median(dens, 1)[:, None] + _median(dens, 0)
        rest = np.ascontiguousarray((dens - np.maximum(lines, 0.0)).sum(axis=2))
        return dens.reshape(-1, 3), np.asarray(cv2.blur(rest, (1, 3)), np.float32).ravel()

    density, excess = zip(*side_by_side(unexplained, samples), strict=True)
    dens_all, excess_all = np.concatenate(density), np.concatenate(excess)
    seed_level = np.quantile(excess_all, 1.0 - _SEED_SHARE)
    ink = np.median(dens_all[excess_all >= seed_level], axis=0).astype(np.float64)
    other = dens_all[excess_all < 0.3 * seed_level].astype(np.float64)
    scatter = np.cov(other.T) if len(other) > 10 else np.eye(3)
    weights = np.linalg.solve(scatter + np.eye(3) * (1.0 + 1e-3 * np.trace(scatter)), ink)
    gain = float(weights @ ink)
    if gain <= 1e-9:  # nothing darker than paper: any projection does
        return Colours(paper, np.full(3, 1.0 / 765.0))
    return Colours(paper, weights / gain)


def ink_map(strip: Strip, colours: Colours) -> Ink:
    """Project a strip on the page's ink axis and model what is left of the grid.

    Args:
        strip: A rectified row.
        colours: From `page_colours`.

    Returns:
        The strip's `Ink`.
    """
    value = _project(strip, colours)
    baseline_px = (strip.baseline_mm - strip.y0_mm) * strip.px_per_mm
    backdrop = _backdrop(value, strip.px_per_mm, baseline_px)
    stains = _stains(value - backdrop, strip.px_per_mm)
    if stains is not None:
        backdrop = 1.0 - (1.0 - backdrop) * (1.0 - stains)
    rest = value - backdrop
    sample = rest[::3, ::3]
    noise = 1.4826 * float(np.median(np.abs(sample - np.median(sample))))
    return Ink(value, backdrop, max(noise, 0.004))


def _project(strip: Strip, colours: Colours) -> Real:
    """Return offset - (pixel / shading) @ weights, zero outside the picture."""
    kernel = colours.weights.astype(np.float32).reshape(1, 3)
    projected = cv2.transform(strip.pixels.astype(np.float32), kernel)
    field = cv2.resize(shading(strip), strip.pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    value: Real = np.float32(colours.paper @ colours.weights) - np.asarray(projected / field)
    if strip.valid is not None:
        value = np.where(strip.valid, value, np.float32(0.0))
    return value


def _backdrop(value: Real, px_per_mm: float, baseline_px: float) -> Real:
    """Return the grid's darkness from column and row profiles.

    A column's median over the strip's height is its grid line; a row's median over a stretch of
    the strip likewise, but a flat trace can fill a row, so a row near the baseline is believed only
    as far as the rows one coarse period away show the same. Elsewhere a full row is a frame or
    rule.
    """
    width = value.shape[1]
    columns = _median(value[::3], 0)
    period = _GRID_PERIOD_MM * px_per_mm
    n_parts = max(1, round(width / (60.0 * px_per_mm)))
    edges = np.linspace(0, width, n_parts + 1).astype(int)
    far = np.abs(np.arange(len(value)) - baseline_px) > _FRAME_MM * px_per_mm
    parts = []
    for start, stop in pairwise(edges):
        profile = _median(value[:, start:stop:4], 1)
        periodic = np.minimum(profile, _folded(profile, period) + 0.03)
        parts.append(np.where(far, profile, periodic))
    centres = (edges[:-1] + edges[1:]) / 2.0
    rows = _between(np.stack(parts, axis=1), centres, width)
    columns = np.clip(columns, 0.0, 0.95).astype(np.float32)
    rows = np.clip(rows, 0.0, 0.95)
    tone = float(np.clip(max(np.quantile(columns, 0.98), np.quantile(rows, 0.98)), 0.05, 1.0))
    tone = max(tone, float(columns.max()), float(rows.max()))
    # Two lines of one tone overlap: uncovered shares multiply.
    backdrop: Real = tone * (1.0 - (1.0 - rows / tone) * (1.0 - columns[None, :] / tone))
    return backdrop


def _median(values: Real, axis: int) -> Real:
    """Return what `np.median` returns for an axis of finite numbers, in a third of its time."""
    lined_up = np.ascontiguousarray(np.moveaxis(values, axis, -1))
    middle = lined_up.shape[-1] // 2
    parted = np.partition(lined_up, middle, axis=-1)
    upper: Real = parted[..., middle]
    if lined_up.shape[-1] % 2:
        return upper
    return np.asarray((parted[..., :middle].max(axis=-1) + upper) / np.float32(2.0))


def _stains(rest: Real, px_per_mm: float) -> Real | None:
    """Return the darkness of patches too broad for a pen stroke: stains, creases, shadows, holes.

    None where there are none. A grey opening removes all that is narrower than its square in either
    direction.
    """
    height, width = rest.shape
    small = cv2.resize(rest, (width // _COARSE, height // _COARSE), interpolation=cv2.INTER_AREA)
    side = max(3, round(_STAIN_MM * px_per_mm / _COARSE))
    broad = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    broad = np.where(broad > _FAINT_STAIN, np.clip(broad, 0.0, 1.0), 0.0).astype(np.float32)
    if not broad.any():
        return None
    smooth = cv2.blur(broad, (3, 3))
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def _folded(profile: NDArray[np.floating], period: float) -> NDArray[np.floating]:
    """Return, per row, the median of the profile (widened a pixel) at whole periods from it."""
    n = len(profile)
    wide = np.maximum(np.maximum(profile, np.roll(profile, 1)), np.roll(profile, -1))
    reach = int(n / period) + 1
    index = np.arange(n)[:, None] + np.round(np.arange(-reach, reach + 1) * period).astype(int)
    inside = (index >= 0) & (index < n) & (index != np.arange(n)[:, None])
    values = np.where(inside, wide[np.clip(index, 0, n - 1)], np.nan)
    lonely = ~inside.any(axis=1)
    values[lonely] = 0.0
    middle: NDArray[np.floating] = np.nanmedian(values, axis=1)
    return middle


def _between(parts: NDArray[np.floating], centres: NDArray[np.floating], width: int) -> Real:
    """Interpolate the row profiles of the parts linearly along the strip."""
    weights = [np.interp(np.arange(width), centres, part) for part in np.eye(len(centres))]
    return np.asarray(parts, np.float32) @ np.array(weights, np.float32)
