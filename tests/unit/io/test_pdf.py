import numpy as np
import pypdfium2 as pdfium
import pytest
from pdf_bytes import make_pdf
from PIL import Image

from cinc_ecg.errors import ImageError
from cinc_ecg.io import pdf
from cinc_ecg.io.images import ReadLimits, count_pages, read_image, read_pages

LINE = "1 0 0 RG 2 w 100 700 m 300 700 l 300 600 l S"


def write(tmp_path, contents, name="a.pdf", **options):
    path = tmp_path / name
    path.write_bytes(make_pdf(contents, **options))
    return path


def code_of(call, *args, **options):
    with pytest.raises(ImageError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return caught.value.reason_code


def test_a_drawn_page_is_rendered_at_the_asked_dpi(tmp_path):
    path = write(tmp_path, [LINE, LINE])
    image = read_image(path, 1, limits=ReadLimits(pdf_dpi=144.0))
    assert image.pixels.shape == (1684, 1190, 3)
    assert image.dpi == pytest.approx(144.0)
    # Row 842 - 700 = 142 pt from the top, in the middle of the horizontal stroke.
    assert tuple(image.pixels[284, 400]) == (255, 0, 0)
    assert tuple(image.pixels[10, 10]) == (255, 255, 255)
    assert count_pages(path) == 2
    assert [page.page for page in read_pages(path)] == [0, 1]


def test_the_pixel_budget_lowers_the_dpi(tmp_path):
    image = read_image(write(tmp_path, [LINE]), limits=ReadLimits(max_pixels=1_000_000))
    assert image.width * image.height <= 1_000_000
    assert image.dpi == pytest.approx(72 * np.sqrt(1e6 / (595 * 842)), rel=0.01)


@pytest.mark.parametrize("side", [1e9, 57600])
def test_a_page_of_absurd_size_is_refused(tmp_path, side):
    assert code_of(read_image, write(tmp_path, [LINE], box=(0, 0, side, side))) == "pdf_page_size"


def test_the_largest_page_a_viewer_allows_is_drawn_within_the_budget(tmp_path):
    path = write(tmp_path, [LINE], box=(0, 0, 14400, 7200))
    image = read_image(path, limits=ReadLimits(max_pixels=60_000_000))
    assert 50_000_000 < image.width * image.height <= 60_000_000


def test_empty_damaged_and_encrypted_documents(tmp_path):
    assert code_of(count_pages, write(tmp_path, [])) in ("pdf_empty", "image_unreadable")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7\ngarbage")
    assert code_of(read_image, tmp_path / "b.pdf") == "image_unreadable"
    data = make_pdf([LINE]).replace(
        b"/Root 1 0 R",
        b"/Root 1 0 R /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"41" * 32 + b"> /U <"
        b"42" * 1 + b"43" * 31 + b"> >> /ID [<00> <00>]",
    )
    (tmp_path / "c.pdf").write_bytes(data)
    assert code_of(read_image, tmp_path / "c.pdf") == "pdf_encrypted"
    assert code_of(read_image, write(tmp_path, [LINE]), 1) == "image_no_such_page"


def scan(height=330, width=255, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save_lossless_pdf(path, pixels, rotation=0, size_pt=None):
    """Write a page that is one losslessly compressed picture."""
    document = pdfium.PdfDocument.new()
    height, width = pixels.shape[:2]
    w_pt, h_pt = size_pt or (width * 72 / 200, height * 72 / 200)
    page = document.new_page(w_pt, h_pt)
    image = pdfium.PdfImage.new(document)
    bitmap = pdfium.PdfBitmap.from_pil(Image.fromarray(pixels))
    image.set_bitmap(bitmap)
    image.set_matrix(pdfium.PdfMatrix().scale(w_pt, h_pt))
    page.insert_obj(image)
    page.set_rotation(rotation)
    page.gen_content()
    document.save(str(path))
    for item in (page, bitmap, document):
        item.close()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_full_page_scan_keeps_its_own_pixels(tmp_path, rotation):
    pixels = scan()
    save_lossless_pdf(tmp_path / "a.pdf", pixels, rotation)
    image = read_image(tmp_path / "a.pdf")
    np.testing.assert_array_equal(image.pixels, np.rot90(pixels, -rotation // 90))
    assert image.dpi == pytest.approx(200.0, rel=0.01)


def test_a_scan_with_drawing_on_top_is_rendered_no_coarser_than_the_scan(tmp_path):
    pixels = scan(1650, 1275)
    save_lossless_pdf(tmp_path / "a.pdf", pixels, size_pt=(230, 300))
    document = pdfium.PdfDocument(tmp_path / "a.pdf")
    page = document[0]
    path = pdfium.raw.FPDFPageObj_CreateNewRect(10, 10, 50, 50)
    pdfium.raw.FPDFPath_SetDrawMode(path, 1, 0)
    pdfium.raw.FPDFPage_InsertObject(page, path)
    page.gen_content()
    document.save(str(tmp_path / "b.pdf"))
    page.close()
    document.close()
    image = read_image(tmp_path / "b.pdf")
    assert image.height >= 1640
    assert image.pixels[-200, 150].max() == 0


def test_an_embedded_bomb_is_refused(tmp_path):
    save_lossless_pdf(tmp_path / "a.pdf", scan())
    assert code_of(read_image, tmp_path / "a.pdf", limits=ReadLimits(max_pixels=50_000)) == (
        "image_too_large"
    )


def test_paths_come_with_all_transforms_colours_and_widths(tmp_path):
    content = "q 2 0 0 2 10 20 cm 0 0 1 RG 1.5 w 0 0 m 10 0 l 10 5 l h S Q " + LINE
    first, second = pdf.path_objects(write(tmp_path, [content]))
    np.testing.assert_allclose(first.points_pt[:3], [[10, 822], [30, 822], [30, 812]], atol=1e-3)
    assert first.closed
    assert first.stroke == (0, 0, 255, 255)
    assert first.width_pt == pytest.approx(3.0)
    assert first.fill is None
    np.testing.assert_allclose(second.points_pt, [[100, 142], [300, 142], [300, 242]], atol=1e-3)
    assert not second.closed


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_path_frame_is_the_displayed_page(tmp_path, rotate):
    path = write(tmp_path, [LINE], rotate=rotate, crop=(50, 50, 400, 800))
    (drawn,) = pdf.path_objects(path)
    width, height = pdf.page_size_pt(path)
    image = read_image(path, limits=ReadLimits(pdf_dpi=72.0))
    assert (image.width, image.height) == (round(width), round(height))
    rows, columns = np.nonzero(image.pixels[..., 1] < 128)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    low, high = drawn.points_pt.min(axis=0), drawn.points_pt.max(axis=0)
    np.testing.assert_allclose(box, [*low, *high], atol=1.6)


def test_curves_are_flattened_and_forms_entered(tmp_path):
    (curve,) = pdf.path_objects(write(tmp_path, ["0 0 m 0 100 100 100 100 0 c S"]))
    assert len(curve.points_pt) == 9
    assert curve.points_pt[:, 1].min() == pytest.approx(842 - 75, abs=0.1)


def test_text_has_boxes(tmp_path):
    font = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    content = "BT /F1 12 Tf 72 700 Td (aVR) Tj ET BT /F1 12 Tf 300 100 Td (25 mm/s) Tj ET"
    texts = pdf.text_objects(write(tmp_path, [content], resources=font))
    assert [item.text for item in texts] == ["aVR", "25 mm/s"]
    x0, y0, x1, y1 = texts[0].box_pt
    assert 70 < x0 < 75
    assert 842 - 715 < y0 < y1 < 842 - 695
    assert x1 > x0
