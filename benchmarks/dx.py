"""Measure the diagnosis: `python -m benchmarks.dx --data RECORDS --labels TABLE ...`.

The recordings of the chosen folds of PTB-XL are tested three ways: as they are, cut to what a page
prints, and drawn as pages of every condition and digitized. Digitized signals are kept in a folder,
so that a second run takes seconds. With `--card` the figures are written into the model's card.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.dx_pages import digitized
from cinc_ecg.data.dx import WHOLE, printed
from cinc_ecg.data.labels import SUPERCLASSES, encode_labels
from cinc_ecg.data.ptbxl import label_recordings, read_ptbxl_table
from cinc_ecg.data.recordings import read_folder
from cinc_ecg.errors import CincEcgError, InputError
from cinc_ecg.inference import packaged_dx
from cinc_ecg.io.atomic import write_text
from cinc_ecg.metrics.classification import (
    bootstrap,
    class_aucs,
    count,
    interval,
    macro_auc,
    macro_f1,
)
from cinc_ecg.models.card import CARD_FILE
from cinc_ecg.models.dx import load_dx, probabilities
from cinc_ecg.models.dx_input import standard_strip

SEED = 0
DEFAULT = "clean:200,bw:60,camera1:60,camera2:60,camera3:60"
PAGE = "3x4+1"
NOTE = """\
Macro AUC over the five superclasses of PTB-XL; macro F over the Challenge's labels that the model
gives, at the thresholds of its card, counting what is known. Intervals: 95 % of {draws} draws of
records. *same, true*: the model on the true signals of the same records, cut to what the page
prints. A refused page gets the training data's shares as probabilities and no label.

The networks and thresholds were made on fold 10 of PTB-XL and other sources, the test is on folds
1 to 9, with no patient in both: not the usual protocol, and not comparable with it. For research;
not a medical device.
"""


@dataclass(frozen=True)
class Row:
    """Probabilities, targets and what is known, of one condition."""

    name: str
    p: np.ndarray
    targets: np.ndarray
    known: np.ndarray
    refused: int = 0


def parse(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of WFDB records")
    parser.add_argument("--labels", type=Path, required=True, help="ptbxl_database.csv or alike")
    parser.add_argument("--statements", type=Path, required=True, help="scp_statements.csv")
    parser.add_argument("--folds", default="1,2,3,4,5,6,7,8,9", help="of the test recordings")
    parser.add_argument("--keep", type=Path, help="folder in which digitized signals are kept")
    parser.add_argument("--pages", default=DEFAULT, help="condition:pages, comma-separated")
    parser.add_argument("--model", type=Path, help="diagnosis model; the packaged one otherwise")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws")
    parser.add_argument("--out", type=Path, help="write the tables as Markdown")
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    return parser.parse_args(argv)


def choose(arguments):
    """Return the test recordings, shuffled once: a superclass is known of each."""
    recordings, _ = read_folder(arguments.data)
    table = read_ptbxl_table(arguments.labels, arguments.statements)
    folds = [int(fold) for fold in arguments.folds.split(",")]
    known = set(SUPERCLASSES) | {"Acute MI", "Old MI"}
    labelled = [
        recording
        for recording in label_recordings(recordings, table, folds)
        if known & set(recording.labels or ())
    ]
    if not labelled:
        raise InputError(f"{arguments.data}: no recording of folds {arguments.folds} has labels")
    labelled.sort(key=lambda recording: recording.name)
    order = np.random.default_rng(SEED).permutation(len(labelled))
    return [labelled[k] for k in order]


def targets_of(recordings, classes):
    """Return targets and what is known."""
    pairs = [encode_labels(recording.labels, classes) for recording in recordings]
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


def true_row(name, model, recordings, layout):
    """Test the recordings' own signals, cut to what a page shows."""
    shown = printed(layout)
    strips = [np.where(shown, standard_strip(r.read()), np.nan) for r in recordings]
    p = probabilities(model.logits(strips), model.card.temperature)
    return Row(name, p, *targets_of(recordings, model.classes))


def page_row(name, model, recordings, keep):
    """Test the recordings as digitized pages of a condition."""
    results = [digitized(recording.path, name, keep) for recording in recordings]
    strips = [standard_strip(signal) for signal, _ in results]
    p = probabilities(model.logits(strips), model.card.temperature)
    blank = np.array([not np.isfinite(strip).any() for strip in strips])
    shares = model.card.training["classes"]
    p[blank] = [shares[c]["with"] / max(shares[c]["known"], 1) for c in model.classes]
    return Row(name, p, *targets_of(recordings, model.classes), int(blank.sum()))


def figures(row, model, draws):
    """Return what is published about a condition."""
    five = [model.classes.index(name) for name in SUPERCLASSES]
    part = row.p[:, five], row.targets[:, five], row.known[:, five]
    own = [model.classes.index(name) for name in model.reported]
    limits = np.array([model.card.thresholds[name] for name in model.reported])
    named = row.p[:, own], row.targets[:, own], row.known[:, own]
    auc_95 = interval(bootstrap(*part, n=draws, seed=SEED))
    f_95 = interval(bootstrap(*named, thresholds=limits, n=draws, seed=SEED))
    return {
        "records": len(row.p),
        "refused": row.refused,
        "macro_auc": _round(macro_auc(*part)),
        "macro_auc_95": [_round(x) for x in auc_95],
        "macro_f": _round(macro_f1(named[0] >= limits, *named[1:])),
        "macro_f_95": [_round(x) for x in f_95],
        "auc": {
            name: _round(x)
            for name, x in zip(
                model.classes, class_aucs(row.p, row.targets, row.known), strict=True
            )
        },
    }


