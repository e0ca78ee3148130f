"""What is on a training strip, as numbers: strokes, text, grid, optics. One seed, one scene.

A scene holds everything that is random; `render_torch` turns it into pixels. Ranges are wider than
any page the benchmark draws, and its fonts, textures and colours are not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from cinc_ecg.data.clutter import Boundary, draw_clutter, draw_occluder
from cinc_ecg.data.signal_pool import FS_HZ, SignalPool

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

#: Sub-columns per pixel at which strokes are drawn, and nodes per pixel of the target line (those
#: of the strip readers).
SUBCOLUMNS = 4
NODES_PER_COLUMN = 2
#: Far outside any strip: an edge there inks nothing.
_NOWHERE = -1e5


@dataclass(frozen=True, slots=True)
class StripSettings:
    """Shape and difficulty of training strips.

    Attributes:
        height_px, width_px: Size; multiples of 32 suit the network.
        hard: Share of strips with neighbours so near that strokes touch.
        blank: Share of strips whose trace is missing over a long stretch.
        plain: Share of strips without any clutter, noise or blur.
    """

    height_px: int = 352
    width_px: int = 320
    hard: float = 0.35
    blank: float = 0.08
    plain: float = 0.08


@dataclass(frozen=True, slots=True)
class Look:
    """Grid, ink and optics of one strip.

    Attributes:
        grid_mm: Widths of the 1 mm and 5 mm lines, 0 for none.
        grid_ink: (2, 3) absorbed light of the lines, 0..1 per colour.
        dotted: Whether 1 mm lines are rows of dots.
        phase_mm: Page position of the grid at pixel (0, 0).
        ink, text_ink: (3,) absorbed light of the trace and of text.
        wave: (W,) and lean (H,): displacement in pixels of everything by the rectification's error,
            downwards along x and to the right along y.
        blur_px, motion_px: Gaussian blur (x, y) and length of a horizontal or vertical smear.
        scale: Pixels per strip pixel in the original picture.
        noise, grain: Standard deviation of sensor noise, and of noise blurred over two pixels.
        jpeg: Quality, or 0 for none.
        threshold: Level of a two-tone scan, or 0.
        shade: (4, 4) coarse brightness factors left over by light correction.
        grey: Colour is lost.
    """

    grid_mm: tuple[float, float]
    grid_ink: F32
    dotted: bool
    phase_mm: tuple[float, float]
    ink: F32
    text_ink: F32
    wave: F32
    lean: F32
    blur_px: tuple[float, float]
    motion_px: tuple[float, float]
    scale: float
    noise: float
    grain: float
    jpeg: float
    threshold: float
    shade: F32
    grey: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """One strip.

    Attributes:
        top, bottom: (k, SUBCOLUMNS * W) edges of the strokes in pixels; stroke 0 is the row's own.
        density: (k, SUBCOLUMNS * W) ink, 0..1.
        line_px: (NODES_PER_COLUMN * (W - 1) + 1,) centre line of the own stroke.
        drawn: Likewise, where the pen was down.
        baseline_px, above_px, below_px: Levels of the row and its neighbours as a page reader would
            state them; neighbours beyond reach are far away.
        clutter, occluder: (H, W) uint8 coverage of text and of opaque patches.
        patch: (3,) colour of the patches.
    """

    seed: tuple[int, int]
    px_per_mm: float
    top: F32
    bottom: F32
    density: F32
    line_px: F32
    drawn: NDArray[np.bool_]
    baseline_px: float
    above_px: float
    below_px: float
    clutter: NDArray[np.uint8]
    occluder: NDArray[np.uint8]
    patch: F32
    look: Look = field(repr=False)


def draw_scene(pool: SignalPool, settings: StripSettings, seed: int, index: int) -> Scene:
    """Draw the scene of strip `index` of a seed; the same arguments give the same scene."""
    rng = np.random.default_rng([seed, index])
    height, width = settings.height_px, settings.width_px
    scale = float(rng.choice([10.0, 12.0, rng.uniform(10.0, 12.0)], p=[0.6, 0.1, 0.3]))
    plain = rng.random() < settings.plain
    look = _look(rng, settings, scale, plain)
    baselines = _baselines(rng, settings, scale)
    pen_px = float(np.exp(rng.uniform(np.log(0.13), np.log(0.6)))) * scale
    plan = _Plan(rng, pool, scale, width, float(rng.choice([10.0, 10.0, 10.0, 20.0, 5.0])))
    rows, boundaries = [], plan.boundaries()
    for level in baselines:
        rows.append(plan.row(level, boundaries, rng.random() < 0.9 or level == baselines[0]))
    if rng.random() < settings.blank:
        plan.blank(rows[0])
    strokes = [_Stroke(row, pen_px, rng) for row in rows]
    wave = np.interp(plan.fine, np.arange(width), look.wave)
    edges = [stroke.edges(wave) for stroke in strokes]
    node = np.arange(NODES_PER_COLUMN * (width - 1) + 1) / NODES_PER_COLUMN
    line = np.interp(node, plan.x, rows[0].y) + np.interp(node, np.arange(width), look.wave)
    drawn = np.interp(node, plan.x, rows[0].down.astype(float)) > 0.99
    clutter = np.zeros((height, width), np.uint8)
    occluder = np.zeros((height, width), np.uint8)
    if not plain:
        clutter = draw_clutter(rng, (height, width), scale, baselines, boundaries)
        occluder = draw_occluder(rng, (height, width), scale)
    near = sorted(baselines[1:] - baselines[0])
    above = max((d for d in near if d < 0), default=-80.0 * scale)
    below = min((d for d in near if d > 0), default=80.0 * scale)
    slip = rng.normal(0.0, 0.6 * scale, 3)
    return Scene(
        seed=(seed, index),
        px_per_mm=scale,
        top=np.stack([e[0] for e in edges]),
        bottom=np.stack([e[1] for e in edges]),
        density=np.stack([stroke.density for stroke in strokes]),
        line_px=line.astype(np.float32),
        drawn=drawn,
        baseline_px=float(baselines[0] + slip[0]),
        above_px=float(baselines[0] + above + slip[1]),
        below_px=float(baselines[0] + below + slip[2]),
        clutter=clutter,
        occluder=occluder,
        patch=rng.uniform(0.3, 1.0, 3).astype(np.float32),
        look=look,
    )


def _baselines(rng: np.random.Generator, settings: StripSettings, scale: float) -> F64:
    """Draw the levels of the own row and its neighbours, the own first."""
    own = rng.uniform(0.25, 0.75) * settings.height_px
    spacing = rng.uniform(8.0, 16.0) if rng.random() < settings.hard else rng.uniform(16.0, 42.0)
    levels = [own]
    for side in (-1, 1):
        n = 0 if rng.random() < 0.15 else 2
        steps = np.cumsum(spacing * rng.uniform(0.85, 1.15, n)) * scale
        levels += [own + side * step for step in steps]
    reach = 30.0 * scale
    return np.array(
        [y for k, y in enumerate(levels) if k == 0 or -reach < y < settings.height_px + reach]
    )


@dataclass(slots=True)
class _Row:
    x: F64
    y: F64
    down: NDArray[np.bool_]


class _Plan:
    """Where leads begin and end on the strip, and the curves that follow."""

    def __init__(
        self, rng: np.random.Generator, pool: SignalPool, scale: float, width: int, gain: float
    ) -> None:
        self.rng, self.scale, self.width, self.gain = rng, scale, width, gain
        record = pool.samples_mv[rng.integers(len(pool))].astype(np.float64)
        self.leads = record * rng.uniform(0.7, 1.6)
        speed = float(rng.choice([25.0, 25.0, 25.0, 25.0, 50.0, 12.5]))
        self.px_per_sample = speed * scale / FS_HZ
        # Vertices: half a pixel apart or less, beyond both ends by more than a pen.
        self.margin = 12
        self.x = np.arange(-self.margin, width + self.margin, min(0.5, self.px_per_sample))
        step = 1.0 / SUBCOLUMNS
        self.fine = np.arange(SUBCOLUMNS * width) * step + (step - 1.0) / 2.0
        self.start = float(rng.uniform(0.0, 4000.0))

    def boundaries(self) -> list[Boundary]:
        """Draw where one lead ends and the next begins."""
        rng = self.rng
        if rng.random() < 0.35:
            return []
        style = str(rng.choice(["jump", "tick", "bar", "gap"]))
        gap = rng.uniform(0.5, 4.0) * self.scale if style == "gap" else 0.0
        at = rng.uniform(0.05, 0.95) * self.width
        named = bool(rng.random() < 0.8)
        return [Boundary(at, gap, style, named)]

    def row(self, level: float, boundaries: list[Boundary], shown: bool) -> _Row:
        """Draw one row's curve: a lead, another one after each boundary, perhaps a pulse first."""
        rng = self.rng
        y = self._lead(level)
        down = np.full(len(self.x), shown)
        for boundary in boundaries:
            after = self.x >= boundary.at_px
            y = np.where(after, self._lead(level), y)
            down &= np.abs(self.x - boundary.at_px) >= boundary.gap_px / 2.0
        if rng.random() < 0.1:
            self._pulse(y, level)
        if rng.random() < 0.06:  # a gap of the pen
            down &= np.abs(self.x - rng.uniform(0, self.width)) > rng.uniform(0.2, 1.0) * self.scale
        return _Row(self.x, y, down)

    def _lead(self, level: float) -> F64:
        rng = self.rng
        lead = self.leads[rng.integers(len(self.leads))]
        at = np.clip(self.start + self.x / self.px_per_sample, 0, None) % (len(lead) - 1)
        value = np.interp(at, np.arange(len(lead)), lead)
        value = value * (-1.0 if rng.random() < 0.2 else 1.0)
        if rng.random() < 0.15:  # wander, mains or muscle beyond what the recording has
            t = at / FS_HZ
            value = value + rng.uniform(0, 0.3) * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * t)
            value = value + rng.exponential(0.02) * np.sin(2 * np.pi * rng.choice([50, 60]) * t)
        if rng.random() < 0.05:  # a stimulus
            n = int(rng.integers(len(value)))
            value[n : n + 3] += rng.uniform(-4, 4)
        out: F64 = level - value * self.gain * self.scale
        return out

    def _pulse(self, y: F64, level: float) -> None:
        left = self.rng.uniform(-2.0 * self.scale, 0.3 * self.width)
        wide = self.rng.uniform(3.0, 5.5) * self.scale
        height = self.gain * self.scale
        inside = (self.x >= left) & (self.x < left + wide)
        beside = (self.x >= left - self.scale) & (self.x < left + wide + self.scale)
        y[beside] = level
        y[inside] = level - height

    def blank(self, row: _Row) -> None:
        """Lift the pen over a long stretch, or from somewhere to the end."""
        start = self.rng.uniform(-0.5, 0.9) * self.width
        length = self.rng.uniform(0.2, 1.5) * self.width
        row.down &= ~((self.x > start) & (self.x < start + length))


