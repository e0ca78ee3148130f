"""What a PDF page draws: its objects with all transforms applied.

Frame of paths and text: points (1/72 inch) on the page as displayed, x right, y down, origin at the
top left.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import ImageError
from cinc_ecg.io.pdf_file import opened_page

Rgba = tuple[int, int, int, int]
_MAX_DEPTH = 8
_MAX_SEGMENTS = 1_000_000
_CURVE_STEPS = 8


@dataclass(frozen=True, slots=True)
class PathObject:
    """One drawn line or shape: a subpath of a PDF path object.

    Attributes:
        points_pt: (n, 2) vertices; curves are flattened.
        stroke: RGBA 0..255 of its outline, or None when it is not stroked.
        fill: RGBA of its inside, or None.
        width_pt: Stroke width with the transform's scale.
        closed: True when the last vertex joins the first.
    """

    points_pt: NDArray[np.float64]
    stroke: Rgba | None
    fill: Rgba | None
    width_pt: float
    closed: bool


@dataclass(frozen=True, slots=True)
class TextObject:
    """A piece of text and its box (x0, y0, x1, y1) in points."""

    text: str
    box_pt: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Placed:
    """A page object with the transform from its own coordinates to PDF user space."""

    raw: Any
    kind: int
    matrix: NDArray[np.float64]


def path_objects(path: Path, page: int = 0) -> list[PathObject]:
    """Return every drawn path of a page, with all transforms applied.

    Raises:
        ImageError: as `count_pages`; pdf_too_complex beyond a million vertices.
    """
    import pypdfium2.raw as pdfium_c

    found: list[PathObject] = []
    total = 0
    with opened_page(path, page) as handle:
        to_view = to_view_map(handle)
        for item in walk(handle):
            if item.kind != pdfium_c.FPDF_PAGEOBJ_PATH:
                continue
            total += max(0, pdfium_c.FPDFPath_CountSegments(item.raw))
            if total > _MAX_SEGMENTS:
                raise ImageError(f"{path}: page {page + 1} is too complex", code="pdf_too_complex")
            found += _read_path(item, to_view)
    return found


def text_objects(path: Path, page: int = 0) -> list[TextObject]:
    """Return the words and lines of text a page prints, with their boxes.

    Raises:
        ImageError: as `count_pages`.
    """
    with opened_page(path, page) as handle:
        to_view = to_view_map(handle)
        text_page = handle.get_textpage()
        found = []
        for k in range(text_page.count_rects()):
            left, bottom, right, top = text_page.get_rect(k)
            text = text_page.get_text_bounded(left, bottom, right, top).strip()
            corners = apply(to_view, np.array([[left, bottom], [right, top]]))
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            if text:
                found.append(TextObject(text, (float(x0), float(y0), float(x1), float(y1))))
        text_page.close()
        return found


def _matrix_of(raw: Any) -> NDArray[np.float64]:
    """Return an object's matrix as the (2, 3) affine map of column vectors."""
    import pypdfium2.raw as pdfium_c

    m = pdfium_c.FS_MATRIX()
    if not pdfium_c.FPDFPageObj_GetMatrix(raw, m):
        return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return np.array([[m.a, m.c, m.e], [m.b, m.d, m.f]], dtype=np.float64)


def compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) affine map that applies `inner`, then `outer`."""
    full = np.vstack([inner, [0.0, 0.0, 1.0]])
    return outer @ full


def apply(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a (2, 3) affine map to (n, 2) points."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def walk(handle: Any) -> Iterator[Placed]:
    """Yield all page objects, those inside form XObjects included, with their full transforms."""
    import pypdfium2.raw as pdfium_c

    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    def visit(
        count: int, get: Callable[[int], Any], outer: NDArray[np.float64], depth: int
    ) -> Iterator[Placed]:
        for k in range(count):
            raw = get(k)
            if not raw:
                continue
            kind = pdfium_c.FPDFPageObj_GetType(raw)
            matrix = compose(outer, _matrix_of(raw))
            if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
                yield Placed(raw, kind, matrix)
            elif depth < _MAX_DEPTH:
                yield from visit(
                    pdfium_c.FPDFFormObj_CountObjects(raw),
                    lambda j, form=raw: pdfium_c.FPDFFormObj_GetObject(form, j),  # type: ignore[misc]
                    matrix,
                    depth + 1,
                )

    page = handle.raw
    count = pdfium_c.FPDFPage_CountObjects(page)
    yield from visit(count, lambda j: pdfium_c.FPDFPage_GetObject(page, j), identity, 0)


def to_view_map(handle: Any) -> NDArray[np.float64]:
    """Return the map from PDF user space to the displayed page (y down, crop box, rotation)."""
    left, bottom, right, top = handle.get_bbox()
    width, height = right - left, top - bottom
    turns = int(handle.get_rotation()) // 90 % 4
    unturned = np.array([[1.0, 0.0, -left], [0.0, -1.0, top]])
    turned = {
        0: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        1: [[0.0, -1.0, height], [1.0, 0.0, 0.0]],
        2: [[-1.0, 0.0, width], [0.0, -1.0, height]],
        3: [[0.0, 1.0, 0.0], [-1.0, 0.0, width]],
    }[turns]
    return compose(np.array(turned), unturned)


def _colour(raw: Any, getter: Callable[..., int]) -> Rgba:
    channels = [ctypes.c_uint() for _ in range(4)]
    if not getter(raw, *channels):
        return (0, 0, 0, 255)
    r, g, b, a = (int(c.value) for c in channels)
    return r, g, b, a


def _read_path(item: Placed, to_view: NDArray[np.float64]) -> Iterator[PathObject]:
    import pypdfium2.raw as pdfium_c

    mode, stroked, width = ctypes.c_int(), ctypes.c_int(), ctypes.c_float()
    pdfium_c.FPDFPath_GetDrawMode(item.raw, mode, stroked)
    pdfium_c.FPDFPageObj_GetStrokeWidth(item.raw, width)
    matrix = compose(to_view, item.matrix)
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    stroke = _colour(item.raw, pdfium_c.FPDFPageObj_GetStrokeColor) if stroked.value else None
    fill = _colour(item.raw, pdfium_c.FPDFPageObj_GetFillColor) if mode.value else None
    for points, closed in _subpaths(item.raw):
        placed = apply(matrix, np.asarray(points, dtype=np.float64))
        if np.isfinite(placed).all():
            yield PathObject(placed, stroke, fill, float(width.value) * scale, closed)


def _subpaths(raw: Any) -> Iterator[tuple[list[tuple[float, float]], bool]]:
    """Split a path into its subpaths, curves flattened."""
    import pypdfium2.raw as pdfium_c

    points: list[tuple[float, float]] = []
    control: list[tuple[float, float]] = []
    closed = False
    x, y = ctypes.c_float(), ctypes.c_float()
    for k in range(pdfium_c.FPDFPath_CountSegments(raw)):
        segment = pdfium_c.FPDFPath_GetPathSegment(raw, k)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        here = (x.value, y.value)
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            if len(points) > 1:
                yield points, closed
            points, control, closed = [here], [], False
        elif kind == pdfium_c.FPDF_SEGMENT_BEZIERTO:
            control.append(here)
            if len(control) == 3:
                points += _flatten([points[-1] if points else control[0], *control])
                control = []
        else:
            points.append(here)
        closed = closed or bool(pdfium_c.FPDFPathSegment_GetClose(segment))
    if len(points) > 1:
        yield points, closed


def _flatten(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sample a cubic Bezier curve (start, two controls, end), without its start."""
    t = np.linspace(0.0, 1.0, _CURVE_STEPS + 1)[1:, None]
    p0, p1, p2, p3 = (np.asarray(point) for point in curve)
    line = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
    return [(float(x), float(y)) for x, y in line]
