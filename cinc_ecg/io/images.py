"""Pictures of any usual format into one kind of array: 8-bit RGB, upright by EXIF, alpha on white.

The format is told by content, never by the file's name. Sizes are checked before any pixel is
decoded, so a small file that claims a huge picture costs nothing.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from cinc_ecg.errors import ImageError
from cinc_ecg.io import pdf
from cinc_ecg.types import EcgImage

_LOG = logging.getLogger(__name__)
#: Decoders that may look at an unknown file; the rest of Pillow's (EPS runs a program) stays out.
_PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    BmpImagePlugin.DibImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    PpmImagePlugin.PpmImageFile,
)
_FORMATS = tuple(plugin.format for plugin in _PLUGINS)
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
#: What Pillow's decoders raise on damaged files besides OSError.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    ZeroDivisionError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_BLOCK_PX = 4_000_000


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a picture may cost.

    Attributes:
        max_pixels: Largest picture or PDF rendering, in pixels.
        min_side_px: Smallest width and height; no trace can be read below it.
        max_pages: Largest number of pages in one file.
        max_bytes: Largest file.
        pdf_dpi: Resolution at which PDF pages without a full-page scan are drawn.
    """

    max_pixels: int = 100_000_000
    min_side_px: int = 100
    max_pages: int = 500
    max_bytes: int = 1_000_000_000
    pdf_dpi: float = 300.0


DEFAULT_LIMITS = ReadLimits()


def count_pages(path: Path, *, limits: ReadLimits = DEFAULT_LIMITS) -> int:
    """Return how many pages a file has; only TIFF and PDF have more than one.

    Raises:
        ImageError: as `read_image`; image_too_many_pages beyond the limit.
    """
    source = _check_file(Path(path), limits)
    if pdf.is_pdf(source):
        n_pages = pdf.count_pages(source)
    else:
        with _opened(source) as image:
            n_pages = _count_frames(image, limits.max_pages)
    if n_pages > limits.max_pages:
        raise ImageError(
            f"{source}: more than {limits.max_pages} pages; split the file",
            code="image_too_many_pages",
        )
    return n_pages


def read_image(path: Path, page: int = 0, *, limits: ReadLimits = DEFAULT_LIMITS) -> EcgImage:
    """Decode one page of a picture file.

    Args:
        path: PNG, JPEG, BMP, WebP, TIFF, GIF, PDF, or HEIC (with the extra `heic`).
        page: From 0; only TIFF and PDF have more than one.
        limits: What it may cost.

    Raises:
        ImageError: with one of the codes image_missing, image_empty, image_truncated,
            image_unreadable, image_too_small, image_too_large, image_no_such_page,
            image_needs_extra, pdf_encrypted, pdf_empty, pdf_page_size.
    """
    source = _check_file(Path(path), limits)
    pixels, dpi = (_decode_pdf if pdf.is_pdf(source) else _decode)(source, page, limits)
    height, width = pixels.shape[:2]
    if min(height, width) < limits.min_side_px:
        raise ImageError(
            f"{source}: only {width}x{height} pixels; scan or photograph at a higher resolution",
            code="image_too_small",
        )
    return EcgImage(pixels=pixels, source=str(source), page=page, dpi=dpi)


def read_pages(path: Path, *, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[EcgImage]:
    """Decode all pages of a file, one at a time.

    Raises:
        ImageError: as `read_image`.
    """
    for page in range(count_pages(path, limits=limits)):
        yield read_image(path, page, limits=limits)


def _check_file(path: Path, limits: ReadLimits) -> Path:
    try:
        size = path.stat().st_size
        regular = path.is_file()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file", code="image_missing") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{path}: cannot be opened ({reason})", code="image_missing") from error
    if not regular:
        raise ImageError(f"{path}: is a folder or device, not a picture", code="image_missing")
    if size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes); copy it again", code="image_empty")
    if size > limits.max_bytes:
        raise ImageError(f"{path}: {size >> 20} MiB is too large a file", code="image_too_large")
    return path


