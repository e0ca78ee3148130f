"""Regenerate the pictures of the documentation: `python docs/make_pictures.py`.

Everything is drawn from invented recordings with fixed seeds and goes through the pipeline as any
picture would. Names of the files are those that README.md and the tutorials show.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.errors import DigitizationError
from cinc_ecg.report.overlay import draw_overlay
from cinc_ecg.report.replot import draw_signal
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import EcgImage, Signal

FOLDER = Path(__file__).parent / "images"
MAX_BYTES = 250_000
#: Widths and qualities to choose from; a browser shows pictures hardly wider.
_WIDTHS_PX = (1200, 1050, 900, 750)
_QUALITIES = (85, 75, 65)


def page(seed: int, values: dict[str, object], steps: tuple[Step, ...] = ()) -> EcgImage:
    """Print an invented recording on a page and spoil it."""
    image, truth = render(
        simulate(seed=seed), with_values(PageSettings(), values), seed=seed, header=None
    )
    image, _ = apply(image, truth, steps, np.random.default_rng(seed))
    return image


def clean() -> list[np.ndarray]:
    """The standard page with what was read drawn over it."""
    image = page(3, {})
    return [draw_overlay(image, digitize(image))]


def photo() -> list[np.ndarray]:
    """The same kind of page, photographed; what was read drawn over it."""
    steps = (Step("photograph", {"corner_shift": 0.05, "rotation_deg": 8.0, "shadow": 0.4}),)
    image = page(11, {"paper.dpi": 300.0}, steps)
    return [draw_overlay(image, digitize(image))]


def layouts() -> list[np.ndarray]:
    """Another layout and paper; read, and drawn again."""
    values = {
        "layout.template": "6x2+1",
        "layout.columns": "simultaneous",
        "grid.minor_colour": (190, 215, 190),
        "grid.major_colour": (90, 150, 90),
    }
    image = page(5, values)
    result = digitize(image)
    return [draw_overlay(image, result), draw_signal(result.signal)]


def replot() -> list[np.ndarray]:
    """The clean page's signals on standard paper."""
    signal: Signal = digitize(page(3, {})).signal
    return [draw_signal(signal)]


def chart() -> EcgImage:
    """A picture that is no electrocardiogram but has a grid and curves: a sheet of graph paper."""
    size = (1400, 1000)
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for k in range(0, size[0], 8):
        colour = (225, 160, 160) if k % 40 == 0 else (250, 220, 220)
        draw.line([(k, 0), (k, size[1])], colour)
        draw.line([(0, k), (size[0], k)], colour)
    x = np.linspace(120, 1280, 400)
    price = 620 + 90 * np.sin(x / 210) - 0.25 * (x - 120)
    draw.line([(120, 880), (1280, 880)], (20, 20, 20), 3)
    draw.line([(120, 140), (120, 880)], (20, 20, 20), 3)
    draw.line(list(zip(x.tolist(), price.tolist(), strict=True)), (20, 20, 90), 4)
    draw.text((560, 60), "Water level, station 4", (20, 20, 20), font_size=32)
    draw.text((640, 910), "day of the year", (20, 20, 20), font_size=26)
    return EcgImage(np.asarray(sheet), "water-level.png")


def refusal() -> list[np.ndarray]:
    """Graph paper with a curve that is no electrocardiogram, and what is said about it."""
    image = chart()
    try:
        digitize(image)
    except DigitizationError as error:
        return [image.pixels, _message(f"[{error.reason_code}] {error}", image.width)]
    raise AssertionError("the chart was taken for an electrocardiogram")


def _message(text: str, width_px: int) -> np.ndarray:
    """Write a message as a terminal would show it."""
    words, lines = f"cinc-ecg: {text}".split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > width_px // 15:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    strip = Image.new("RGB", (width_px, 44 * len(lines) + 30), (28, 28, 32))
    draw = ImageDraw.Draw(strip)
    for k, line in enumerate(lines):
        draw.text((24, 18 + 44 * k), line, (240, 200, 120), font_size=28)
    return np.asarray(strip)


PICTURES = {
    "clean.jpg": clean,
    "photo.jpg": photo,
    "layouts.jpg": layouts,
    "replot.jpg": replot,
    "refusal.jpg": refusal,
}


def stack(pictures: list[np.ndarray], width_px: int) -> np.ndarray:
    """Put pictures of one width below one another."""
    fitted = []
    for picture in pictures:
        height = round(picture.shape[0] * width_px / picture.shape[1])
        fitted.append(cv2.resize(picture, (width_px, height), interpolation=cv2.INTER_AREA))
    gap = np.full((12, width_px, 3), 255, np.uint8)
    parts = [part for picture in fitted for part in (gap, picture)][1:]
    return np.vstack(parts)


def write(name: str, pictures: list[np.ndarray], folder: Path) -> int:
    """Store pictures in the best size and quality that fit; return the bytes."""
    for width_px in _WIDTHS_PX:
        pixels = Image.fromarray(stack(pictures, width_px))
        for quality in _QUALITIES:
            pixels.save(folder / name, quality=quality, optimize=True)
            size = (folder / name).stat().st_size
            if size <= MAX_BYTES:
                return size
    raise ValueError(f"{name}: {size} bytes even at {width_px} px and quality {quality}")


def main(argv: list[str] | None = None) -> int:
    """Draw all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PICTURES)}; all otherwise")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PICTURES:
        size = write(name, PICTURES[name](), arguments.out)
        sys.stdout.write(f"{arguments.out / name}: {size // 1000} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
