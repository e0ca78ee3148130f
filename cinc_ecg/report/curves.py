"""Plots of a classifier's figures: ROC curves, F1 per class; of a run's log: loss over steps."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cinc_ecg.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110


def draw_roc(
    scores: FloatArray, targets: FloatArray, known: FloatArray, names: Sequence[str]
) -> bytes:
    """Return a PNG with a ROC curve per class that has both kinds.

    Args:
        scores, targets, known: (n, classes); any increasing scores.
        names: Of the classes.
    """
    figure = _figure(5.2, 4.6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for k, name in enumerate(names):
        use = known[:, k] > 0
        truth = targets[use, k] > 0.5
        if not truth.any() or truth.all():
            continue
        order = np.argsort(-scores[use, k], kind="stable")
        right = np.concatenate(([0.0], np.cumsum(truth[order]) / truth.sum()))
        wrong = np.concatenate(([0.0], np.cumsum(~truth[order]) / (~truth).sum()))
        axes.plot(wrong, right, linewidth=1.4, label=name)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


def draw_f1_bars(names: Sequence[str], values: Sequence[float]) -> bytes:
    """Return a PNG with a bar per class."""
    figure = _figure(5.2, 0.4 + 0.32 * max(len(names), 2))
    axes = figure.subplots()
    heights = np.nan_to_num(np.asarray(values, float))
    axes.barh(range(len(names)), heights, color="0.45")
    axes.set_yticks(range(len(names)), list(names))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("F1")
    return _png(figure)


def draw_history(lines: Sequence[Mapping[str, object]]) -> bytes:
    """Return a PNG of a run's log: loss of both splits, and SNR or area held out, over steps."""
    figure = _figure(6.0, 3.6)
    axes = figure.subplots()
    for split, colour in (("train", "0.3"), ("held_out", "tab:red")):
        points = [line for line in lines if line.get("split") == split and "loss" in line]
        steps = [float(str(line["step"])) for line in points]
        axes.plot(
            steps,
            [float(str(line["loss"])) for line in points],
            color=colour,
            label=f"loss {split}",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    merits = [name for name in ("snr_db", "auc") if any(name in line for line in lines)]
    if merits:
        other = axes.twinx()
        points = [line for line in lines if merits[0] in line]
        steps = [float(str(line["step"])) for line in points]
        values = [float(str(line[merits[0]])) for line in points]
        other.plot(steps, values, color="tab:blue", label=merits[0])
        other.set_ylabel(merits[0])
        other.legend(frameon=False, fontsize=8, loc="upper right")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
