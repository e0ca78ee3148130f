"""Mutated files: every one ends in a picture or in an ImageError, soon and within memory."""

import resource
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.batch.pool import Pool
from cinc_ecg.digitization.vector import read_rows
from cinc_ecg.errors import ImageError
from cinc_ecg.io import pdf
from cinc_ecg.io.images import count_pages, read_image
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.pdf_page import write_pdf
from cinc_ecg.types import Signal

pytestmark = pytest.mark.slow

N_MUTANTS = 500
MAX_S = 10.0
MAX_RSS_KB = 2_000_000
NUMBERS = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0")


def read_everything(path):
    """Read a file in all ways a batch would; return (outcome, peak memory in KiB)."""
    path = Path(path)
    try:
        count_pages(path)
        read_image(path)
        outcome = "read"
        if pdf.is_pdf(path):
            read_rows(path)
    except ImageError as error:
        outcome = error.reason_code
    return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def mutate(data, rng):
    """Change a file as transport, editors and enemies do."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, max(len(out), 1)))
        if rng.random() < 0.4:
            at = min(at, int(rng.integers(1, 600)))  # headers are where the numbers are
        kind = rng.integers(0, 7)
        if kind == 0:
            out[at : at + 1] = bytes([int(rng.integers(0, 256))])
        elif kind == 1:
            out[at : at + 4] = NUMBERS[int(rng.integers(len(NUMBERS)))]
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            out[at:at] = rng.integers(0, 256, int(rng.integers(1, 64)), dtype=np.uint8).tobytes()
        elif kind == 4:
            del out[at : at + int(rng.integers(1, 200))]
        elif kind == 5:
            out[at:at] = out[at : at + int(rng.integers(1, 500))]
        else:
            out[at : at + 2] = b"99" if rng.random() < 0.5 else b"-1"
    return bytes(out)


def repaired_png(data):
    """Make a mutant's checksums right again, so that its content is looked at."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 8 + length] + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + length
    return bytes(out) + data[at:]


def originals(kind, folder):
    """Yield a few valid files of a format."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    page = Image.fromarray(small).resize((300, 220))
    if kind == "png":
        page.save(folder / "a.png", dpi=(200, 200))
        page.quantize(16).save(folder / "b.png", transparency=1)
        page.convert("L").save(folder / "c.png")
    elif kind == "jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        page.save(folder / "a.jpg", exif=exif, dpi=(200, 200))
        page.convert("CMYK").save(folder / "b.jpg", progressive=True)
    elif kind == "tif":
        page.save(folder / "a.tif", compression="tiff_lzw", save_all=True, append_images=[page])
        page.convert("1").save(folder / "b.tif", compression="group4")
        page.save(folder / "c.tif", compression="jpeg")
    elif kind == "pdf":
        signal = simulate(seed=1)
        write_pdf(Signal(signal.samples_mv[:600], 500.0, signal.leads), folder / "a.pdf")
        page.save(folder / "b.pdf", resolution=100)
    else:
        page.save(folder / f"a.{kind}")
    return [path.read_bytes() for path in sorted(folder.glob(f"*.{kind}"))]


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "pdf", "bmp", "webp", "gif"])
def test_mutants_end_in_a_picture_or_a_reason(tmp_path, kind):
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    sources = originals(kind, tmp_path)
    pool = Pool(read_everything, jobs=2, wall_s=MAX_S, max_tasks=N_MUTANTS)
    for number in range(N_MUTANTS):
        data = mutate(sources[number % len(sources)], rng)
        if kind == "png" and number % 2:
            data = repaired_png(data)
        path = tmp_path / f"mutant{number:03d}.{kind}"
        path.write_bytes(data)
        pool.add([str(path)])
    outcomes = {}
    for ended in pool.run():
        assert ended.state == "done", f"{ended.task}: {ended.state} {ended.value}"
        outcome, rss_kb = ended.value
        assert rss_kb < MAX_RSS_KB, ended.task
        assert ended.seconds < MAX_S, ended.task
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) == N_MUTANTS
    assert len(outcomes) > 1  # some mutants were broken, some survived
