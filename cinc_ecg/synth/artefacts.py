"""Every artefact by name, with one signature, and chains of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import ConfigError
from cinc_ecg.synth import camera, lighting, marks, optics
from cinc_ecg.types import EcgImage, PageTruth

Pixels = NDArray[np.uint8]
#: (pixels, truth, rng, **parameters) -> (pixels, truth); the truth's geometry is kept exact.
Artefact = Callable[..., tuple[Pixels, PageTruth]]


#: What may be given for a parameter annotated so; everything else is a tuple.
_ACCEPTED: dict[str, type | tuple[type, ...]] = {
    "float": (int, float, np.number),
    "int": (int, np.integer),
    "bool": bool,
    "str": str,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One artefact of a chain: its name in `ARTEFACTS` and its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def apply(
    image: EcgImage, truth: PageTruth, steps: Sequence[Step], rng: np.random.Generator
) -> tuple[EcgImage, PageTruth]:
    """Apply artefacts one after the other and note them in `truth.settings["artefacts"]`.

    Args:
        image: A rendered page.
        truth: Its truth.
        steps: Applied first to last.
        rng: Source of all chance; the same state gives the same bytes.

    Raises:
        ConfigError: An artefact or one of its parameters is unknown.
    """
    pixels = image.pixels
    for step in steps:
        if step.name not in ARTEFACTS:
            known = ", ".join(sorted(ARTEFACTS))
            raise ConfigError(f"artefact {step.name!r} is not known; use one of {known}")
        parameters = _checked(step)
        pixels, truth = ARTEFACTS[step.name](pixels, truth, rng, **parameters)
        truth = _noted(truth, step)
    dpi = image.dpi if pixels.shape == image.pixels.shape else None
    return EcgImage(pixels, image.source, image.page, dpi), truth


def parameters_of(name: str) -> dict[str, tuple[str, bool]]:
    """Return an artefact's parameters: their type as text, and whether each must be given."""
    if name == "photograph":
        return {entry.name: (str(entry.type), False) for entry in fields(camera.CameraSettings)}
    return {
        parameter.name: (str(parameter.annotation), parameter.default is Parameter.empty)
        for parameter in signature(ARTEFACTS[name]).parameters.values()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }


def _checked(step: Step) -> dict[str, Any]:
    """Compare a step with its artefact's signature; lists (from YAML) become tuples."""
    known = parameters_of(step.name)
    unknown = sorted(set(step.parameters) - set(known))
    needed = [name for name, (_, must) in known.items() if must]
    missing = [name for name in needed if name not in step.parameters]
    if unknown or missing:
        raise ConfigError(
            f"artefact {step.name} takes {', '.join(known) or 'no parameters'}; "
            f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}"
        )
    values = {}
    for name, value in step.parameters.items():
        values[name] = tuple(value) if isinstance(value, list) else value
        accepted = _ACCEPTED.get(known[name][0], tuple)
        if not isinstance(values[name], accepted):
            kind = known[name][0]
            raise ConfigError(f"artefact {step.name}: {name} is {value!r}, but must be a {kind}")
    return values


def _noted(truth: PageTruth, step: Step) -> PageTruth:
    before = truth.settings.get("artefacts", [])
    assert isinstance(before, list)
    note = {"name": step.name, **step.parameters}
    return replace(truth, settings={**truth.settings, "artefacts": [*before, note]})


def _photometric(change: Callable[..., Pixels]) -> Artefact:
    """Give a function of pixels alone the common signature."""

    @wraps(change)
    def artefact(
        pixels: Pixels, truth: PageTruth, rng: np.random.Generator, **parameters: Any
    ) -> tuple[Pixels, PageTruth]:
        return change(pixels, rng, **parameters), truth

    return artefact


def _photograph(
    pixels: Pixels, truth: PageTruth, rng: np.random.Generator, **parameters: Any
) -> tuple[Pixels, PageTruth]:
    """Photograph the page; parameters as in `camera.CameraSettings`."""
    return camera.photograph(pixels, truth, rng, camera=camera.CameraSettings(**parameters))


#: Every artefact by name.
ARTEFACTS: dict[str, Artefact] = {
    "rotate": camera.rotate,
    "quarter_turn": camera.quarter_turn,
    "perspective": camera.perspective,
    "curl": camera.curl,
    "rescale": camera.rescale,
    "crop": camera.crop,
    "photograph": _photograph,
    **{
        change.__name__: _photometric(change)
        for change in (
            optics.noise,
            optics.blur,
            optics.defocus,
            optics.motion,
            optics.jpeg,
            optics.down_up,
            optics.colour_cast,
            optics.grey,
            optics.fax,
            optics.moire,
            lighting.light_gradient,
            lighting.shadow,
            lighting.glare,
            lighting.crumple,
            lighting.fold,
            marks.stain,
            marks.fading,
            marks.handwriting,
            marks.occlusion,
        )
    },
}
