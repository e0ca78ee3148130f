"""Make standard errors mean what they say: `python -m benchmarks.calibrate_sigma`.

On rendered pages the true line is known, so the error of every visible node is too. Nodes are
sorted by the error that `uncertainty` states, and cut into bins of like size; the width that holds
95 % of a bin's errors, over 1.96, is what should have been stated. Half of the pages fit the table,
the other half tell how many errors the corrected intervals hold.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from benchmarks.run import N_RECORDINGS, SEED
from benchmarks.sources import choose_recordings, drawn_tasks, open_page
from benchmarks.stages import TrueTraces, true_arrangement
from cinc_ecg.digitization.density import even_light, paper_background
from cinc_ecg.digitization.read_page import light_paper
from cinc_ecg.digitization.read_strips import ClassicalStripReader
from cinc_ecg.digitization.strip_cut import cut_strips
from cinc_ecg.digitization.uncertainty import TABLE, correct_sigma, raw_sigma

CONDITIONS = "clean,augment,bw,wrinkle,lowres,camera1,camera2,camera3,layouts"
#: Bins of equal size, and finer ones for the largest errors.
SHARES = np.r_[np.linspace(0.0, 0.9, 13), 0.94, 0.97, 0.985, 1.0]


def _pairs(found, true, px_per_mm):
    """Return (2, n): stated standard error before correction, and error, in strip pixels."""
    x = found.x0_mm + np.arange(len(found.y_mm)) * found.step_mm
    at = np.round((x - true.x0_mm) / true.step_mm).astype(int)
    inside = (at >= 0) & (at < len(true.y_mm))
    truth = np.where(inside, true.y_mm[np.clip(at, 0, len(true.y_mm) - 1)], np.nan)
    use = found.visible & np.isfinite(truth) & np.isfinite(found.y_mm)
    if use.sum() < 100:
        return np.zeros((2, 0))
    error = (found.y_mm - truth)[use] * px_per_mm
    # The row's level is settled elsewhere: by the pulse, or by the panel's median.
    return np.stack([raw_sigma(found.sigma_mm[use] * px_per_mm), error - np.median(error)])


def collect(tasks, data, reader):
    """Return the pairs of every page, by condition; rows are cut with the true geometry."""
    found = {}
    for task in tasks:
        page = open_page(task, data)
        frame, _ = true_arrangement(page.truth, page.truth.geometry)
        pixels = light_paper(page.image.pixels)
        even = even_light(pixels, paper_background(pixels))
        strips = cut_strips(even, page.truth.geometry, frame)
        lines = zip(reader.read(strips), TrueTraces(page.truth).read(strips), strips, strict=True)
        pairs = [_pairs(read, true, strip.px_per_mm) for read, true, strip in lines]
        found.setdefault(task.condition, []).append(np.concatenate(pairs, axis=1))
    return found


def fit(pairs):
    """Return the table: stated error, error that should be stated; both rising."""
    stated, error = pairs
    edges = np.quantile(stated, SHARES)
    table = []
    for low, high in pairwise(edges):
        inside = (stated >= low) & (stated <= high)
        if inside.sum() > 50:
            wide = np.quantile(np.abs(error[inside]), 0.95) / 1.96
            table.append((float(np.median(stated[inside])), float(wide)))
    stated, should = np.array(table).T
    rising = np.maximum.accumulate(should * np.geomspace(1.0, 1.001, len(should)))
    return np.stack([stated, rising])


def coverage(pairs, sigma):
    """Return the share of errors inside the 95 % interval."""
    return float(np.mean(np.abs(pairs[1]) <= 1.96 * sigma))


def report(found, table):
    """Print coverage per condition before and after, and the curve of error against stated."""
    rows = [*found.items(), ("all", [np.concatenate([p for v in found.values() for p in v], 1)])]
    print("| condition | before | after | rms error | rms stated |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, parts in rows:
        pairs = np.concatenate(parts, axis=1)
        sigma = correct_sigma(pairs[0], table)
        rms, stated = (float(np.sqrt(np.mean(v**2))) for v in (pairs[1], sigma))
        before, after = coverage(pairs, pairs[0]), coverage(pairs, sigma)
        print(f"| {name} | {before:.3f} | {after:.3f} | {rms:.2f} px | {stated:.2f} px |")
    pairs = rows[-1][1][0]
    sigma = correct_sigma(pairs[0], table)
    print("\n| stated after (px) | coverage of 95 % | of 68 % |\n| --- | ---: | ---: |")
    edges = np.quantile(sigma, np.linspace(0, 1, 9))
    for low, high in pairwise(edges):
        inside = (sigma >= low) & (sigma <= high)
        wide = coverage(pairs[:, inside], sigma[inside])
        narrow = coverage(pairs[:, inside], sigma[inside] / 1.96)
        print(f"| {low:.2f} to {high:.2f} | {wide:.3f} | {narrow:.3f} |")


def main(argv=None):
    """Fit, print the table as code, and check it on the other pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of WFDB records; simulated otherwise")
    parser.add_argument("--conditions", default=CONDITIONS)
    parser.add_argument("--pages", type=int, default=4, help="per condition; even")
    parser.add_argument("--seed", type=int, default=SEED + 1)
    parser.add_argument("--weights", type=Path, help="folder of a learned strip reader")
    parser.add_argument("--check", action="store_true", help="fit nothing; check the present table")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    recordings = choose_recordings(arguments.data, N_RECORDINGS, arguments.seed)
    reader = ClassicalStripReader()
    if arguments.weights is not None:
        from cinc_ecg.models.readers import load_strip_reader

        reader = load_strip_reader(arguments.weights)
    names = arguments.conditions.split(",")
    tasks = []
    for k, name in enumerate(names):  # other recordings for every condition
        own = np.roll(np.arange(len(recordings)), -k * arguments.pages)
        chosen = [recordings[j] for j in own]
        tasks += drawn_tasks(name, arguments.pages, chosen, arguments.seed)
    table = TABLE
    if not arguments.check:
        first = collect([t for t in tasks if t.index % 2 == 0], arguments.data, reader)
        table = fit(np.concatenate([p for v in first.values() for p in v], axis=1))
        print("TABLE = np.array(\n    [")
        for stated, should in table.T:
            print(f"        ({stated:.3f}, {should:.3f}),")
        print("    ]\n).T\n", flush=True)
    report(collect([t for t in tasks if t.index % 2 == 1], arguments.data, reader), table)


if __name__ == "__main__":
    main()
