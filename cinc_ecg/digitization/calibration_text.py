"""Calibration text known exactly: paper speed and gain in a PDF's or a header's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["speed", "gain"]

#: Paper speeds in mm/s and gains in mm/mV that devices offer.
SPEEDS = (5.0, 6.25, 10.0, 12.5, 25.0, 50.0, 100.0)
GAINS = (1.25, 2.5, 5.0, 10.0, 20.0, 40.0)
NUMBER = r"(\d+(?:[.,]\d+)?)"
_SPEED_TEXT = re.compile(NUMBER + r"\s*(mm|cm)\s*/\s*s(?:ec|ek|eg)?(?![a-z])", re.IGNORECASE)
_GAIN_TEXT = re.compile(NUMBER + r"\s*(mm|cm)\s*/\s*mv", re.IGNORECASE)
_SPEED_WORD = re.compile(r"\b(?:paper\s+)?speed\s*[:=]?\s*" + NUMBER + r"(?![\d.,]|\s*[a-z])", re.I)
_GAIN_WORD = re.compile(r"\b(?:gain|sens\w*)\s*[:=]?\s*" + NUMBER + r"(?![\d.,]|\s*[a-z])", re.I)
_GAIN_FACTOR = re.compile(
    r"(?:\bgain\s*[:=]?\s*|(?<![\w.]))[x×]\s*(1/2|½|0?[.,]5|1|2)(?![\d.,])", re.I
)


@dataclass(frozen=True, slots=True)
class ScaleText:
    """A calibration text: as printed, what it states (mm/s or mm/mV), where, and how sure.

    `leads` tells which leads a gain is stated for; `box_mm` is None for text that came as text.
    """

    text: str
    kind: Kind
    value: float
    score: float
    box_mm: tuple[float, float, float, float] | None = None
    leads: Literal["all", "limb", "chest"] = "all"


def parse_calibration_text(text: str) -> list[ScaleText]:
    """Return the paper speeds and gains stated in a text known exactly (a PDF's, a header's).

    Only values that devices offer count. "Limb: 10 mm/mV Chest: 5 mm/mV" gives two gains.
    """
    found: list[tuple[int, ScaleText]] = []
    rules: tuple[tuple[re.Pattern[str], Kind], ...] = (
        (_SPEED_TEXT, "speed"),
        (_GAIN_TEXT, "gain"),
        (_SPEED_WORD, "speed"),
        (_GAIN_WORD, "gain"),
    )
    for pattern, kind in rules:
        for match in pattern.finditer(text):
            value = float(match[1].replace(",", "."))
            value *= 10.0 if match.re.groups > 1 and match[2].lower() == "cm" else 1.0
            if value in (SPEEDS if kind == "speed" else GAINS):
                leads = _leads_before(text[: match.start()]) if kind == "gain" else "all"
                found.append((match.start(), ScaleText(match[0], kind, value, 1.0, None, leads)))
    if not any(item.kind == "gain" for _, item in found):
        for match in _GAIN_FACTOR.finditer(text):
            factor = {"1": 1.0, "2": 2.0}.get(match[1], 0.5)
            found.append((match.start(), ScaleText(match[0], "gain", 10.0 * factor, 0.8)))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _leads_before(text: str) -> Literal["all", "limb", "chest"]:
    """Tell which leads the words just before a gain name."""
    word = re.search(r"(limb|extr\w*|chest|precord\w*|brust|[vc])\s*[:=]?\s*$", text, re.IGNORECASE)
    if word is None:
        return "all"
    return "limb" if word[1].lower().startswith(("limb", "extr")) else "chest"
