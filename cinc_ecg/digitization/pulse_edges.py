"""Where a calibration pulse begins and ends, to a few thousandths of a millimetre.

Traces start at the far side of the pulse, so its place is the page's time zero: half a sample at
500 Hz is 0.025 mm. Marks are found on a page of reduced resolution; here each side is measured
again in the picture's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from cinc_ecg.geometry import warp_box
from cinc_ecg.types import FloatArray, PageGeometry, Pulse

_PX_PER_MM = 24.0
#: How far to both sides of the first reading a side is looked for.
_REACH_MM = 0.7
#: Part of a side, from its top, that neither the bar nor the foot disturbs.
_CLEAR = (0.2, 0.75)
#: Ink below this share of the side's darkest is taken for grid and paper.
_FLOOR = 0.5
#: A side must be this dark against its surroundings (grey levels), and the second reading this
#: close to the first.
_MIN_CONTRAST = 25.0
_MOST_MOVED_MM = 0.25


def refine_sides(
    pixels: np.ndarray, geometry: PageGeometry, pulses: Sequence[Pulse]
) -> tuple[Pulse, ...]:
    """Measure the sides of pulses again at full resolution.

    Args:
        pixels: (H, W, 3) picture.
        geometry: Of the upright page.
        pulses: As found on the rectified page.

    Returns:
        The same pulses; a side that cannot be measured keeps its place.
    """
    return tuple(
        replace(
            pulse,
            x0_mm=_side(pixels, geometry, pulse, pulse.x0_mm),
            x1_mm=_side(pixels, geometry, pulse, pulse.x1_mm),
        )
        for pulse in pulses
    )


def _side(pixels: np.ndarray, geometry: PageGeometry, pulse: Pulse, x_mm: float) -> float:
    top, height = pulse.top_mm, pulse.foot_mm - pulse.top_mm
    box = (
        x_mm - _REACH_MM,
        top + _CLEAR[0] * height,
        x_mm + _REACH_MM,
        top + _CLEAR[1] * height,
    )
    crop, valid = warp_box(pixels, geometry, box, _PX_PER_MM, interpolation=cv2.INTER_CUBIC)
    if not valid.all():
        return x_mm
    # Coloured grid lines are light in one channel at least, ink in none.
    profile = np.median(255.0 - crop.max(axis=2), axis=0)
    profile -= np.percentile(profile, 20)
    shift = _centre(profile)
    if shift is None or abs(shift) > _MOST_MOVED_MM:
        return x_mm
    return x_mm + shift


def _centre(profile: FloatArray) -> float | None:
    """Return the centre of the darkest line in mm from the first reading, None if it is none."""
    peak = int(profile.argmax())
    floor = _FLOOR * profile[peak]
    if profile[peak] < _MIN_CONTRAST:
        return None
    below = np.flatnonzero(profile < floor)
    first = below[below < peak].max(initial=-1) + 1
    last = below[below > peak].min(initial=len(profile))
    if first == 0 or last == len(profile):
        return None
    weights = profile[first:last] - floor
    centre = float((weights * np.arange(first, last)).sum() / weights.sum())
    return centre / _PX_PER_MM - _REACH_MM
