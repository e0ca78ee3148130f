"""Opening PDF files: every failure of PDFium becomes one clear line."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cinc_ecg.errors import ImageError


def is_pdf(path: Path) -> bool:
    """Tell a PDF by its first kilobyte, where readers look for the signature."""
    try:
        with path.open("rb") as stream:
            return b"%PDF-" in stream.read(1024)
    except OSError:
        return False


def count_pages(path: Path) -> int:
    """Return the number of pages.

    Raises:
        ImageError: damaged, encrypted or empty document.
    """
    with opened_document(path) as document:
        return len(document)


def page_size_pt(path: Path, page: int = 0) -> tuple[float, float]:
    """Return (width, height) of a page as displayed."""
    with opened_page(path, page) as handle:
        width, height = handle.get_size()
        return float(width), float(height)


@contextmanager
def opened_document(path: Path) -> Iterator[Any]:
    """Open a document; every PDFium failure becomes an ImageError."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file", code="image_missing") from None
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).casefold():
            raise ImageError(
                f"{path}: is encrypted; remove the password first", code="pdf_encrypted"
            ) from None
        raise ImageError(f"{path}: is a damaged PDF ({error}); export it again") from error
    try:
        if len(document) == 0:
            raise ImageError(f"{path}: the PDF has no pages", code="pdf_empty")
        yield document
    except (pypdfium2.PdfiumError, ctypes.ArgumentError, ValueError, OverflowError) as error:
        raise ImageError(f"{path}: is a damaged PDF ({error}); export it again") from error
    finally:
        document.close()


@contextmanager
def opened_page(path: Path, page: int) -> Iterator[Any]:
    """Open one page, from 0."""
    with opened_document(path) as document:
        if not 0 <= page < len(document):
            raise ImageError(
                f"{path}: has {len(document)} page(s), there is no page {page + 1}",
                code="image_no_such_page",
            )
        handle = document[page]
        try:
            yield handle
        finally:
            handle.close()
