"""Lead names, their order, and the equations that tie the limb leads together."""

from __future__ import annotations

#: The twelve leads in the order of WFDB records of the Challenge.
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB_LEADS = LEADS[:6]
CHEST_LEADS = LEADS[6:]
#: Limb leads in anatomical (Cabrera) order; aVR is printed inverted there, as "-aVR".
CABRERA_ORDER = ("aVL", "I", "aVR", "II", "aVF", "III")
#: Right-sided and posterior leads that may stand in for a chest lead.
EXTRA_LEADS = ("V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9")

#: Each limb lead as coefficients of (I, II): Einthoven (III = II - I) and Goldberger
#: (aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2).
LIMB_COEFFICIENTS: dict[str, tuple[float, float]] = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}

_BY_FOLDED = {name.casefold(): name for name in LEADS + EXTRA_LEADS}


def canonical_lead(name: str) -> str | None:
    """Return the standard spelling of a lead name, or None when it is none.

    Accepts any case, "lead II", "AVR", and the inverted "-aVR" of the Cabrera order, which is
    returned without its sign.
    """
    text = name.strip().casefold().removeprefix("lead").strip(" :_-\u2212")
    return _BY_FOLDED.get(text)