class _Stroke:
    """A pen of constant width along a row: edges and ink per sub-column."""

    def __init__(self, row: _Row, pen_px: float, rng: np.random.Generator) -> None:
        self.row, self.half = row, pen_px / 2.0
        self.base, self.fade = rng.uniform(0.65, 1.0), 0.0
        if rng.random() < 0.2:
            self.fade = rng.uniform(0.0, 0.5)
        self.density: F32 = np.zeros(0, np.float32)

    def edges(self, wave: F64) -> tuple[F32, F32]:
        """Dilate the polyline by a disc: the set of points within half a pen of it.

        Args:
            wave: (n,) displacement per sub-column.
        """
        n = len(wave)
        step = 1.0 / SUBCOLUMNS
        reach = int(np.ceil(self.half * SUBCOLUMNS)) + 1
        borders = np.arange(-reach, n + reach + 1) * step - 0.5
        y = np.interp(borders, self.row.x, self.row.y)
        down = np.interp(borders, self.row.x, self.row.down.astype(float)) > 0.99
        low, high = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
        on = down[:-1] & down[1:]
        low, high = np.where(on, low, np.inf), np.where(on, high, -np.inf)
        top, bottom = np.full(n, np.inf), np.full(n, -np.inf)
        for k in range(-reach, reach + 1):
            inside = self.half**2 - (k * step) ** 2
            if inside < 0:
                continue
            lift = np.sqrt(inside)
            part = slice(reach + k, reach + k + n)
            np.minimum(top, low[part] - lift, out=top)
            np.maximum(bottom, high[part] + lift, out=bottom)
        inked = bottom > top
        slope = np.abs(high - low)[reach : reach + n] * SUBCOLUMNS
        slope = np.where(np.isfinite(slope), slope, 0.0)
        self.density = (self.base * (1.0 - self.fade * slope / (slope + 4.0))).astype(np.float32)
        top = np.where(inked, top + wave, _NOWHERE)
        bottom = np.where(inked, bottom + wave, _NOWHERE)
        return top.astype(np.float32), bottom.astype(np.float32)