@contextmanager
def _opened(source: Path | io.BytesIO) -> Iterator[Image.Image]:
    """Open a picture without decoding it, turning every decoder failure into an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here; odd metadata is no news
            opener = _open_heic if _is_heic(source) else _open_with_pillow
            with opener(source) as image:
                yield image
    except UnidentifiedImageError:
        raise ImageError(
            f"{_name(source)}: is no picture in a known format (PNG, JPEG, TIFF, PDF, ...)"
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{_name(source)}: claims more pixels than any scan has", code="image_too_large"
        ) from None
    except _DECODER_ERRORS as error:
        if isinstance(error, PermissionError):
            raise ImageError(f"{_name(source)}: no permission to read it") from None
        text = (str(error).splitlines() or [type(error).__name__])[0][:200]
        cut = any(
            word in text.casefold() for word in ("truncat", "eof", "end of file", "incomplete")
        )
        raise ImageError(
            f"{_name(source)}: {'is cut short' if cut else 'is damaged'} ({text}); copy it again",
            code="image_truncated" if cut else "image_unreadable",
        ) from error


def _open_with_pillow(source: Path | io.BytesIO) -> Image.Image:
    return Image.open(source, formats=_FORMATS)


def _is_heic(source: Path | io.BytesIO) -> bool:
    if isinstance(source, io.BytesIO):
        return False
    with source.open("rb") as stream:
        head = stream.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _open_heic(source: Path | io.BytesIO) -> Image.Image:
    try:
        from pi_heif import HeifImageFile
    except ImportError:
        raise ImageError(
            f"{_name(source)}: HEIC pictures need an extra: pip install 'cinc-ecg[heic]'",
            code="image_needs_extra",
        ) from None
    return cast(Image.Image, HeifImageFile(source))


def _name(source: Path | io.BytesIO) -> str:
    return str(source) if isinstance(source, Path) else "embedded picture"


def _count_frames(image: Image.Image, limit: int) -> int:
    """Count TIFF pages, giving up one past the limit; animations of other formats have one page."""
    if image.format != "TIFF":
        return 1
    # One by one: a long jump past the end makes Pillow misremember the number of pages.
    for frame in range(1, limit + 1):
        try:
            image.seek(frame)
        except EOFError:
            return frame
    return limit + 1


def _decode(
    source: Path | io.BytesIO, page: int, limits: ReadLimits
) -> tuple[NDArray[np.uint8], float | None]:
    with _opened(source) as image:
        n_pages = _count_frames(image, limits.max_pages)
        if not 0 <= page < n_pages:
            raise ImageError(
                f"{_name(source)}: has {n_pages} page(s), there is no page {page + 1}",
                code="image_no_such_page",
            )
        image.seek(page)
        width, height = image.size
        if width * height > limits.max_pixels:
            raise ImageError(
                f"{_name(source)}: {width}x{height} is {width * height / 1e6:.0f} megapixels, more "
                f"than the {limits.max_pixels / 1e6:.0f} allowed; reduce it",
                code="image_too_large",
            )
        if width * height == 0:
            raise ImageError(f"{_name(source)}: has no pixels", code="image_too_small")
        dpi = _stated_dpi(image)
        image.load()
        return to_rgb(_upright(image)), dpi


def _decode_pdf(
    source: Path, page: int, limits: ReadLimits
) -> tuple[NDArray[np.uint8], float | None]:
    return pdf.read_page(
        source,
        page,
        max_pixels=limits.max_pixels,
        dpi=limits.pdf_dpi,
        decode_jpeg=_decode_bytes,
    )


def _decode_bytes(data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """Decode a picture embedded in another file."""
    return _decode(io.BytesIO(data), 0, ReadLimits(max_pixels=max_pixels))[0]


def _stated_dpi(image: Image.Image) -> float | None:
    try:
        value = float(image.info["dpi"][0])
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if 10 <= value <= 10_000 else None


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a damaged EXIF block is no reason to refuse the picture."""
    try:
        return ImageOps.exif_transpose(image)
    except _DECODER_ERRORS as error:
        _LOG.warning("EXIF block ignored: %s", error)
        return image


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert any Pillow picture to (height, width, 3) uint8.

    16-bit samples keep their high byte, as Pillow itself does for 16-bit colour; transparency is
    laid on white; palettes, 1-bit, grey and CMYK become RGB.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _deep_to_8bit(np.asarray(image))
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        straight = image.convert("LA") if image.mode == "La" else image
        return _on_white(np.asarray(straight.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _deep_to_8bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.dtype == np.uint16 or values.dtype == np.dtype(">u2"):
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(finite.max(initial=0.0))
    # No depth is stated: take the smallest usual range that holds the values.
    full = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    if values.dtype.kind in "iu" and top <= 1.0:
        full = 255.0
    return np.clip(finite * (255.0 / full), 0, 255).astype(np.uint8)


def _on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture on white, in blocks of rows to bound memory."""
    height, width = rgba.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    step = max(1, _BLOCK_PX // max(width, 1))
    for top in range(0, height, step):
        block = rgba[top : top + step].astype(np.uint32)
        alpha = block[..., 3:]
        out[top : top + step] = (block[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return out
