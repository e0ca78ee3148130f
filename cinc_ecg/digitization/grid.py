"""Seeds of the grid: local period and direction of the paper's two line families, tile by tile.

Each tile's power spectrum shows a grid as two combs of peaks at about right angles: the comb's
direction gives the tilt, its spacing the period. Tiles vote for one period; each then refines its
own, so that perspective shows as a slow change from tile to tile. `rectify` turns this into a map
and locks it to the lines' phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import scipy.fft
from scipy.ndimage import maximum_filter1d, median_filter

from cinc_ecg.digitization.threads import side_by_side
from cinc_ecg.errors import GridNotFound
from cinc_ecg.types import FloatArray

#: Large tiles resolve the periods of flat scans, small ones follow the perspective of photos; tried
#: in this order.
_TILE_SIDES_PX = (512, 320, 220)
#: Strength from which the second tile size is not tried.
_GOOD_STRENGTH = 12.0
#: Larger pictures are shrunk to this long side before their spectra are taken.
_SEED_LONG_SIDE_PX = 2400
#: Zero-padded FFT length: fine enough to place the peaks of periods of up to a hundred pixels.
_FFT_PX = 1024
_ANGLE_STEP_DEG = 0.5
_PERIODS_PX = np.exp(np.arange(np.log(2.4), np.log(110.0), 0.005))
_MAX_HARMONICS = 15
#: The two families of lines cross at more than this.
_LEAST_ANGLE_DEG = 30.0
#: A peak counts from this much above the floor of the log power spectrum.
_PEAK_LOG = 3.0
#: What a harmonic must add to the log power to pay for itself.
_HARMONIC_PRICE = 2.0
#: Sum over a tile's harmonics below which there is no grid.
_MIN_STRENGTH = 0.3
#: By how much the odd harmonics of twice the period must stand above those of the period itself.
_CLEARLY_DOUBLE = 1.5
#: Grid squares between which the width of a page lies; tells a 1-mm from a 5-mm grid with one kind
#: of line.
_MAX_PAGE_MM = 480.0


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The grid in one tile.

    Attributes:
        centre_px: (2,) the tile's middle in the image.
        across, down: (2,) wave vectors in cycles per pixel of the line families stepping along
            image x and y, at the page-wide fundamental.
        weight: Strength of the evidence.
    """

    centre_px: FloatArray
    across: FloatArray
    down: FloatArray
    weight: float


@dataclass(frozen=True, slots=True)
class GridSeed:
    """What the spectrum tells about the grid.

    Attributes:
        tiles: Per-tile wave vectors.
        period_mm: Paper distance of one period of the wave vectors (5 or 1).
        minor: True when 1-mm lines are there to lock to.
        major: True when 5-mm lines are there.
        channel: (3,) weights of the colour channels' optical densities in which the grid is
            clearest.
        strength: Mean over the tiles of the combs' summed log power.
    """

    tiles: tuple[TileGrid, ...]
    period_mm: float
    minor: bool
    major: bool
    channel: FloatArray
    strength: float


