import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.errors import ImageError
from cinc_ecg.io.images import ReadLimits, count_pages, read_image, read_pages


def make_pixels(seed=0, height=130, width=170):
    """A smooth picture, so that JPEG keeps it roughly."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def code_of(path, **options):
    with pytest.raises(ImageError) as caught:
        read_image(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value.reason_code


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    ihdr = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("png", {}),
        ("bmp", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("webp", {"lossless": True}),
        ("ppm", {}),
        ("wrong_name.jpg", {"format": "PNG"}),
    ],
)
def test_the_same_pixels_whatever_the_container(tmp_path, suffix, options):
    pixels = make_pixels()
    path = tmp_path / f"ä page.{suffix}"
    Image.fromarray(pixels).save(path, **options)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.dtype == np.uint8
    assert (image.source, image.page) == (str(path), 0)


def test_a_jpeg_is_the_same_alone_and_inside_a_pdf(tmp_path):
    Image.fromarray(make_pixels()).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.pdf", resolution=200.0, quality=90)
    stored = read_image(tmp_path / "a.pdf")
    again = io.BytesIO()
    Image.open(tmp_path / "a.jpg").save(again, "JPEG", quality=90)
    (tmp_path / "b.jpg").write_bytes(again.getvalue())
    np.testing.assert_array_equal(stored.pixels, read_image(tmp_path / "b.jpg").pixels)
    assert stored.dpi == pytest.approx(200.0, rel=0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied_once(tmp_path, suffix, orientation):
    upright = make_pixels()
    back = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    stored = Image.fromarray(np.ascontiguousarray(back(upright)))
    stored.save(tmp_path / f"a.{suffix}", exif=exif, **options.get(suffix, {}))
    got = read_image(tmp_path / f"a.{suffix}").pixels
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).max() <= (4 if suffix == "jpg" else 0)


def test_alpha_lies_on_white_and_full_alpha_changes_nothing(tmp_path):
    pixels = make_pixels()
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    alpha[20:40] = 128
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "a.png")
    got = read_image(tmp_path / "a.png").pixels
    assert (got[:20] == 255).all()
    expected = np.rint(pixels[20:40] * (128 / 255) + 255 * (127 / 255))
    assert np.abs(got[20:40] - expected).max() <= 1
    np.testing.assert_array_equal(got[40:], pixels[40:])


def test_palette_with_a_transparent_colour(tmp_path):
    palette = Image.fromarray(np.tile(np.arange(2, dtype=np.uint8), (120, 60)), "L")
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0, 200, 30, 40])
    palette.save(tmp_path / "a.png", transparency=0)
    palette.save(tmp_path / "a.gif", transparency=0)
    for name in ("a.png", "a.gif"):
        got = read_image(tmp_path / name).pixels
        assert (got[:, ::2] == 255).all()
        assert (got[:, 1::2] == (200, 30, 40)).all()


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path):
    rng = np.random.default_rng(3)
    deep = rng.integers(0, 65536, (120, 130)).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        got = read_image(tmp_path / name).pixels
        np.testing.assert_array_equal(got, np.repeat((deep >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "I", "F", "LAB"])
def test_every_mode_becomes_rgb_close_to_the_original(tmp_path, mode):
    grey = np.repeat(make_pixels()[..., :1], 3, axis=2)
    grey = np.where(grey > 128, 250, 5).astype(np.uint8)
    picture = Image.fromarray(grey)
    if mode == "LAB":
        picture = Image.merge(
            "LAB", (picture.convert("L"), *(Image.new("L", picture.size, 128),) * 2)
        )
    else:
        picture = (
            picture.convert("L").convert(mode) if mode in ("I", "F") else picture.convert(mode)
        )
    picture.save(tmp_path / "a.tif")
    got = read_image(tmp_path / "a.tif").pixels
    assert got.shape == grey.shape
    assert np.abs(got.astype(int) - grey).mean() < 12


def test_tiff_pages_come_in_order_and_single_pages_by_number(tmp_path):
    pages = [make_pixels(k, 110 + k, 140) for k in range(3)]
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest, compression="tiff_deflate")
    assert count_pages(tmp_path / "a.tif") == 3
    for k, image in enumerate(read_pages(tmp_path / "a.tif")):
        assert image.page == k
        np.testing.assert_array_equal(image.pixels, pages[k])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 2).pixels, pages[2])
    assert code_of(tmp_path / "a.tif", page=3) == "image_no_such_page"
    assert code_of(tmp_path / "a.tif", page=-1) == "image_no_such_page"


def test_an_animation_is_one_page(tmp_path):
    frames = [Image.fromarray(make_pixels(k)) for k in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert count_pages(tmp_path / "a.gif") == 1


def test_thousands_of_pages_are_refused_quickly(tmp_path):
    tiny = Image.new("1", (8, 8))
    tiny.save(tmp_path / "a.tif", save_all=True, append_images=[tiny] * 2000)
    with pytest.raises(ImageError) as caught:
        count_pages(tmp_path / "a.tif")
    assert caught.value.reason_code == "image_too_many_pages"


def test_bad_files_have_their_codes(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("this is no picture\n" * 50)
    Image.new("RGB", (10, 10)).save(tmp_path / "tiny.png")
    assert code_of(tmp_path / "none.png") == "image_missing"
    assert code_of(tmp_path) == "image_missing"
    assert code_of(tmp_path / "nul\0.png") == "image_missing"
    assert code_of(tmp_path / "empty.png") == "image_empty"
    assert code_of(tmp_path / "text.png") == "image_unreadable"
    assert code_of(tmp_path / "tiny.png") == "image_too_small"


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "gif", "webp"])
def test_a_truncated_file_is_never_half_a_picture(tmp_path, suffix):
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (150, 150, 3), dtype=np.uint8))
    noise.save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"b.{suffix}").write_bytes(data[: len(data) // 2])
    assert code_of(tmp_path / f"b.{suffix}") in ("image_truncated", "image_unreadable")


@pytest.mark.parametrize(("width", "height"), [(12000, 12000), (60000, 60000), (2**31 - 1, 2)])
def test_a_bomb_is_refused_before_decoding(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    assert code_of(tmp_path / "bomb.png") == "image_too_large"


def test_the_pixel_budget_is_configurable(tmp_path):
    Image.fromarray(make_pixels()).save(tmp_path / "a.png")
    limits = ReadLimits(max_pixels=10_000)
    assert code_of(tmp_path / "a.png", limits=limits) == "image_too_large"
    assert code_of(tmp_path / "a.png", limits=ReadLimits(max_bytes=100)) == "image_too_large"


def test_heic_without_its_package_names_the_extra(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 200)
    try:
        import pi_heif  # noqa: F401
    except ImportError:
        assert code_of(tmp_path / "a.heic") == "image_needs_extra"
    else:
        assert code_of(tmp_path / "a.heic") == "image_unreadable"


def test_a_symlink_loop_is_a_missing_file(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert code_of(tmp_path / "a.png") == "image_missing"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_one_line(tmp_path):
    Image.fromarray(make_pixels()).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert code_of(tmp_path / "a.png") == "image_unreadable"
