"""What a trained network knows about a strip, and where the strip reader uses it.

The network tells whose ink is whose; the height of the line to a fraction of a pixel still comes
from the ink itself. So its statements enter twice: the path follows ink only where it may be the
row's own, and where the network's line runs elsewhere than the first guess, the two compete: the
stroke that explains the picture better is refined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

Real = NDArray[np.floating]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StripPrior:
    """A network's statements about one strip of width W.

    Attributes:
        ink: (H, W) probability of the row's own ink.
        line_px: (n,) expected row at the nodes, n = NODES_PER_COLUMN * (W - 1) + 1.
        sigma_px: (n,) its error.
        visible: (n,) probability that the line's ink can be seen.
    """

    ink: Real
    line_px: F64
    sigma_px: F64
    visible: F64


@dataclass(frozen=True, slots=True)
class PriorSettings:
    """How much a network is believed.

    Attributes:
        floor: Share of the evidence that stays where the network sees no own ink.
        own, faintest, lift: Where own ink is more probable than `own` and there is more ink than
            `faintest`, the evidence is at least `lift` times the probability;
        tall_px, clear: in columns with so much own ink, or without ink as dark as this.
        sure_px, sure_share: Error of the network's line up to which it is heard: so many pixels,
            and this share of the line's swing nearby.
        far_px, near_nodes: How far beyond the other line's band, over so many nodes to either
            side, a line must lie to count as elsewhere.
    """

    floor: float = 0.1
    own: float = 0.6
    faintest: float = 0.08
    lift: float = 0.55
    tall_px: int = 14
    clear: float = 0.35
    sure_px: float = 6.0
    sure_share: float = 1.0
    far_px: float = 3.0
    near_nodes: int = 3


def guide(cover: Real, prior: StripPrior, settings: PriorSettings, *, gridded: bool) -> Real:
    """Return the evidence to follow: less where the ink is another's, more where own ink is faint.

    A grid of the trace's own tone hides fast strokes; what little ink is left there counts once the
    network takes it for the trace. Only tall runs and columns without clear ink are lifted:
    elsewhere a stroke's soft edges tell its height, and must stay soft.

    Args:
        cover: (H, W) evidence.
        prior: Of the same strip.
        settings: How much it is believed.
        gridded: The grid shows in `cover`'s ink; without it nothing is lifted.
    """
    share = np.clip(prior.ink * 2.0, 0.0, 1.0)
    toned = cover * (settings.floor + (1.0 - settings.floor) * share)
    if not gridded:
        return np.asarray(toned, np.float32)
    own = prior.ink > settings.own
    clear = np.where(own, toned, 0.0).max(axis=0)
    column = (own.sum(axis=0) >= settings.tall_px) | (clear < settings.clear)
    faint = own & (cover > settings.faintest) & column
    lifted = np.where(faint, np.maximum(toned, settings.lift * prior.ink), toned)
    return np.asarray(lifted, np.float32)


def rival_guess(line: F64, prior: StripPrior, settings: PriorSettings) -> F64:
    """Return a rival guess: the network's line where it is sure and the first guess is elsewhere.

    On a steep flank a height means little, so lines are compared by place: a point of one must lie
    within the band that the other sweeps over the columns nearby, and the other way round.

    Args:
        line: (n,) first guess, finite.
        prior: Of the same strip.
        settings: How much it is believed.

    Returns:
        (n,) the rival; equal to the first guess elsewhere.
    """
    near = 2 * settings.near_nodes + 1
    other = prior.line_px
    astray = _outside(line, other, near, settings.far_px)
    astray |= _outside(other, line, near, settings.far_px)
    swing = maximum_filter1d(other, near) - minimum_filter1d(other, near)
    sure = (prior.sigma_px < settings.sure_px + settings.sure_share * swing) & (prior.visible > 0.5)
    changed = maximum_filter1d((astray & sure).astype(np.uint8), near).astype(bool) & sure
    return np.where(changed, other, line)


def _outside(line: F64, other: F64, near: int, margin: float) -> Mask:
    """Return where `line` leaves the band that `other` sweeps over `near` nodes."""
    low, high = minimum_filter1d(other, near), maximum_filter1d(other, near)
    out: Mask = (line < low - margin) | (line > high + margin)
    return out
