"""Printed glyphs: templates drawn from a few open faces, and how like a piece of ink is to each.

A glyph or a word is brought to one height on a common canvas and compared by normalised
correlation, so that size and darkness play no part, width little and stroke weight only through the
bold faces. No weights are trained.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cinc_ecg.errors import ConfigError

FloatMap = NDArray[np.float32]

#: Faces the templates are drawn from: sans, serif and typewriter, two weights; matplotlib installs
#: them.
FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
)
#: Height of a normalised glyph on its canvas, and the margin around it.
_HEIGHT = 20
_MARGIN = 2
#: Widths relative to the face's own that a template is tried at.
_WIDTHS = (0.84, 1.0, 1.19)


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """Normalised templates of several texts, each in every face at a few widths.

    Attributes:
        texts: The texts.
        faces: The faces, names as in `FACES`.
        vectors: (n_texts * n_faces * n_widths, height * width) float32, zero mean and unit length.
        width: Canvas width in pixels.
    """

    texts: tuple[str, ...]
    faces: tuple[str, ...]
    vectors: FloatMap
    width: int


def font_path(face: str) -> Path | None:
    """Return the file of a face that matplotlib installs, without importing it."""
    spec = importlib.util.find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf"
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=64)
def font(face: str, cap_px: int) -> ImageFont.FreeTypeFont:
    """Return a face at a size whose capital V is about `cap_px` high."""
    path = font_path(face)
    if path is None:
        fallback = ImageFont.load_default(cap_px * 1.4)
        if not isinstance(fallback, ImageFont.FreeTypeFont):
            raise ConfigError(
                "No fonts to read lead names with: install matplotlib, it brings them."
            )
        return fallback
    trial = ImageFont.truetype(str(path), 200)
    _, top, _, bottom = trial.getbbox("V")
    return ImageFont.truetype(str(path), 200.0 * cap_px / (bottom - top))


@lru_cache(maxsize=4096)
def render(text: str, face: str, cap_px: int) -> FloatMap:
    """Draw a text and cut it to its ink: float32, 1 where ink is."""
    typeface = font(face, cap_px)
    x0, y0, x1, y1 = typeface.getbbox(text)
    picture = Image.new("L", (int(x1 - x0) + 4, int(y1 - y0) + 4), 0)
    ImageDraw.Draw(picture).text((2 - x0, 2 - y0), text, font=typeface, fill=255)
    ink = np.asarray(picture, np.float32) / 255.0
    rows = np.flatnonzero(ink.max(axis=1) > 0.3)
    columns = np.flatnonzero(ink.max(axis=0) > 0.3)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def canvas_width(max_aspect: float) -> int:
    """Return the canvas width that holds a glyph of the given width over height."""
    return round(_HEIGHT * max_aspect) + 2 * _MARGIN


def normalise(ink: FloatMap, width: int, stretch: float = 1.0) -> FloatMap:
    """Bring a tight crop of ink to the canvas as a zero-mean unit vector.

    Args:
        ink: (h, w) float32, 0..1, cut to its ink.
        width: Canvas width; what does not fit is squeezed.
        stretch: Additional factor on the width.
    """
    h, w = ink.shape
    target = min(max(round(w * _HEIGHT / h * stretch), 1), width - 2 * _MARGIN)
    method = cv2.INTER_AREA if h > _HEIGHT else cv2.INTER_LINEAR
    small = cv2.resize(ink, (target, _HEIGHT), interpolation=method)
    canvas = np.zeros((_HEIGHT + 2 * _MARGIN, width), np.float32)
    left = (width - target) // 2
    canvas[_MARGIN : _MARGIN + _HEIGHT, left : left + target] = small
    vector = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.float32).ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


@lru_cache(maxsize=16)
def template_set(
    texts: tuple[str, ...], max_aspect: float, faces: tuple[str, ...] = FACES
) -> TemplateSet:
    """Return normalised templates of every text in every face.

    `max_aspect` is the width over height of the widest of them.
    """
    width = canvas_width(max_aspect)
    vectors = [
        normalise(render(text, face, 2 * _HEIGHT), width, stretch)
        for text in texts
        for face in faces
        for stretch in _WIDTHS
    ]
    return TemplateSet(texts, faces, np.stack(vectors), width)


def likeness(crops: Sequence[FloatMap], templates: TemplateSet) -> FloatMap:
    """Return the correlation of crops with texts, the best over widths.

    Returns:
        (n_crops, n_texts, n_faces), -1..1.
    """
    shape = (len(crops), len(templates.texts), len(templates.faces), len(_WIDTHS))
    if not crops:
        return np.zeros(shape[:3], np.float32)
    vectors = np.stack([normalise(crop, templates.width) for crop in crops])
    best: FloatMap = (vectors @ templates.vectors.T).reshape(shape).max(axis=3)
    return best