def _look(rng: np.random.Generator, settings: StripSettings, scale: float, plain: bool) -> Look:
    """Draw grid, inks and optics."""
    height, width = settings.height_px, settings.width_px
    grey = bool(rng.random() < 0.3)
    ink = _absorbance(rng, rng.uniform(0.6, 1.0), 0.0 if rng.random() < 0.7 else 0.25)
    text = ink if rng.random() < 0.7 else _absorbance(rng, rng.uniform(0.4, 1.0), 0.4)
    style = rng.choice(["full", "major", "minor", "none"], p=[0.75, 0.1, 0.08, 0.07])
    minor = rng.uniform(0.05, 0.2) if style in ("full", "minor") else 0.0
    major = rng.uniform(0.08, 0.35) if style in ("full", "major") else 0.0
    hue = rng.uniform(0.0, 1.0, 3)
    same = rng.random() < 0.25  # grid in the trace's own ink, thinner or fainter
    strength = np.array([rng.uniform(0.08, 0.5), rng.uniform(0.15, 1.0)])
    tone = ink if same else (hue - hue.min()) / max(float(np.ptp(hue)), 1e-3)
    grid_ink = strength[:, None] * tone[None, :] * (rng.uniform(0.7, 1.0) if same else 1.0)
    bend = 0.0 if plain else float(rng.exponential(0.12)) * scale
    calm = plain or rng.random() < 0.15
    return Look(
        grid_mm=(float(minor), float(major)),
        grid_ink=grid_ink.astype(np.float32),
        dotted=bool(rng.random() < 0.12),
        phase_mm=(float(rng.uniform(0, 5)), float(rng.uniform(0, 5))),
        ink=ink,
        text_ink=text,
        wave=_smooth_curve(rng, width, bend, 15.0 * scale),
        lean=_smooth_curve(rng, height, bend, 15.0 * scale),
        blur_px=(float(rng.gamma(2.0, 0.45)) + 0.3, float(rng.gamma(2.0, 0.45)) + 0.3)
        if not calm
        else (0.35, 0.35),
        motion_px=_motion(rng) if not calm and rng.random() < 0.15 else (0.0, 0.0),
        scale=1.0 if calm else float(rng.uniform(0.3, 1.2)),
        noise=0.0 if calm else float(rng.exponential(0.03)),
        grain=0.0 if calm or rng.random() < 0.5 else float(rng.exponential(0.04)),
        jpeg=0.0 if calm or rng.random() < 0.4 else float(rng.uniform(20, 95)),
        threshold=float(rng.uniform(0.45, 0.8)) if not calm and rng.random() < 0.05 else 0.0,
        shade=(1.0 + (0.0 if calm else 0.06) * rng.normal(size=(4, 4))).astype(np.float32),
        grey=grey,
    )


def _absorbance(rng: np.random.Generator, strength: float, colour: float) -> F32:
    """Draw an ink: light absorbed in red, green and blue."""
    return (
        (strength * (1.0 - colour * rng.uniform(0.0, 1.0, 3) * 2.0)).clip(0.05).astype(np.float32)
    )


def _motion(rng: np.random.Generator) -> tuple[float, float]:
    """Draw a smear along one axis."""
    length = float(rng.uniform(1.0, 6.0))
    return (length, 0.0) if rng.random() < 0.5 else (0.0, length)


def _smooth_curve(rng: np.random.Generator, n: int, size: float, wavelength: float) -> F32:
    """Draw a smooth random curve of about `size` rms."""
    knots = max(3, round(n / wavelength) + 2)
    at = np.linspace(0, n - 1, knots)
    values = rng.normal(0.0, 1.0, knots) * size
    smooth = CubicSpline(at, values)(np.arange(n))
    return smooth.astype(np.float32)