def class_table(row, model, draws):
    """Return the lines about each class."""
    lines = [
        "| class | with it | known | AUC | 95 % | threshold | precision | recall | F |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for k, name in enumerate(model.classes):
        one = row.p[:, k : k + 1], row.targets[:, k : k + 1], row.known[:, k : k + 1]
        use = one[2][:, 0] > 0
        low, high = interval(bootstrap(*one, n=draws, seed=SEED))
        cells = [name, f"{int(one[1][use].sum())}", f"{int(use.sum())}"]
        auc = macro_auc(*one)
        cells += [f"{auc:.3f}", f"{low:.3f} to {high:.3f}"] if np.isfinite(auc) else ["", ""]
        if name in model.card.thresholds:
            limit = model.card.thresholds[name]
            found = count(one[0][:, 0] >= limit, one[1][:, 0] > 0, use)
            cells.append(f"{limit:.3f}")
            cells += [f"{x:.2f}" for x in (found.precision, found.recall, found.f1)]
        else:
            cells += ["not given", "", "", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def condition_table(rows):
    """Return the lines about each condition; rows of (figures, figures of the true signals)."""
    lines = [
        "| condition | records | refused | macro AUC | 95 % | same, true | macro F | 95 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, own, same in rows:
        auc_95, f_95 = (" to ".join(f"{x:.3f}" for x in own[key]) for key in _INTERVALS)
        true = "" if same is None else f"{same['macro_auc']:.3f}"
        cells = [name, str(own["records"]), str(own["refused"]), f"{own['macro_auc']:.3f}", auc_95]
        lines.append("| " + " | ".join([*cells, true, f"{own['macro_f']:.3f}", f_95]) + " |")
    return lines


_INTERVALS = ("macro_auc_95", "macro_f_95")


def wanted(text):
    """Parse "clean:200,bw:60"."""
    pairs = (part.split(":") for part in text.split(",") if part)
    try:
        return [(name, int(number)) for name, number in pairs]
    except ValueError as error:
        raise InputError(
            f"--pages {text!r}: write condition:pages, as in clean:200,bw:60"
        ) from error


def measure(arguments):
    """Return model, folder, (name, figures, those of the true signals), the clean pages' row."""
    folder = arguments.model or packaged_dx()
    model = load_dx(folder)
    recordings = choose(arguments)
    rows, clean = [], None
    for name, layout in (("true signals, 10 s of every lead", WHOLE), ("true signals, cut", PAGE)):
        row = true_row(name, model, recordings, layout)
        rows.append((name, figures(row, model, arguments.draws), None))
        clean = row
    for name, number in wanted(arguments.pages) if arguments.keep else []:
        part = recordings[:number]
        row = page_row(name, model, part, arguments.keep)
        same = figures(true_row(name, model, part, PAGE), model, 1)
        rows.append((f"pages: {name}", figures(row, model, arguments.draws), same))
        clean = row if name == "clean" else clean
        print(condition_table(rows[-1:])[-1], file=sys.stderr)
    return model, folder, rows, clean


def _round(value):
    """Round for publication; None where there is no value (JSON has no NaN)."""
    return round(float(value), 4) if np.isfinite(value) else None


def document(arguments, model, rows, clean):
    """Return the page to publish."""
    command = (
        "python -m benchmarks.dx --data RECORDS --labels ptbxl_database.csv "
        f"--statements scp_statements.csv --keep FOLDER --pages {arguments.pages}"
    )
    missing = [f"- {name}: {why}" for name, why in model.card.extra["not_predicted"].items()]
    lines = ["# Diagnosis, measured", "", f"`{command}`", "", NOTE.format(draws=arguments.draws)]
    lines += [*condition_table(rows), "", f"## Per class, {clean.name}", ""]
    lines += [*class_table(clean, model, arguments.draws), ""]
    lines += ["MI as such is a superclass of PTB-XL, not a label of the Challenge.", ""]
    lines += ["## Never given", "", *(missing or ["- nothing"])]
    return "\n".join(lines) + "\n"


def write_card(folder, rows):
    """Put the figures into the card, beside those of the held-out records."""
    path = folder / CARD_FILE
    card = json.loads(path.read_text(encoding="utf-8"))
    card["metrics"]["test"] = {name: own for name, own, _ in rows}
    write_text(path, json.dumps(card, indent=2) + "\n")


def main(argv=None):
    """Run the benchmark."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = parse(argv)
    try:
        model, folder, rows, clean = measure(arguments)
        text = document(arguments, model, rows, clean)
        if arguments.out:
            write_text(arguments.out, text)
        else:
            print(text)
        if arguments.card:
            write_card(folder, rows)
    except CincEcgError as error:
        print(f"benchmarks.dx: [{error.reason_code}] {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
