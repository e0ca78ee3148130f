"""What a page reader's network sees on benchmark pages: `python -m benchmarks.page_evidence`.

Each page is shown in a random one of the eight orientations (which way up?) and upright (names,
traces, lattice); its names are compared with those that are read glyph by glyph.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.run import N_RECORDINGS, SEED
from benchmarks.sources import Page, choose_recordings, drawn_tasks, open_page
from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.errors import DigitizationError
from cinc_ecg.geometry import to_image
from cinc_ecg.models.page_reader import LearnedPageReader, load_page_reader
from cinc_ecg.models.page_sight import PageSight, look
from cinc_ecg.models.readers import PACKAGED_PAGES
from cinc_ecg.types import FloatArray, LeadName, PageGeometry

#: A name is found when its centre is this near to where it is printed.
_NEAR_MM = 4.0
#: Scores from which a name counts.
_SURE = 0.6


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen on one page.

    Attributes:
        turned_right: The orientation was right, or None when the network was not sure.
        names: Printed, found, wrong or where no name is: by the network.
        read: The same by glyphs; None where the page was refused.
        on_trace: Share of the pen's way on which a trace is seen.
        wave_error: Median relative error of the lattice's waves; NaN without any.
        seconds: Processor time of one look.
    """

    turned_right: bool | None
    names: tuple[int, int, int]
    read: tuple[int, int, int] | None
    on_trace: float
    wave_error: float
    seconds: float


def sight(page: Page, reader: LearnedPageReader, rng: np.random.Generator) -> Sighting:
    """Look at a page with known truth."""
    assert page.truth is not None
    pixels = page.image.pixels
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    lying = np.rot90(pixels, -turns)
    lying = np.ascontiguousarray(lying[:, ::-1] if mirrored else lying)
    turned = look(reader.net, lying, reader.device)
    right = (turned.orientation.quarter_turns, turned.orientation.mirrored) == (turns, mirrored)
    start = time.process_time()
    seen = look(reader.net, pixels, reader.device)
    seconds = time.process_time() - start
    places = [
        ((n.box_px[0] + n.box_px[2]) / 2, (n.box_px[1] + n.box_px[3]) / 2) for n in seen.names
    ]
    found = [(n.lead, at) for n, at in zip(seen.names, places, strict=True) if n.score > _SURE]
    geometry = page.truth.geometry
    return Sighting(
        right if turned.sure > _SURE else None,
        _scored(page.truth.names, geometry, found),
        _read_names(page),
        _on_trace(page, seen),
        _wave_error(geometry, seen),
        seconds,
    )


def _scored(
    names: Sequence[LeadName],
    geometry: PageGeometry,
    found: Sequence[tuple[str, tuple[float, float]]],
) -> tuple[int, int, int]:
    """Return how many names are printed, how many were found, how many were made up."""
    if not names:
        return 0, 0, len(found)
    boxes = np.array([name.box_mm for name in names])
    at = to_image(geometry, np.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2)
    near = _NEAR_MM * max(geometry.px_per_mm)
    hit, wrong = set(), 0
    for lead, place in found:
        distance = np.linalg.norm(at - place, axis=1)
        k = int(distance.argmin())
        if distance[k] < near and names[k].lead == lead:
            hit.add(k)
        else:
            wrong += 1
    return len(names), len(hit), wrong


def _read_names(page: Page) -> tuple[int, int, int] | None:
    """Read the names glyph by glyph, as the pipeline does."""
    assert page.truth is not None
    stages: dict[str, object] = {}
    with suppress(DigitizationError):  # what was read before a refusal counts all the same
        digitize(page.image, observe=stages.__setitem__)
    upright = stages.get("page")
    if upright is None:
        return None
    found = []
    for name in upright.marks.names:
        if name.score > _SURE:
            x0, y0, x1, y1 = name.box_mm
            x, y = to_image(upright.geometry, np.array([(x0 + x1) / 2, (y0 + y1) / 2]))
            found.append((name.lead, (float(x), float(y))))
    return _scored(page.truth.names, page.truth.geometry, found)


def _on_trace(page: Page, seen: PageSight) -> float:
    assert page.truth is not None
    shares = []
    scale = seen.trace.shape[1] / page.image.width
    grown = cv2.dilate(seen.trace, np.ones((3, 3)))
    for trace in page.truth.trace_mm:
        at = np.rint(to_image(page.truth.geometry, trace[np.isfinite(trace).all(1)][::10]) * scale)
        x, y = at.astype(int).T
        x, y = x.clip(0, grown.shape[1] - 1), y.clip(0, grown.shape[0] - 1)
        shares.append(float((grown[y, x] > 0.5).mean()))
    return float(np.mean(shares))


def _wave_error(geometry: PageGeometry, seen: PageSight) -> float:
    """Compare each wave with the step to the next crossing of 5 mm lines."""
    nodes = np.asarray(geometry.nodes_px)
    errors = []
    for tile in seen.waves:
        distance = np.linalg.norm(nodes[:-1, :-1] - tile.centre_px, axis=-1)
        i, j = np.unravel_index(int(distance.argmin()), distance.shape)
        right, down = nodes[i, j + 1] - nodes[i, j], nodes[i + 1, j] - nodes[i, j]
        wanted: FloatArray = np.array([[1.0, 0.0], [0.0, 1.0]])
        got = np.array([[w @ right, w @ down] for w in (tile.across, tile.down)])
        errors.append(float(np.abs(got - wanted).max()))
    return float(np.median(errors)) if errors else float("nan")


def main(arguments: list[str] | None = None) -> int:
    """Print one line per condition."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_evidence", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", default="clean,bw,lowres,camera1,camera3,layouts")
    parser.add_argument("--pages", type=int, default=4, help="per condition")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--weights", type=Path, default=PACKAGED_PAGES, help="folder of the card")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    reader = load_page_reader(options.weights)
    recordings = choose_recordings(options.data, N_RECORDINGS, options.seed)
    print(
        "| condition | which way up | names seen | wrong | names read | wrong | trace | waves | s |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for condition in options.conditions.split(","):
        rng = np.random.default_rng(options.seed)
        tasks = drawn_tasks(condition, options.pages, recordings, options.seed)
        seen = [sight(open_page(task, options.data), reader, rng) for task in tasks]
        print(_line(condition, seen), flush=True)
    return 0


def _line(condition: str, seen: Sequence[Sighting]) -> str:
    told = [s.turned_right for s in seen if s.turned_right is not None]
    printed, found, wrong = (sum(s.names[k] for s in seen) for k in range(3))
    read = [s.read for s in seen if s.read is not None]
    _, read_found, read_wrong = (sum(r[k] for r in read) for k in range(3))
    return (
        f"| {condition} | {sum(told)} of {len(told)} ({len(seen) - len(told)} open) "
        f"| {found} of {printed} | {wrong} | {read_found} | {read_wrong} "
        f"| {np.mean([s.on_trace for s in seen]):.0%} "
        f"| {np.nanmedian([s.wave_error for s in seen]):.2%} "
        f"| {np.mean([s.seconds for s in seen]):.2f} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
