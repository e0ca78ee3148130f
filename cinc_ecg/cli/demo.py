"""`cinc-ecg demo`: the whole way once, on an invented recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cinc_ecg.types import Digitization, EcgImage, Signal

_STEM = "ecg"


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another patient, another page.")] = 1,
) -> None:
    """Simulate an ECG, print it on a page, digitize the picture, score the result and draw it.

    Leaves the page, the signals (WFDB, CSV, JSON), the overlay and a clean replot in OUT.
    """
    from cinc_ecg.batch.pool import usable_cores
    from cinc_ecg.batch.work import page_reader, strip_reader
    from cinc_ecg.digitization.threads import set_threads
    from cinc_ecg.digitization.vector_digitize import digitize_source
    from cinc_ecg.io.atomic import make_folder, write_bytes
    from cinc_ecg.io.images import read_image
    from cinc_ecg.io.records import write_record
    from cinc_ecg.report.encode import encode_png
    from cinc_ecg.synth.ecg import simulate
    from cinc_ecg.synth.page import render

    started = time.monotonic()
    make_folder(out)
    page, truth = render(simulate(seed=seed), seed=seed)
    write_bytes(out / "page.png", encode_png(page.pixels))
    write_record(out / "truth", truth.signal, comments=["simulated; NaN where nothing is printed"])
    image = read_image(out / "page.png")
    pages, strips = page_reader("learned"), strip_reader("learned")
    set_threads(usable_cores())
    read_from = time.monotonic()
    result = digitize_source(image, page_reader=pages, strip_reader=strips)
    took_s = time.monotonic() - read_from
    files = ["page.png", "truth.dat", "truth.hea", *_write(out, image, result)]
    _print_table(truth.signal, result)
    print(
        f"\n{result.layout.name}, {result.calibration.mm_per_s:g} mm/s, "
        f"{result.calibration.mm_per_mv:g} mm/mV; page read in {took_s:.1f} s, "
        f"all in {time.monotonic() - started:.1f} s"
    )
    for note in result.notes:
        print(f"{note.severity}: {note.text} [{note.code}]")
    print(f"{out}/: {' '.join(sorted(files))}")
    print(f"Look at {out / f'{_STEM}.overlay.png'}: does every line lie on its trace?")


def _write(out: Path, image: EcgImage, result: Digitization) -> list[str]:
    """Write all formats and both pictures; return the names."""
    from cinc_ecg.io.formats import write_outputs
    from cinc_ecg.report.encode import encode_png
    from cinc_ecg.report.overlay import draw_overlay
    from cinc_ecg.report.replot import draw_signal

    pictures = {
        ".overlay.png": encode_png(draw_overlay(image, result)),
        ".replot.png": encode_png(draw_signal(result.signal)),
    }
    source = {"file": "page.png", "page": 0}
    formats = ("wfdb", "csv", "json")
    written = write_outputs(result, out, _STEM, formats, source=source, extra_files=pictures)
    return [path.name for path in written]


def _print_table(truth: Signal, result: Digitization) -> None:
    """Print per lead what was found and the Challenge's score, against what is printed."""
    import numpy as np

    from cinc_ecg.metrics.official import score_lead

    print(f"{'lead':6}{'status':9}{'window':>16}{'SNR':>11}")
    scores = []
    for status in result.leads:
        expected = truth.samples_mv[:, truth.leads.index(status.lead)].astype(np.float64)
        if status.lead in result.signal.leads:
            column = result.signal.leads.index(status.lead)
            found = result.signal.samples_mv[:, column].astype(np.float64)
        else:
            found = np.full(len(expected), np.nan)
        score = score_lead(expected, found, truth.fs_hz).snr_db
        scores.append(score)
        window = f"{status.start_s:.2f}-{status.start_s + status.duration_s:.2f} s"
        print(f"{status.lead:6}{status.status:9}{window:>16}{score:8.1f} dB")
    print(f"{'mean':31}{np.nanmean(scores):8.1f} dB")
