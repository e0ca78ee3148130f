"""Named kinds of pages for the command line and demos: settings with their artefacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cinc_ecg.synth.artefacts import Step


@dataclass(frozen=True, slots=True)
class Preset:
    """Page settings by dotted name, and the artefacts that follow."""

    summary: str
    values: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def _steps(**parameters: Mapping[str, Any]) -> tuple[Step, ...]:
    return tuple(Step(name, values) for name, values in parameters.items())


_PHOTO: dict[str, Any] = {"paper.dpi": 300.0}

PRESETS: dict[str, Preset] = {
    "clean": Preset("the standard page"),
    "lowres": Preset("the standard page at 100 dpi", {"paper.dpi": 100.0}),
    "scan": Preset(
        "a colour scan, slightly turned",
        {},
        _steps(
            rotate={"max_deg": 2.0, "colour": (255, 255, 255)},
            blur={"sigma_px": 0.6},
            noise={"sigma": 3.0},
            jpeg={"quality": 80},
        ),
    ),
    "bw": Preset(
        "grey scan of a page whose grid and trace share one dark tone",
        {
            "grid.minor_colour": (150, 150, 150),
            "grid.major_colour": (60, 60, 60),
            "pen.colour": (40, 40, 40),
            "paper.colour": (232, 230, 226),
        },
        _steps(rotate={"max_deg": 3.0}, noise={"sigma": 12.0}, grey={}),
    ),
    "crumpled": Preset("crumpled and folded paper", {}, _steps(crumple={"strength": 0.1})),
    "stained": Preset("stains and handwriting", {}, _steps(stain={}, handwriting={})),
    "faded": Preset("faded thermal paper", {"pen.breaks": 0.5}, _steps(fading={"strength": 0.6})),
    "fax": Preset("one-bit fax", {}, _steps(fax={"dpi_factor": 1.0})),
    "photo": Preset("a careful photograph", _PHOTO, _steps(photograph={})),
    "photo-hard": Preset(
        "a hurried photograph",
        _PHOTO,
        _steps(
            photograph={
                "corner_shift": 0.05,
                "rotation_deg": 8.0,
                "curl": 0.008,
                "shadow": 0.45,
                "psf_px": (0.8, 1.5),
                "noise": (4.0, 10.0),
                "jpeg": 55,
            }
        ),
    ),
    "screen": Preset(
        "a dark screen, photographed",
        {
            **_PHOTO,
            "paper.colour": (8, 10, 14),
            "grid.minor_colour": (28, 34, 38),
            "grid.major_colour": (56, 66, 72),
            "pen.colour": (80, 250, 110),
            "text.colour": (220, 225, 220),
        },
        _steps(photograph={}, moire={"strength": 0.08}),
    ),
}
