"""A blank picture to draw on, and the few things that many pictures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cinc_ecg.synth.text import load_font

Rng = np.random.Generator
Pixels = NDArray[np.uint8]
Draw = Callable[[Rng], Pixels]
Rgb = tuple[int, int, int]

SIZE = (1240, 940)
INK: Rgb = (25, 25, 30)
_VOCABULARY = (
    "the of and to in page report house water line value time region north annual table blood "
    "summary total index river market light plan number figure small paper under between "
    "I II III V1 V2 aVR lead mm mV 25 10 12:30 2019"
)
_WORDS = _VOCABULARY.split()


class Sheet:
    """A picture in progress; `pen` is Pillow's, coordinates are pixels."""

    def __init__(self, size: tuple[int, int] = SIZE, colour: Rgb = (255, 255, 255)) -> None:
        self.image = Image.new("RGB", size, colour)
        self.pen = ImageDraw.Draw(self.image)
        self.width, self.height = size

    def pixels(self) -> Pixels:
        """Return what has been drawn."""
        return np.asarray(self.image)

    def write(self, x: float, y: float, text: str, size: float = 16, colour: Rgb = INK) -> None:
        """Write one line, its top left corner at (x, y)."""
        self.pen.text((x, y), text, font=load_font("DejaVuSans.ttf", size), fill=colour)

    def lines(
        self,
        pitch: float,
        colour: Rgb,
        width: int = 1,
        box: tuple[float, float, float, float] | None = None,
        *,
        rows: bool = True,
        columns: bool = True,
    ) -> None:
        """Rule a box, the whole sheet by default, every `pitch` pixels."""
        x0, y0, x1, y1 = box or (0, 0, self.width, self.height)
        if columns:
            for x in np.arange(x0, x1 + 1, pitch):
                self.pen.line([(x, y0), (x, y1)], fill=colour, width=width)
        if rows:
            for y in np.arange(y0, y1 + 1, pitch):
                self.pen.line([(x0, y), (x1, y)], fill=colour, width=width)

    def curve(
        self, x: Sequence[float] | NDArray, y: Sequence[float] | NDArray, colour: Rgb = INK, width=2
    ) -> None:
        """Draw a polyline."""
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        self.pen.line(points, fill=colour, width=width, joint="curve")

    def paragraph(self, rng: Rng, box: tuple[float, float, float, float], size: float = 15) -> None:
        """Fill a box with lines of words."""
        x0, y, x1, y1 = box
        while y < y1 - size:
            line = ""
            while len(line) * size * 0.56 < (x1 - x0) * rng.uniform(0.86, 0.95):
                line += " " * bool(line) + str(rng.choice(_WORDS))
            self.write(x0, y, line, size)
            y += size * 1.5

    def graph_paper(self, px_per_mm: float, minor: Rgb, major: Rgb) -> None:
        """Rule the sheet like millimetre paper."""
        self.lines(px_per_mm, minor)
        self.lines(5 * px_per_mm, major, 2)


def wander(rng: Rng, n: int, smooth: float) -> NDArray[np.floating]:
    """Return n points of a smooth random curve with unit standard deviation and no trend."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    frequency = np.arange(len(spectrum)) * smooth / n
    curve = np.fft.irfft(spectrum * np.exp(-0.5 * frequency**2), n)
    curve -= curve.mean()
    return curve / curve.std()


def clouds(rng: Rng, size: tuple[int, int], power: float) -> NDArray[np.floating]:
    """Return (height, width) random clouds in 0..1 whose amplitude falls with frequency^power."""
    width, height = size
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = 1.0
    noise = np.fft.rfft2(rng.normal(size=(height, width))) / radius**power
    noise[0, 0] = 0
    field = np.fft.irfft2(noise, (height, width))
    return np.asarray(np.clip(0.5 + 0.2 * field / field.std(), 0, 1))
