"""Fine-tune the packaged strip reader on pages of one style: `python -m benchmarks.fine_tune`.

Pages of a style are drawn of recordings that the packaged network may have been trained on, written
as a Challenge folder, and learned from within a time budget. Then pages of the style and of the
benchmark's conditions are read with both networks; their recordings are of the held-out quarter,
which neither has seen. Quick alignment, not the official one.
"""

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEED = 20241
#: Style -> ranges of page settings (a number is drawn evenly), fixed ones, and artefacts.
STYLES = {
    # A page faxed: one bit per pixel, grid in the trace's own black, thin and fast strokes broken.
    "fax": {
        "range": {"pen.width_mm": (0.24, 0.36), "pen.fade": (0.4, 0.6), "pen.breaks": (0.4, 0.7)},
        "grey": {"grid.minor_colour": (110, 135), "grid.major_colour": (50, 80)},
        "fixed": {"pen.colour": (30, 30, 30)},
        "steps": [("noise", {"sigma": 20.0}), ("fax", {"dpi_factor": 1.0})],
    },
    # Faded green thermal paper, trace and grid of nearly one tone.
    "thermal": {
        "range": {"pen.width_mm": (0.28, 0.4), "pen.fade": (0.5, 0.7)},
        "grey": {},
        "fixed": {
            "paper.colour": (222, 232, 214),
            "pen.colour": (96, 130, 100),
            "text.colour": (88, 120, 92),
            "grid.major_colour": (96, 130, 100),
            "grid.minor_colour": (150, 178, 150),
            "grid.major_width_mm": 0.3,
            "grid.minor_width_mm": 0.2,
        },
        "steps": [("noise", {"sigma": 10.0})],
    },
}


@dataclass(frozen=True)
class Scored:
    """SNR per lead of one page, read with either network, in dB."""

    condition: str
    record: str
    before: dict[str, float]
    after: dict[str, float]


def parse(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of WFDB records")
    parser.add_argument("--style", choices=sorted(STYLES), default="fax")
    parser.add_argument("--training-pages", type=int, default=28)
    parser.add_argument("--style-pages", type=int, default=12, help="to measure on")
    parser.add_argument("--conditions", default="clean,bw,augment", help="comma-separated")
    parser.add_argument("--pages", type=int, default=6, help="per condition")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds to train")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--model", type=Path, help="keep the fine-tuned network here")
    parser.add_argument("--details", type=Path, help="write one JSON line per page")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of FineTuneConfig")
    return parser.parse_args(argv)


def style_page(style, signal, seed, index):
    """Draw page `index` of a style; the same arguments give the same bytes."""
    from benchmarks.pages import FONTS
    from cinc_ecg.synth.artefacts import Step, apply
    from cinc_ecg.synth.page import render
    from cinc_ecg.synth.settings import PageSettings, with_values

    made = STYLES[style]
    rng = np.random.default_rng([seed, index])
    values = {name: float(rng.uniform(*ends)) for name, ends in made["range"].items()}
    values |= {name: (int(rng.integers(*ends)),) * 3 for name, ends in made["grey"].items()}
    values |= made["fixed"] | {"text.font": FONTS[rng.integers(len(FONTS))]}
    page, truth = render(signal, with_values(PageSettings(), values), seed=int(rng.integers(2**31)))
    steps = [Step(name, parameters) for name, parameters in made["steps"]]
    return apply(page, truth, steps, rng)


def split_recordings(data, n_training, n_held_out, seed):
    """Choose recordings of either part of the split by name."""
    from benchmarks.sources import choose_recordings
    from cinc_ecg.data.signal_pool import is_held_out

    wanted = 6 * max(n_training, n_held_out) + 40
    chosen = choose_recordings(data, wanted, seed)
    parts = ([r for r in chosen if is_held_out(r) == held] for held in (False, True))
    training, held_out = (part[:n] for part, n in zip(parts, (n_training, n_held_out), strict=True))
    return training, held_out


