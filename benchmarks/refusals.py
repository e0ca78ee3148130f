"""What is refused: `python -m benchmarks.refusals`, pictures that are no ECG, and pages that are.

At most one of the fifty pictures may be accepted and at most 2 % of the clean pages refused.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.non_ecg import PICTURES
from benchmarks.pages import condition_page
from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.errors import DigitizationError
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.types import EcgImage, PageReader

MAX_ACCEPTED = 1
MAX_REFUSED_SHARE = 0.02
#: Pages that are drawn turn by turn from these conditions of the benchmark.
CLEAN_CONDITIONS = ("clean", "layouts")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a picture; `reason` is None when it was accepted."""

    name: str
    reason: str | None
    text: str
    seconds: float


def draw_picture(name: str, seed: int = 0) -> EcgImage:
    """Draw one of the pictures that are no ECG; the same name and seed give the same bytes."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return EcgImage(np.ascontiguousarray(PICTURES[name](rng)), source=name)


def draw_page(index: int, seed: int = 0) -> EcgImage:
    """Draw a clean page of a simulated recording."""
    condition = CLEAN_CONDITIONS[index % len(CLEAN_CONDITIONS)]
    number = index // len(CLEAN_CONDITIONS)
    image, truth = condition_page(condition, number, simulate(seed=seed + index), seed)
    return EcgImage(image.pixels, f"{condition} {number} ({truth.layout.name})", 0, image.dpi)


def judge(image: EcgImage, reader: PageReader | None = None) -> Verdict:
    """Digitize a picture; the layout found, or the reason of the refusal."""
    start = time.process_time()
    try:
        result = digitize(image, page_reader=reader)
    except DigitizationError as error:
        return Verdict(image.source, error.reason_code, str(error), time.process_time() - start)
    leads = [status.lead for status in result.leads if status.status != "missing"]
    text = f"{result.layout.name}, {len(leads)} leads, confidence {result.layout.confidence:.2f}"
    return Verdict(image.source, None, text, time.process_time() - start)


def main(arguments: list[str] | None = None) -> int:
    """Print who was accepted and who refused; 0 when both limits hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusals", description=__doc__)
    parser.add_argument("--pages", type=int, default=50, help="clean pages (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds draw other pictures")
    parser.add_argument(
        "--page-reader", default="classical", help="classical, learned, or a folder with its card"
    )
    parser.add_argument("--only", action="append", help="judge this picture only; may be repeated")
    parser.add_argument("--save", type=Path, help="also write the pictures into this folder")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    reader = None
    if options.page_reader != "classical":
        from cinc_ecg.models.readers import named_page_reader, set_threads

        set_threads(1)
        reader = named_page_reader(options.page_reader)
    names = options.only or list(PICTURES)
    pictures = []
    for name in names:
        image = draw_picture(name, options.seed)
        if options.save:
            options.save.mkdir(parents=True, exist_ok=True)
            file = options.save / f"{name.replace(' ', '_').replace(',', '')}.png"
            cv2.imwrite(str(file), image.pixels[..., ::-1])
        pictures.append(judge(image, reader))
        _print(pictures[-1], expected=False)
    pages = []
    for index in range(0 if options.only else options.pages):
        pages.append(judge(draw_page(index, options.seed), reader))
        _print(pages[-1], expected=True)
    accepted = [verdict for verdict in pictures if verdict.reason is None]
    refused = [verdict for verdict in pages if verdict.reason is not None]
    reasons = Counter(verdict.reason for verdict in pictures if verdict.reason)
    print(f"accepted: {len(accepted)} of {len(pictures)} pictures that are no ECG")
    print("reasons:  " + ", ".join(f"{count} {code}" for code, count in reasons.most_common()))
    print(f"refused:  {len(refused)} of {len(pages)} clean pages")
    bad = len(accepted) > MAX_ACCEPTED or len(refused) > MAX_REFUSED_SHARE * len(pages)
    return 1 if bad else 0


def _print(verdict: Verdict, *, expected: bool) -> None:
    good = (verdict.reason is None) == expected
    mark = "  " if good else "! "
    what = verdict.reason or "accepted"
    print(
        f"{mark}{verdict.name:28s} {what:12s} {verdict.seconds:5.1f} s  {verdict.text}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
