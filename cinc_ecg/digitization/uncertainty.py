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
    sigma = _TAILS * np.sqrt(variance) * np.repeat(odd, NODES_PER_COLUMN)[:n]
    seen = np.repeat(shown, NODES_PER_COLUMN)[:n]
    out: F64 = np.where(seen, sigma, np.maximum(sigma, _UNSEEN_PX))
    return out