def write_folder(folder, data, records, style, seed):
    """Write pages of a style and their signals as a Challenge folder."""
    from benchmarks.sources import recording
    from cinc_ecg.io.records import write_record
    from cinc_ecg.report.encode import encode_png

    for number, record in enumerate(records):
        signal = recording(data, record, 0)
        image, _ = style_page(style, signal, seed, number)
        name = f"page{number:03d}"
        (folder / f"{name}.png").write_bytes(encode_png(image.pixels))
        write_record(folder / name, signal, comments=[f"Image: {name}.png"])


def score_both(condition, record, image, signal, readers):
    """Read a page with both networks and score it."""
    from benchmarks.measure import score_page
    from cinc_ecg.digitization.pipeline import digitize
    from cinc_ecg.errors import CincEcgError

    scores = []
    for reader in readers:
        try:
            found = digitize(image, strip_reader=reader).signal
        except CincEcgError:
            found = None
        scores.append(score_page(signal, found, True))
    result = Scored(condition, record, *scores)
    means = [float(np.nanmean(list(s.values()))) for s in scores]
    print(f"{condition} {record}: {means[0]:.1f} -> {means[1]:.1f} dB", file=sys.stderr, flush=True)
    return result


def table(results):
    """Lay the means out as a Markdown table, one row per condition."""
    lines = [
        "| pages | number | before | after | change | leads better / worse by > 1 dB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for condition in dict.fromkeys(result.condition for result in results):
        own = [result for result in results if result.condition == condition]
        pairs = np.array([(r.before[k], r.after[k]) for r in own for k in r.before])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        change = pairs[:, 1] - pairs[:, 0]
        before, after = pairs.mean(axis=0)
        lines.append(
            f"| {condition} | {len(own)} | {before:.1f} | {after:.1f} | {after - before:+.2f} | "
            f"{np.mean(change > 1):.0%} / {np.mean(change < -1):.0%} |"
        )
    return "\n".join(lines) + "\n"


def main(argv=None):
    """Train, measure and print the table."""
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    import cv2

    from benchmarks.pages import condition_page
    from benchmarks.sources import recording
    from cinc_ecg.config import load_config
    from cinc_ecg.data.recordings import read_folder
    from cinc_ecg.models.readers import PACKAGED, load_strip_reader, set_threads
    from cinc_ecg.training.fine_tune import FineTuneConfig, fine_tune

    cv2.setNumThreads(1)
    set_threads(1)
    settings = [f"budget_s={arguments.budget}", *arguments.settings]
    config = load_config(FineTuneConfig, overrides=settings)
    n_test = max(arguments.style_pages, arguments.pages)
    training, held_out = split_recordings(
        arguments.data, arguments.training_pages, n_test, arguments.seed
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        folder.mkdir()
        write_folder(folder, arguments.data, training, arguments.style, arguments.seed)
        recordings, _ = read_folder(folder)
        model = arguments.model or Path(scratch) / "model"
        done = fine_tune(PACKAGED, recordings, model, config, watch=_say)
        readers = [load_strip_reader(PACKAGED), load_strip_reader(model)]
    print(
        f"{done.steps} steps in {done.elapsed_s:.0f} s; {done.decision}; {json.dumps(done.counts)}"
    )
    results = []
    for number, record in enumerate(held_out[: arguments.style_pages]):
        signal = recording(arguments.data, record, 0)
        image, truth = style_page(arguments.style, signal, arguments.seed + 1, number)
        results.append(score_both(arguments.style, record, image, truth.signal, readers))
    for name in filter(None, arguments.conditions.split(",")):
        for number, record in enumerate(held_out[: arguments.pages]):
            signal = recording(arguments.data, record, 0)
            image, truth = condition_page(name, number, signal, arguments.seed)
            results.append(score_both(name, record, image, truth.signal, readers))
    if arguments.details:
        lines = (json.dumps(vars(result)) for result in results)
        arguments.details.write_text("\n".join(lines) + "\n")
    print()
    print(table(results))
    return 0


def _say(done, total, losses):
    print(f"step {done} of {total}: loss {losses['total']:.3f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
