"""PDF pages as pictures: the embedded scan at its own resolution, or a rendering.

A page that is one scanned picture is never resampled.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import ImageError
from cinc_ecg.io.pdf_file import count_pages, is_pdf, opened_page, page_size_pt
from cinc_ecg.io.pdf_objects import (
    PathObject,
    Placed,
    TextObject,
    compose,
    path_objects,
    text_objects,
    to_view_map,
    walk,
)

__all__ = [
    "PathObject",
    "TextObject",
    "count_pages",
    "is_pdf",
    "page_size_pt",
    "path_objects",
    "read_page",
    "text_objects",
]

_MIN_DPI = 50.0
_MAX_NATIVE_DPI = 600.0
#: Share of the page that a scan must cover to be the page.
_FULL_PAGE = 0.9


def read_page(
    path: Path,
    page: int,
    *,
    max_pixels: int,
    dpi: float,
    decode_jpeg: Callable[[bytes, int], NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], float]:
    """Return a page as (height, width, 3) uint8 RGB and its resolution in dpi.

    A page made of one full-page scan gives the scan's own pixels; any other page is drawn at `dpi`,
    or finer where a picture on it is finer, within the pixel budget.

    Args:
        path: PDF file.
        page: From 0.
        max_pixels: Largest result.
        dpi: Resolution for pages without a full-page scan.
        decode_jpeg: Decoder of embedded JPEG data (data, max_pixels), the same as for JPEG files,
            so that a scan gives the same pixels in either container.

    Raises:
        ImageError: damaged, encrypted, empty, no such page, or a page too large to draw.
    """
    with opened_page(path, page) as handle:
        width_pt, height_pt = handle.get_size()
        _check_size(path, width_pt, height_pt)
        budget_dpi = 72.0 * math.sqrt(max_pixels / (width_pt * height_pt))
        if budget_dpi < _MIN_DPI:
            raise ImageError(
                f"{path}: page {page + 1} measures {width_pt / 72:.0f} x {height_pt / 72:.0f} "
                "inches; no recording is that large",
                code="pdf_page_size",
            )
        objects = list(walk(handle))
        native = _largest_picture(path, objects, max_pixels)
        if native is not None:
            native_dpi = _picture_dpi(native)
            pixels = _full_page_scan(handle, objects, native, max_pixels, decode_jpeg)
            if pixels is not None:
                return pixels, native_dpi
            dpi = max(dpi, min(native_dpi, _MAX_NATIVE_DPI))
        dpi = min(dpi, budget_dpi * 0.999)
        bitmap = handle.render(
            scale=dpi / 72.0, fill_color=(255, 255, 255, 255), rev_byteorder=True
        )
        pixels = np.asarray(bitmap.to_numpy())
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
        return np.array(pixels, order="C"), dpi


def _check_size(path: Path, width_pt: float, height_pt: float) -> None:
    usable = math.isfinite(width_pt) and math.isfinite(height_pt) and min(width_pt, height_pt) > 1.0
    if not usable:
        raise ImageError(f"{path}: a page has no area", code="pdf_page_size")


def _picture_size(raw: Any) -> tuple[int, int]:
    import pypdfium2.raw as pdfium_c

    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium_c.FPDFImageObj_GetImagePixelSize(raw, width, height)
    return int(width.value), int(height.value)


def _largest_picture(path: Path, objects: list[Placed], max_pixels: int) -> Placed | None:
    """Return the picture that covers most of the page; refuse pictures beyond the budget."""
    import pypdfium2.raw as pdfium_c

    pictures = [item for item in objects if item.kind == pdfium_c.FPDF_PAGEOBJ_IMAGE]
    for item in pictures:
        width, height = _picture_size(item.raw)
        if width * height > max_pixels:
            raise ImageError(
                f"{path}: holds a picture of {width * height / 1e6:.0f} megapixels, more than the "
                f"{max_pixels / 1e6:.0f} allowed",
                code="image_too_large",
            )
    return max(pictures, key=lambda item: abs(np.linalg.det(item.matrix[:, :2])), default=None)


def _picture_dpi(item: Placed) -> float:
    width, height = _picture_size(item.raw)
    area_pt = abs(float(np.linalg.det(item.matrix[:, :2])))
    return 72.0 * math.sqrt(width * height / area_pt) if area_pt > 0 and width * height else 72.0


def _full_page_scan(
    handle: Any,
    objects: list[Placed],
    picture: Placed,
    max_pixels: int,
    decode_jpeg: Callable[[bytes, int], NDArray[np.uint8]],
) -> NDArray[np.uint8] | None:
    """Return the scan's own pixels, turned as displayed, or None when the page is more than a
    scan."""
    import pypdfium2
    import pypdfium2.raw as pdfium_c

    (left, bottom, right, top) = handle.get_bbox()
    covered = abs(float(np.linalg.det(picture.matrix[:, :2])))
    others = [
        item
        for item in objects
        if item is not picture
        and not (item.kind == pdfium_c.FPDF_PAGEOBJ_TEXT and _unseen(item.raw))
    ]
    if others or covered < _FULL_PAGE * (right - left) * (top - bottom):
        return None
    turns = _upright_turns(compose(to_view_map(handle), picture.matrix))
    if turns is None or pdfium_c.FPDFPageObj_HasTransparency(picture.raw):
        return None
    image = pypdfium2.PdfImage(picture.raw, page=handle, pdf=handle.pdf)
    if image.get_filters() == ["DCTDecode"] and image.get_metadata().colorspace != _cmyk():
        pixels = decode_jpeg(bytes(image.get_data(decode_simple=False)), max_pixels)
    else:
        pixels = _bitmap_rgb(image.get_bitmap(render=False))
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _cmyk() -> int:
    import pypdfium2.raw as pdfium_c

    return int(pdfium_c.FPDF_COLORSPACE_DEVICECMYK)


def _unseen(raw: Any) -> bool:
    """Tell the invisible text layer that OCR lays over a scan."""
    import pypdfium2.raw as pdfium_c

    mode = pdfium_c.FPDFTextObj_GetTextRenderMode(raw)
    return bool(mode == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE)


def _upright_turns(to_view: NDArray[np.float64]) -> int | None:
    """Return how often np.rot90 must turn the stored picture, or None for mirrored or skewed ones.

    The unit square of a picture has its top edge at y = 1.
    """
    right, up = to_view[:, 0], to_view[:, 1]
    tolerance = 1e-3 * float(np.abs(to_view[:, :2]).max())
    directions = {
        (1, 0, 0, -1): 0,
        (0, -1, -1, 0): 1,
        (-1, 0, 0, 1): 2,
        (0, 1, 1, 0): 3,
    }
    signs = tuple(
        int(np.sign(v)) if abs(v) > tolerance else 0 for v in (*right.tolist(), *up.tolist())
    )
    return directions.get(signs)  # type: ignore[arg-type]


def _bitmap_rgb(bitmap: Any) -> NDArray[np.uint8]:
    pixels = np.asarray(bitmap.to_numpy())
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])
