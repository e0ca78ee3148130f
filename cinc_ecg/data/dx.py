"""Recordings as samples for the diagnosis networks: cut as a page prints them, varied as read.

What is varied stands for what a page reader does to a signal: gain and level per lead, wander,
noise, a shift in time, a panel some milliseconds late, gaps, leads that were not found.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.data.labels import encode_labels
from cinc_ecg.data.ptbxl import encode_snomed, snomed_codes
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import CincEcgError
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.leads import LEADS
from cinc_ecg.models.dx_input import DURATION_S, FS_HZ, N_STRIP, prepare, standard_strip
from cinc_ecg.types import FloatArray

_LOG = logging.getLogger(__name__)
#: "whole": nothing is cut away.
WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class DxVariation:
    """How training samples are varied; standard deviations unless said otherwise.

    Attributes:
        layouts: Drawn evenly; a name of `cinc_ecg.layouts`, "whole", or a name with "/sim" for
            columns that all begin at second 0.
        gain, lead_gain: Of the logarithm of the common gain and of each lead's.
        level_mv, wander_mv: Of each lead's level and of its slow wander.
        noise_mv: Largest standard deviation of white noise.
        shift_s: Largest shift of the recording under the page's windows.
        late_s: Of each panel's lateness.
        drop_leads: Chance that one or two leads are missing.
        gap: Chance of a gap in a lead, up to 0.3 s.
    """

    layouts: tuple[str, ...] = (
        *("3x4+1", "3x4+1", "3x4", "3x4+3", "6x2", "6x2/sim", "3x4+1/sim", "12x1", WHOLE),
    )
    gain: float = 0.1
    lead_gain: float = 0.05
    level_mv: float = 0.03
    wander_mv: float = 0.04
    noise_mv: float = 0.025
    shift_s: float = 0.3
    late_s: float = 0.01
    drop_leads: float = 0.25
    gap: float = 0.02


@dataclass(frozen=True, slots=True)
class DxSamples:
    """Recordings in memory.

    Attributes:
        names: Record names.
        groups: What must not be spread over folds.
        strips: (n, 12, 1000) float32 mV.
        targets, known: (n, classes) of 0 and 1.
        left_out: (record, reason) of recordings that cannot be read.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    strips: NDArray[np.float32]
    targets: NDArray[np.float32]
    known: NDArray[np.float32]
    left_out: tuple[tuple[str, str], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: NDArray[np.int64]) -> DxSamples:
        """Return some of the samples."""
        return DxSamples(
            tuple(self.names[k] for k in indices),
            tuple(self.groups[k] for k in indices),
            self.strips[indices],
            self.targets[indices],
            self.known[indices],
        )


def read_samples(recordings: Sequence[Recording], classes: Sequence[str]) -> DxSamples:
    """Read recordings into memory (48 kB each); labels, or else SNOMED codes, become targets.

    A recording without either, or one that cannot be read, is left out and logged.
    """
    kept, strips, targets, known = [], [], [], []
    left_out: list[tuple[str, str]] = []
    for recording in recordings:
        codes = snomed_codes(recording)
        if recording.labels:
            target = encode_labels(recording.labels, classes)
        else:
            target = encode_snomed(codes, classes)
        if not target[1].any():
            left_out.append((recording.name, "no label that says anything about the classes"))
            continue
        try:
            strip = standard_strip(recording.read())
        except CincEcgError as error:
            _LOG.warning("[%s] %s", error.reason_code, error)
            left_out.append((recording.name, str(error)))
            continue
        kept.append(recording)
        strips.append(strip.astype(np.float32))
        targets.append(target[0])
        known.append(target[1])
    shape = (0, len(classes))
    return DxSamples(
        tuple(recording.name for recording in kept),
        tuple(recording.group for recording in kept),
        np.stack(strips) if strips else np.empty((0, len(LEADS), N_STRIP), np.float32),
        np.stack(targets) if targets else np.empty(shape, np.float32),
        np.stack(known) if known else np.empty(shape, np.float32),
        tuple(left_out),
    )


def printed(layout: str) -> NDArray[np.bool_]:
    """Return which samples of a standard strip a page of this layout shows: (12, 1000) bool."""
    shown = np.zeros((len(LEADS), N_STRIP), bool)
    if layout == WHOLE:
        return ~shown
    name, _, simultaneous = layout.partition("/")
    template = TEMPLATES[name]
    column_s = DURATION_S / template.n_columns
    for row in template.rows:
        for column, lead in enumerate(row):
            start_s = 0.0 if simultaneous else column * column_s
            first, last = (round(at * FS_HZ) for at in (start_s, start_s + column_s))
            shown[LEADS.index(lead), first:last] = True
    for lead in template.rhythm:
        shown[LEADS.index(lead)] = True
    return shown


def vary(strip: FloatArray, how: DxVariation, rng: np.random.Generator) -> FloatArray:
    """Return a strip as some reader might have read it from some page; NaN where it shows nothing.

    Args:
        strip: (12, 1000) mV.
        how: Sizes of the variations.
        rng: Decides.
    """
    n_leads = len(strip)
    shift = round(rng.uniform(-how.shift_s, how.shift_s) * FS_HZ)
    lags = np.rint(rng.normal(0, how.late_s, n_leads) * FS_HZ).astype(int) + shift
    moved = np.stack([np.roll(lead, lag) for lead, lag in zip(strip, lags, strict=True)])
    scale = np.exp(rng.normal(0, how.gain) + rng.normal(0, how.lead_gain, (n_leads, 1)))
    t = np.arange(N_STRIP) / FS_HZ
    hz, phase = rng.uniform(0.05, 0.5, (n_leads, 1)), rng.random((n_leads, 1))
    wander = rng.normal(0, how.wander_mv, (n_leads, 1)) * np.sin(2 * np.pi * (hz * t + phase))
    level = rng.normal(0, how.level_mv, (n_leads, 1))
    noise = rng.normal(0, rng.uniform(0, how.noise_mv), moved.shape)
    varied = moved * scale + wander + level + noise
    shown = printed(how.layouts[rng.integers(len(how.layouts))])
    if rng.random() < how.drop_leads:
        shown[rng.choice(n_leads, rng.integers(1, 3), replace=False)] = False
    for lead in np.flatnonzero(rng.random(n_leads) < how.gap):
        start = rng.integers(N_STRIP)
        shown[lead, start : start + rng.integers(5, 30)] = False
    return np.where(shown, varied, np.nan)


def batch(
    samples: DxSamples,
    indices: NDArray[np.int64],
    kind: str,
    *,
    layout: str = WHOLE,
    how: DxVariation | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return inputs and masks of some samples, (n, 12, length) each.

    Args:
        samples: Recordings.
        indices: Which of them.
        kind: "strip" or "beat".
        layout: Cut to this layout when nothing is varied.
        how, rng: Vary them so.
    """
    inputs = []
    for k in indices:
        strip = samples.strips[k].astype(np.float64)
        if how is not None and rng is not None:
            strip = vary(strip, how, rng)
        else:
            strip = np.where(printed(layout), strip, np.nan)
        inputs.append(prepare(strip, kind))
    values, masks = zip(*inputs, strict=True)
    return np.stack(values), np.stack(masks)
