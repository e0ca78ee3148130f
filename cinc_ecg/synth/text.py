"""Printed text in the fonts that come with matplotlib and Pillow; no system font is needed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cinc_ecg.errors import ConfigError

BUILTIN_FONT = "builtin"
#: Fonts for everyday pages. The published benchmark uses other families (benchmarks/pages.py).
DEFAULT_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
)


@lru_cache(maxsize=64)
def load_font(name: str, size_px: float) -> ImageFont.FreeTypeFont:
    """Load a font by its file name among matplotlib's, or "builtin"; `size_px` is the em height.

    Raises:
        ConfigError: No such font.
    """
    if name == BUILTIN_FONT:
        font = ImageFont.load_default(size_px)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    path = _font_folder() / name
    if not path.is_file():
        known = ", ".join(sorted(file.name for file in _font_folder().glob("*.ttf")))
        raise ConfigError(f"font {name!r} is not there; use {BUILTIN_FONT!r} or one of {known}")
    return ImageFont.truetype(str(path), size_px)


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=256)
def text_coverage(text: str, font_name: str, size_px: float) -> NDArray[np.float32]:
    """Return the ink of one line of text as (h, w) coverage, trimmed to its bounding box."""
    font = load_font(font_name, size_px)
    left, top, right, bottom = font.getbbox(text)
    size = (max(int(right - left) + 4, 1), max(int(bottom - top) + 4, 1))
    canvas = Image.new("L", size)
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), text, fill=255, font=font)
    ink = np.asarray(canvas).astype(np.float32) / np.float32(255)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        return np.zeros((0, 0), np.float32)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    ink.setflags(write=False)
    return ink
