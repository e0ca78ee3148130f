"""What a reader measures: heart rate, intervals and amplitudes of estimates against references.

Comparison after Bland and Altman (Lancet 327, 1986): the bias is the mean difference, the limits of
agreement lie 1.96 standard deviations about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import OutputError
from cinc_ecg.metrics.delineate import BeatMeasures, measure_lead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]

#: Measure -> (title, unit).
MEASURES = {
    "hr_bpm": ("HR", "bpm"),
    "pr_ms": ("PR", "ms"),
    "qrs_ms": ("QRS", "ms"),
    "qt_ms": ("QT", "ms"),
    "st_mv": ("ST", "mV"),
    "r_mv": ("R", "mV"),
}
assert tuple(MEASURES) == tuple(f.name for f in fields(BeatMeasures))
#: (reference, estimate) of each measure of one lead.
MeasurePairs = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Bland-Altman figures of one measure.

    Attributes:
        n: Pairs in which both sides could be measured.
        only_reference: Pairs in which the estimate could not.
        bias, sd: Mean and standard deviation of estimate minus reference.
        low, high: Limits of agreement.
        p95: 95th percentile of the absolute difference.
    """

    n: int
    only_reference: int
    bias: float
    sd: float
    low: float
    high: float
    p95: float


def compare_lead(reference_mv: FloatArray, estimate_mv: FloatArray, fs_hz: float) -> MeasurePairs:
    """Measure a lead and its estimate over the reference's printed window.

    Args:
        reference_mv: (n,) in mV, NaN outside the printed window.
        estimate_mv: (m,) in mV.
        fs_hz: Sampling rate of both.
    """
    n = min(len(reference_mv), len(estimate_mv))
    estimate = np.full(len(reference_mv), np.nan)
    estimate[:n] = estimate_mv[:n]
    estimate[~np.isfinite(reference_mv)] = np.nan
    pairs = zip(
        astuple(measure_lead(reference_mv, fs_hz)),
        astuple(measure_lead(estimate, fs_hz)),
        strict=True,
    )
    return dict(zip(MEASURES, pairs, strict=True))


def agreement(pairs: Sequence[tuple[float, float]]) -> Agreement:
    """Return the Bland-Altman figures of (reference, estimate) pairs, NaN left out."""
    array = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    known = np.isfinite(array)
    both = known.all(axis=1)
    lost = int((known[:, 0] & ~known[:, 1]).sum())
    difference = array[both, 1] - array[both, 0]
    if not len(difference):
        nan = float("nan")
        return Agreement(0, lost, nan, nan, nan, nan, nan)
    bias = float(difference.mean())
    sd = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    p95 = float(np.percentile(np.abs(difference), 95))
    return Agreement(len(difference), lost, bias, sd, bias - 1.96 * sd, bias + 1.96 * sd, p95)


def agreements(leads: Sequence[MeasurePairs]) -> dict[str, Agreement]:
    """Return the agreement of every measure over many leads."""
    return {name: agreement([lead[name] for lead in leads]) for name in MEASURES}


def draw_bland_altman(leads: Sequence[MeasurePairs], path: Path) -> None:
    """Draw difference against mean for every measure, with bias and limits.

    Args:
        leads: As `compare_lead` returns them.
        path: Where to write the picture; its ending chooses the format.

    Raises:
        OutputError: The file cannot be written, or its ending is no picture format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    results = agreements(leads)
    for axis, (name, (title, unit)) in zip(axes.flat, MEASURES.items(), strict=True):
        array = np.array([lead[name] for lead in leads], dtype=np.float64).reshape(-1, 2)
        array = array[np.isfinite(array).all(axis=1)]
        axis.plot(array.mean(axis=1), array[:, 1] - array[:, 0], ".", ms=4, alpha=0.5)
        _draw_limits(axis, results[name])
        axis.set_title(f"{title} (n = {results[name].n})")
        axis.set_xlabel(f"mean of reference and estimate ({unit})")
        axis.set_ylabel(f"estimate − reference ({unit})")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: the plot cannot be written ({error})") from error


def _draw_limits(axis: Axes, figures: Agreement) -> None:
    if figures.n:
        axis.axhline(figures.bias, color="tab:red", lw=1)
        for limit in (figures.low, figures.high):
            axis.axhline(limit, color="tab:red", lw=1, ls="--")


def agreement_text(results: Mapping[str, Agreement]) -> str:
    """Return a table of agreements."""
    lines = ["estimate − reference       n   lost      bias        SD   95 % limits            p95"]
    for name, (title, unit) in MEASURES.items():
        a = results[name]
        digits = 3 if unit == "mV" else 1
        limits = f"{a.low:.{digits}f} to {a.high:.{digits}f}"
        lines.append(
            f"  {title + ' (' + unit + ')':<20}{a.n:>6}{a.only_reference:>7}{a.bias:>10.{digits}f}"
            f"{a.sd:>10.{digits}f}   {limits:<18}{a.p95:>8.{digits}f}"
        )
    return "\n".join(lines) + "\n"
