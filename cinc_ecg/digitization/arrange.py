"""Leads from traces under one arrangement, and which arrangement contradicts itself least.

Lead names of one to three bars are the most often misread ones, and the limb leads they stand for
must obey II = I + III: among arrangements that differ only in who is who, arithmetic decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cinc_ecg.digitization.assemble import assemble
from cinc_ecg.digitization.consistency import reconcile
from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.layout import Hypothesis
from cinc_ecg.digitization.panels import columns_are_simultaneous, make_panels
from cinc_ecg.types import Calibration, LeadTrace, Note, Panel, Pulse, RowTrace, Signal

#: How much less likely (natural logarithm) an arrangement is whose leads contradict each other; so
#: much below the likeliest one, rivals are still asked.
_CONTRADICTION = 8.0
_MOST_ASKED = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """The leads of a page under one arrangement.

    Attributes:
        hypothesis: The arrangement.
        panels, traces: Its panels and what each shows.
        as_read: The signal before leads were held against each other.
        signal: The signal after that.
        remarks: Contradictions between leads that remain.
        simultaneous: Columns show the same seconds.
        timing_known: Something on the page told so.
    """

    hypothesis: Hypothesis
    panels: list[Panel]
    traces: list[LeadTrace]
    as_read: Signal
    signal: Signal
    remarks: list[Note]
    simultaneous: bool
    timing_known: bool


def read_leads(
    hypothesis: Hypothesis,
    frame: Frame,
    traces: Sequence[RowTrace],
    pulses: Sequence[Pulse],
    calibration: Calibration,
    fs_hz: float,
) -> Reading:
    """Cut the rows' traces into leads, put them together and hold them against each other."""
    simultaneous, known = columns_are_simultaneous(hypothesis, traces, calibration.mm_per_s)
    panels, cut = make_panels(hypothesis, frame, traces, pulses, calibration, simultaneous)
    as_read = assemble(panels, cut, fs_hz)
    signal, remarks = reconcile(as_read, panels, cut)
    return Reading(hypothesis, panels, cut, as_read, signal, remarks, simultaneous, known)


def arrangement_notes(reading: Reading, by_names: Hypothesis) -> list[Note]:
    """Say what was taken for granted about the arrangement.

    Args:
        reading: The page as it was read.
        by_names: The arrangement that the printed names speak for.
    """
    notes = []
    chosen = reading.hypothesis
    if chosen is not by_names:
        text = (
            f"the names read best as {by_names.name}, but its leads contradict each other and "
            f"those of {chosen.name} do not"
        )
        notes.append(Note("layout_by_arithmetic", "info", "page", text))
    if not reading.timing_known:
        custom = "show the same seconds" if reading.simultaneous else "follow each other"
        text = (
            f"nothing on the page tells how the columns lie in time; it is taken that they {custom}"
        )
        notes.append(Note("timing_assumed", "info", "page", text))
    return notes


def alternatives(found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return the best hypothesis and its rivals over the same panels with other leads in them."""
    best = found[0]
    kept = [best]
    for rival in found[1:]:
        if best.score - rival.score > _CONTRADICTION or len(kept) == _MOST_ASKED:
            break
        known = any(_leads(rival) == _leads(other) for other in kept)
        if _panels(rival) == _panels(best) and not known:
            kept.append(rival)
    return kept


def _panels(hypothesis: Hypothesis) -> list[tuple[int, float, float]]:
    return [(place.row, place.x0_mm, place.x1_mm) for place in hypothesis.places]


def _leads(hypothesis: Hypothesis) -> list[str]:
    return [place.lead for place in hypothesis.places]


def least_contradicted(
    candidates: Sequence[Hypothesis], read: Callable[[Hypothesis], Reading]
) -> Reading:
    """Return the reading of the first candidate unless only a later one is free of contradictions.

    Args:
        candidates: Arrangements, likeliest first.
        read: Reads the leads under one of them.
    """
    first = read(candidates[0])
    if not first.remarks:
        return first
    for candidate in candidates[1:]:
        rival = read(candidate)
        # Without a comparison there is no contradiction either: it must have been possible.
        if not rival.remarks and _comparable(rival) >= _comparable(first):
            return rival
    return first


def _comparable(reading: Reading) -> int:
    """Count the panels whose lead the limb-lead equations or a rhythm strip speak about."""
    limb = ("I", "II", "III", "aVR", "aVL", "aVF")
    strips = {panel.lead for panel in reading.panels if panel.rhythm}
    return sum(panel.lead in limb or panel.lead in strips for panel in reading.panels)


def confidence_against(chosen: Hypothesis, contradicted: Hypothesis) -> float:
    """Return the probability of an uncontradicted arrangement against a contradicted rival."""
    return float(1 / (1 + np.exp(contradicted.score - chosen.score - _CONTRADICTION)))