class _Spectra:
    """Half-plane log power spectra of tiles, and the rays along which they are read."""

    def __init__(self) -> None:
        n = _FFT_PX
        ky = np.arange(-n // 2, n // 2)[:, None]
        kx = np.arange(n // 2 + 1)[None, :]
        self.radius = np.minimum(np.hypot(ky, kx).astype(np.int32), n // 2).ravel()
        self.count = np.bincount(self.radius)

    def power(self, tile: FloatArray) -> FloatArray:
        """Log power above the ring's mean: rows ky from -n/2, columns kx from 0."""
        height, width = tile.shape
        window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
        # As rfft2 does it, but the rows of padding are not transformed.
        along = scipy.fft.rfft((tile - tile.mean()) * window, _FFT_PX, axis=1)
        spectrum = scipy.fft.fft(along, _FFT_PX, axis=0)
        log_power = np.log(np.abs(np.fft.fftshift(spectrum, axes=0)) ** 2 + 1e-9)
        floor = np.bincount(self.radius, log_power.ravel()) / self.count
        return log_power - floor.astype(np.float32)[self.radius].reshape(log_power.shape)

    @staticmethod
    def rays(power: FloatArray, angles_deg: FloatArray) -> FloatArray:
        """(n_angles, n_radii): radius k is k / _FFT_PX cycles per pixel."""
        radii = np.arange(_FFT_PX // 2)
        angles = np.deg2rad(angles_deg)[:, None]
        kx, ky = radii * np.cos(angles), radii * np.sin(angles)
        # The spectrum of a real picture is symmetric about the origin.
        flip = np.where(kx < 0, -1.0, 1.0)
        across = (kx * flip).astype(np.float32)
        down = (ky * flip + _FFT_PX // 2).astype(np.float32)
        return np.asarray(
            cv2.remap(power, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )


def _direction(
    power: FloatArray, around_deg: float, reach_deg: float
) -> tuple[float, FloatArray, float]:
    """Return the angle of the ray with the tallest peaks, its profile and their summed height."""
    low = int(_FFT_PX / _PERIODS_PX[-1])
    high = int(_FFT_PX / _PERIODS_PX[0])
    angles = around_deg + np.arange(-reach_deg, reach_deg + 1e-6, _ANGLE_STEP_DEG)
    heights = np.clip(_Spectra.rays(power, angles)[:, low:high] - _PEAK_LOG, 0, None).sum(1)
    angles = angles[heights.argmax()] + np.linspace(-0.6, 0.6, 13) * _ANGLE_STEP_DEG
    profiles = _Spectra.rays(power, angles)
    heights = np.clip(profiles[:, low:high] - _PEAK_LOG, 0, None).sum(1)
    best = int(heights.argmax())
    return float(angles[best]), profiles[best], float(heights[best])


def _families(power: FloatArray) -> list[tuple[float, FloatArray, float]]:
    """Return the directions of the two line families, that near image x first.

    On a page turned by about 45 degrees both searches may end at the same family; then the other is
    looked for at about a right angle to it.
    """
    pair = [_direction(power, around, 45.0) for around in (0.0, 90.0)]
    if abs((pair[1][0] - pair[0][0]) % 180.0 - 90.0) < 90.0 - _LEAST_ANGLE_DEG:
        return pair
    first = max(pair, key=lambda family: family[2])
    away = 90.0 if first[0] < 45.0 else -90.0
    return sorted([first, _direction(power, first[0] + away, 45.0)], key=lambda family: family[0])


def _harmonic_table() -> tuple[np.ndarray, np.ndarray]:
    """Position the harmonics of every candidate period, with a mask of those below Nyquist."""
    on = np.rint(_FFT_PX / _PERIODS_PX[:, None] * np.arange(1, _MAX_HARMONICS + 1)).astype(int)
    inside = on < _FFT_PX // 2 - 1
    return np.where(inside, on, 0), inside


_ON, _INSIDE = _harmonic_table()


def _comb_scores(profile: FloatArray) -> FloatArray:
    """Score every period: what its harmonics rise above the profile, less a price for each.

    A multiple of the true period collects the same peaks but pays for empty harmonics; a fraction
    of it misses peaks. So the sum is largest at the true fundamental.
    """
    peaks = maximum_filter1d(profile, 3) - median_filter(profile, 61)
    return np.where(_INSIDE, np.maximum(peaks[_ON], 0) - _HARMONIC_PRICE, 0).sum(1)


def _refine(profile: FloatArray, period_px: float, reach: float) -> tuple[float, float]:
    """Sharpen a period within a relative `reach`; returns it and the comb's score there."""
    candidates = period_px * np.exp(np.arange(-reach, reach, 0.0005))
    radius = _FFT_PX / candidates[:, None] * np.arange(1, _MAX_HARMONICS + 1)
    inside = radius < _FFT_PX // 2 - 1
    excess = profile - median_filter(profile, 61)
    value = np.interp(np.where(inside, radius, 0), np.arange(len(profile)), excess)
    score = np.where(inside, np.maximum(value, 0) - _HARMONIC_PRICE, 0).sum(1)
    # Smoothing over 0.3 % keeps one lucky bin of one harmonic from deciding.
    score = np.convolve(score, np.hanning(9) / 4, "same")
    best = int(score.argmax())
    return float(candidates[best]), float(score[best])


def _tile_corners(mask: np.ndarray, side: int) -> list[tuple[int, int, int]]:
    """Top left corners of tiles that are mostly paper, spread evenly, as (y, x, side)."""
    height, width = mask.shape
    side = min(side, height, width)
    rows = np.unique(np.linspace(0, height - side, max(1, round(height / side))).astype(int))
    columns = np.unique(np.linspace(0, width - side, max(1, round(width / side))).astype(int))
    corners = [(int(y), int(x), side) for y in rows for x in columns]
    return [c for c in corners if mask[c[0] : c[0] + side : 4, c[1] : c[1] + side : 4].mean() > 0.6]


def clip_ink(density: FloatArray) -> FloatArray:
    """Tame traces and text, which are darker than the grid and would swamp its spectrum."""
    detail = density - cv2.blur(density, (41, 41))
    limit = float(np.percentile(np.abs(detail[::3, ::3]), 97))
    return np.clip(detail, -limit, limit)


def _best_channel(
    density: FloatArray, corners: list[tuple[int, int, int]], spectra: _Spectra
) -> FloatArray:
    """Choose the colour channel, or their mean, with the strongest combs in the middle tile."""
    y, x, side = corners[len(corners) // 2]
    tile = density[y : y + side, x : x + side]

    def height(weights: FloatArray) -> float:
        power = spectra.power(clip_ink(through(tile, weights)))
        return sum(_direction(power, around, 45.0)[2] for around in (0.0, 90.0))

    choices = [np.eye(3)[k] for k in range(3)] + [np.full(3, 1 / 3)]
    return choices[int(np.argmax(side_by_side(height, choices)))]


def find_grid(density: np.ndarray, mask: np.ndarray) -> GridSeed:
    """Find the grid's local periods and directions.

    Args:
        density: (H, W, 3) optical density (`density.optical_density`).
        mask: (H, W) bool, True on paper.

    Raises:
        GridNotFound: No periodic lines in two directions.
    """
    scale = min(1.0, _SEED_LONG_SIDE_PX / max(mask.shape))
    if scale < 1.0:
        density = cv2.resize(density, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), density.shape[1::-1]).astype(bool)
    corners = _tile_corners(mask, _TILE_SIDES_PX[0])
    if not corners:
        raise GridNotFound(
            "no part of the picture is large and bright enough to be paper with a grid"
        )
    spectra = _Spectra()
    channel = _best_channel(density, corners, spectra)
    detail = clip_ink(through(density, channel))
    detail[~mask] = 0
    best: GridSeed | None = None
    for side in _TILE_SIDES_PX:
        readings = side_by_side(partial(_read_tile, detail, spectra), _tile_corners(mask, side))
        seed = _pool(readings, channel, max(mask.shape)) if readings else None
        if seed is not None and (best is None or seed.strength > best.strength):
            best = seed
        if best is not None and best.strength > _GOOD_STRENGTH:
            break
    if best is None or best.strength < _MIN_STRENGTH:
        raise GridNotFound("no grid lines were found in two directions; is this graph paper?")
    return _rescaled(best, scale)


def _read_tile(detail: FloatArray, spectra: _Spectra, corner: tuple[int, int, int]) -> tuple:
    """Return a tile's middle and its two line families."""
    y, x, size = corner
    pair = _families(spectra.power(detail[y : y + size, x : x + size]))
    return np.array([x, y]) + (size - 1) / 2, pair


def through(density: np.ndarray, channel: FloatArray) -> FloatArray:
    """Return (H, W) float32, the density of (H, W, 3) weighted by the channel's three numbers."""
    lone = np.flatnonzero(channel)
    if len(lone) == 1 and channel[lone[0]] == 1.0:
        return np.array(density[..., lone[0]], np.float32)
    return np.asarray((density @ channel).astype(np.float32))


def seed_from_waves(density: np.ndarray, mask: np.ndarray, waves: Sequence[TileGrid]) -> GridSeed:
    """Return a seed of waves that were found otherwise than in the spectrum.

    Args:
        density, mask: As in `find_grid`; they tell the channel.
        waves: Of the 5 mm lattice, in pixels of the picture.

    Raises:
        GridNotFound: No tile of the picture shows paper.
    """
    corners = _tile_corners(mask, _TILE_SIDES_PX[0])
    if not corners:
        raise GridNotFound(
            "no part of the picture is large and bright enough to be paper with a grid"
        )
    channel = _best_channel(density, corners, _Spectra())
    strength = float(np.mean([tile.weight for tile in waves]))
    return GridSeed(_alike(list(waves)), 5.0, True, True, channel, strength)


def _rescaled(seed: GridSeed, scale: float) -> GridSeed:
    """Express a seed found on a picture shrunk by `scale` in pixels of the original."""
    if scale == 1.0:
        return seed
    tiles = tuple(
        TileGrid((t.centre_px + 0.5) / scale - 0.5, t.across * scale, t.down * scale, t.weight)
        for t in seed.tiles
    )
    return replace(seed, tiles=tiles)


def _pool(readings: list, channel: FloatArray, long_side_px: int) -> GridSeed:
    """Let the tiles vote for one fundamental period, then refine it in each of them."""
    weights = np.array([[height for _, _, height in pair] for _, pair in readings])
    scores = np.array([[_comb_scores(profile) for _, profile, _ in pair] for _, pair in readings])
    # Perspective and unequal scales shift the peaks by some per cent: widen before adding up.
    votes = (maximum_filter1d(scores, 13, axis=-1) * np.sqrt(weights)[..., None]).sum((0, 1))
    votes /= np.sqrt(weights).sum() + 1e-9
    best = int(votes.argmax())
    period, strength = float(_PERIODS_PX[best]), float(votes[best])
    profiles = [profile for _, pair in readings for _, profile, _ in pair]
    if _is_half(profiles, weights.ravel(), period):
        period *= 2.0
    period, period_mm, minor, major = _name_period(profiles, weights.ravel(), period, long_side_px)
    tiles = []
    for centre, pair in readings:
        waves, quality = [], []
        for angle, profile, _ in pair:
            fitted, score = _refine(profile, period, 0.12)
            direction = np.deg2rad(angle)
            waves.append(np.array([np.cos(direction), np.sin(direction)]) / fitted)
            quality.append(score)
        tiles.append(TileGrid(centre, waves[0], waves[1], max(min(quality), 0.0)))
    return GridSeed(_alike(tiles), period_mm, minor, major, channel, strength)


def _alike(tiles: list[TileGrid]) -> tuple[TileGrid, ...]:
    """Name the line families in all tiles as in the surest one.

    Each tile calls "across" the family within 45 degrees of the image's rows; on a page turned by
    about 45 degrees that is one family here and the other there.
    """
    surest = max(tiles, key=lambda tile: tile.weight)
    named = []
    for tile in tiles:
        ways = [(tile.across, tile.down), (tile.down, tile.across)]
        fits = [abs(a @ surest.across) + abs(d @ surest.down) for a, d in ways]
        across, down = ways[int(np.argmax(fits))]
        across = across * np.copysign(1.0, across @ surest.across)
        down = down * np.copysign(1.0, down @ surest.down)
        named.append(replace(tile, across=across, down=down))
    return tuple(named)


def _level(
    profiles: list[FloatArray], weights: FloatArray, period: float, wanted: list[int]
) -> float:
    """Weighted mean height of the given harmonics of a period over the level between them."""
    total = 0.0
    for profile, weight in zip(profiles, weights, strict=True):
        fitted, _ = _refine(profile, period, 0.12)
        radius = _FFT_PX / fitted
        k = np.array([h for h in wanted if h * radius < _FFT_PX // 2 - 1])
        if len(k) == 0:
            continue
        peaks = maximum_filter1d(profile, 3)
        on = peaks[np.rint(k * radius).astype(int)]
        between = profile[np.rint((k - 0.5) * radius).astype(int)]
        total += weight * float(np.mean(on - between))
    return total / (weights.sum() + 1e-9)


def _is_half(profiles: list[FloatArray], weights: FloatArray, period: float) -> bool:
    """Tell whether the grid repeats only after two periods: odd harmonics of the double one stand.

    On fine scans the comb of half the true period explains as many lines within its harmonics.
    """
    odd = [1, 3, 5, 7, 9]
    double = _level(profiles, weights, 2.0 * period, odd)
    return double > _level(profiles, weights, period, odd) + _CLEARLY_DOUBLE


def _name_period(
    profiles: list[FloatArray], weights: FloatArray, period: float, long_side_px: int
) -> tuple[float, float, bool, bool]:
    """Decide which grid the fundamental is: (period px, period mm, minor, major)."""
    others = _level(profiles, weights, period, [3, 4, 6, 7])
    fifths = _level(profiles, weights, period, [5, 10]) - others
    if fifths > 0.7 or long_side_px / period * 5.0 <= _MAX_PAGE_MM:
        return period, 5.0, fifths > 0.0, True
    return period, 1.0, True, False
