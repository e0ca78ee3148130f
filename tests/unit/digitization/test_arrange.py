"""Which arrangement is kept when the names and the limb-lead arithmetic disagree."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cinc_ecg.digitization.arrange import alternatives, confidence_against, least_contradicted
from cinc_ecg.digitization.layout import Hypothesis, Place
from cinc_ecg.types import Note

CONTRADICTION = Note("limb_leads_inconsistent", "warning", "I, II, III", "they contradict")


def arrangement(name, score, leads=("I", "II", "III"), width=10.0):
    places = tuple(Place(lead, row, 0.0, width, False, False) for row, lead in enumerate(leads))
    return Hypothesis(name, places, 1, False, score)


@dataclass
class Stub:
    """What `least_contradicted` looks at of a reading."""

    hypothesis: Hypothesis
    remarks: list = field(default_factory=list)

    @property
    def panels(self):
        return [_Named(place.lead, place.rhythm) for place in self.hypothesis.places]


@dataclass
class _Named:
    lead: str
    rhythm: bool


NAMES = arrangement("by names", 10.0, ("III", "I", "II"))
TABLE = arrangement("by table", 6.0)
CHEST = arrangement("chest", 5.0, ("V1", "V2", "V3"))


def reader(*contradicted):
    return lambda h: Stub(h, [CONTRADICTION] if h.name in contradicted else [])


def test_without_contradiction_the_likeliest_stands():
    assert least_contradicted([NAMES, TABLE], reader("by table")).hypothesis is NAMES


def test_arithmetic_overrules_misread_names():
    assert least_contradicted([NAMES, TABLE], reader("by names")).hypothesis is TABLE


def test_a_rival_that_nothing_can_contradict_does_not_win():
    assert least_contradicted([NAMES, CHEST], reader("by names")).hypothesis is NAMES


def test_when_all_contradict_themselves_the_likeliest_stands():
    found = least_contradicted([NAMES, TABLE], reader("by names", "by table"))
    assert found.hypothesis is NAMES
    assert found.remarks


def test_only_rivals_over_the_same_panels_are_asked():
    wider = arrangement("wider", 9.0, ("I", "III", "II"), width=12.0)
    far = arrangement("far", 1.0, ("II", "III", "I"))
    again = arrangement("again", 8.0, ("III", "I", "II"))
    rows = arrangement("two rows", 9.5, ("I", "II"))
    assert alternatives([NAMES, rows, wider, again, TABLE, far]) == [NAMES, TABLE]


@pytest.mark.parametrize("gap", [0.0, 3.0, 8.0])
def test_confidence_falls_with_what_the_names_say(gap):
    chosen = arrangement("chosen", 10.0 - gap)
    assert confidence_against(chosen, NAMES) == pytest.approx(1 / (1 + 2.718281828 ** (gap - 8)))
