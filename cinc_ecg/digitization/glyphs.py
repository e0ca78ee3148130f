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

from cinc_ecg.digitization.stroke_face import GLYPHS, advance, draw_glyph
from cinc_ecg.errors import ConfigError

FloatMap = NDArray[np.float32]

#: Faces the templates are drawn from: sans, typewriter and serif of matplotlib in two weights and
#: slanted, and the strokes of `stroke_face` with two pens.
FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif-Italic",
    "Strokes",
    "Strokes-Bold",
)
_PENS = {"Strokes": 0.11, "Strokes-Bold": 0.19}
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


@lru_cache(maxsize=256)
def _font(face: str, cap_px: int) -> tuple[ImageFont.FreeTypeFont, int]:
    """Return a face at a size whose capital V is about `cap_px` high, and the row of its top."""
    path = font_path(face)
    if path is None:
        raise ConfigError("No fonts to read lead names with: install matplotlib, it brings them.")
    trial = ImageFont.truetype(str(path), 200)
    _, top, _, bottom = trial.getbbox("V")
    font = ImageFont.truetype(str(path), 200.0 * cap_px / (bottom - top))
    return font, round(font.getbbox("V")[1])


@lru_cache(maxsize=8192)
def typeset(text: str, face: str, cap_px: int) -> FloatMap:
    """Draw a text glyph by glyph on one canvas.

    Args:
        face: One of `FACES`, with "@0.85" appended to draw it that much narrower.
        cap_px: Height of capitals.

    Returns:
        (n_glyphs, height, width) float32, 1 where ink is; the capitals' top is row `cap_px // 2`,
        the text's origin column `cap_px` (times the stretch).
    """
    face, _, stretch = face.partition("@")
    if stretch:
        plain = typeset(text, face, cap_px)
        width = max(round(plain.shape[2] * float(stretch)), 1)
        wide = [
            cv2.resize(glyph, (width, plain.shape[1]), interpolation=cv2.INTER_LINEAR)
            for glyph in plain
        ]
        return np.stack(wide)
    top, left = cap_px // 2, float(cap_px)
    if face in _PENS:
        pen = _PENS[face]
        starts = np.cumsum([0.0, *(advance(glyph, pen) * cap_px for glyph in text)])
        size = (int(starts[-1]) + 2 * cap_px, 2 * cap_px)
        fine = np.zeros((len(text), 4 * size[1], 4 * size[0]), np.uint8)
        for canvas, glyph, x in zip(fine, text, starts, strict=False):
            draw_glyph(canvas, glyph, (4 * (left + x), 4.0 * top), 4.0 * cap_px, pen)
        small = [cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) for canvas in fine]
        return np.stack(small).astype(np.float32) / 255.0
    font, cap_row = _font(face, cap_px)
    glyphs = []
    for i, glyph in enumerate(text):
        x = font.getlength(text[: i + 1]) - font.getlength(glyph)
        picture = Image.new("L", (int(font.getlength(text)) + 2 * cap_px, 2 * cap_px), 0)
        pen_at = (left + x, top - cap_row)
        ImageDraw.Draw(picture).text(pen_at, glyph, font=font, fill=255)
        glyphs.append(np.asarray(picture, np.float32) / 255.0)
    return np.stack(glyphs)


def ink_box(ink: FloatMap) -> tuple[slice, slice]:
    """Return the rows and columns that hold the ink of a drawing."""
    rows = np.flatnonzero(ink.max(axis=1) > 0.3)
    columns = np.flatnonzero(ink.max(axis=0) > 0.3)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@lru_cache(maxsize=8192)
def render(text: str, face: str, cap_px: int) -> FloatMap:
    """Draw a text and cut it to its ink: float32, 1 where ink is."""
    ink = typeset(text, face, cap_px).max(axis=0)
    return np.asarray(ink[ink_box(ink)], np.float32)


def render_once(text: str, face: str, cap_px: int) -> FloatMap:
    """Draw a text as `render` does, in one piece and without keeping it: for long texts."""
    if face in _PENS:
        ink = typeset.__wrapped__(text, face, cap_px).max(axis=0)
    else:
        font, cap_row = _font(face, cap_px)
        picture = Image.new("L", (int(font.getlength(text)) + 2 * cap_px, 2 * cap_px), 0)
        pen_at = (cap_px, cap_px // 2 - cap_row)
        ImageDraw.Draw(picture).text(pen_at, text, font=font, fill=255)
        ink = np.asarray(picture, np.float32) / 255.0
    return np.asarray(ink[ink_box(ink)], np.float32)


def has(text: str, face: str) -> bool:
    """Tell whether a face has all glyphs of a text."""
    return face not in _PENS or all(glyph in GLYPHS for glyph in text)


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
    blank = np.zeros((_HEIGHT + 2 * _MARGIN) * width, np.float32)
    vectors = [
        normalise(render(text, face, 2 * _HEIGHT), width, stretch) if has(text, face) else blank
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
