"""Standard errors of a fitted centre line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from cinc_ecg.digitization.rerender import Fit
from cinc_ecg.digitization.stroke import NODES_PER_COLUMN

F64 = NDArray[np.float64]

#: Coefficients found on strips rendered from recordings at 100-300 dpi, sharp to blurred, noise
#: sigma 0-30, coloured and grey grids; errors are those of the line read against the line drawn.
_PICTURE, _TURN_BLUR, _TURN_NOISE, _SHIFT_BLUR, _TAILS = 0.5, 0.35, 2.2, 0.06, 1.15
#: A misfit this many times the row's usual one makes the error grow, to at most this factor.
_ODD, _WORST = 1.5, 10.0
#: Standard error, in pixels, where nothing was seen.
_UNSEEN_PX = 10.0
#: Standard errors in strip pixels: as the formula below gives them, and such that 95 % of the
#: errors on rendered pages lie within 1.96 of them; from `python -m benchmarks.calibrate_sigma`.
TABLE = np.array(
    [
        (0.152, 0.139),
        (0.210, 0.235),
        (0.243, 0.255),
        (0.271, 0.304),
        (0.303, 0.385),
        (0.337, 0.463),
        (0.377, 0.551),
        (0.427, 0.637),
        (0.486, 0.720),
        (0.568, 0.839),
        (0.700, 1.033),
        (0.980, 1.357),
        (1.520, 1.670),
        (2.401, 3.114),
        (4.409, 5.434),
        (9.282, 13.977),
    ]
).T
#: Above the table's end the observed error grows with this power of the stated one.
_SLOW = 0.25


def standard_error(fit: Fit, noise: float, shown: NDArray[np.bool_]) -> F64:
    """Return the standard error of each node in pixels.

    Three parts: what the picture's noise leaves open where the line runs level; what cannot be told
    inside a stroke that turns or trembles, which grows with the root of the slope; and a sideways
    error, which grows with the slope. All rise where the stroke drawn does not explain the picture.

    Args:
        fit: The fitted line.
        noise: Standard deviation of the strip's darkness on blank paper.
        shown: (columns,) True where ink was used.
    """
    n = len(fit.line)
    slope = maximum_filter1d(np.abs(np.diff(fit.line, prepend=fit.line[0])), 5) * NODES_PER_COLUMN
    turn = np.hypot(_TURN_BLUR * fit.pen.blur, _TURN_NOISE * noise)
    shift = _SHIFT_BLUR * fit.pen.blur
    variance = _PICTURE**2 / (fit.precision + 1e-2) + turn**2 * slope + (shift * slope) ** 2
    usual = np.median(fit.misfit[shown]) if shown.any() else 1.0
    odd = np.clip(fit.misfit / max(_ODD * float(usual), 1e-6), 1.0, np.sqrt(_WORST)) ** 2
    sigma = correct_sigma(_TAILS * np.sqrt(variance) * np.repeat(odd, NODES_PER_COLUMN)[:n])
    seen = np.repeat(shown, NODES_PER_COLUMN)[:n]
    out: F64 = np.where(seen, sigma, np.maximum(sigma, _UNSEEN_PX))
    return out


def correct_sigma(sigma_px: F64, table: F64 = TABLE) -> F64:
    """Replace the formula's standard errors by those that were observed (a rising function).

    Between the table's points it is straight on a double logarithmic scale. Below them the ratio
    stays; above them, where the formula reaches hundreds of pixels, errors hardly grow any more.

    Args:
        sigma_px: (n,) in strip pixels.
        table: (2, m) stated and observed.
    """
    stated, observed = np.log(table)
    return _mapped(sigma_px, stated, observed, _SLOW)


def raw_sigma(sigma_px: F64, table: F64 = TABLE) -> F64:
    """Undo `correct_sigma`."""
    stated, observed = np.log(table)
    return _mapped(sigma_px, observed, stated, 1.0 / _SLOW)


def _mapped(sigma: F64, given: F64, wanted: F64, growth: float) -> F64:
    at = np.log(np.maximum(sigma, 1e-6))
    below, above = np.minimum(at - given[0], 0.0), np.maximum(at - given[-1], 0.0)
    out: F64 = np.exp(np.interp(at, given, wanted) + below + growth * above)
    return out
