"""Make page files: picture, truth and, on request, the Challenge's record beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cinc_ecg.errors import ConfigError, RecordError
from cinc_ecg.io.atomic import staged, write_bytes
from cinc_ecg.io.records import read_header, read_signal, record_name, stage_record
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.presets import PRESETS
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.synth.truth import save_truth
from cinc_ecg.synth.variety import draw_settings, draw_steps
from cinc_ecg.types import EcgImage, PageTruth, Signal

_PNG_LEVEL = 3


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What every page of a run has in common.

    Attributes:
        folder: Where the files go.
        preset: A name of `presets.PRESETS`, or "vary" for another page each time.
        severity: How bad "vary" gets, 0..1.
        values: Page settings by dotted name, stronger than the preset's.
        steps: Artefacts after the preset's.
        page_s: Seconds of recording per page; longer recordings take several pages.
        challenge: Also write `NAME.hea` with `# Image:` and `NAME.dat`, masked to what is printed.
        seed: Start of all chance.
    """

    folder: Path
    preset: str = "clean"
    severity: float = 0.5
    values: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    page_s: float = 10.0
    challenge: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateTask:
    """One recording: read from `record`, or simulated when that is None."""

    name: str
    index: int
    options: GenerateOptions
    record: Path | None = None
    simulation: EcgSettings = field(default_factory=EcgSettings)


def generate_pages(task: GenerateTask) -> list[Path]:
    """Draw all pages of one recording and write them.

    Args:
        task: The recording and the run's options; same task, same files.

    Returns:
        The pictures written.

    Raises:
        RecordError: The recording cannot be read or is too short.
        ConfigError: A setting is unknown or wrong.
        OutputError: The folder cannot be written.
    """
    options = task.options
    signal, comments = _recording(task)
    per_page = round(options.page_s * signal.fs_hz)
    n_pages = max(len(signal.samples_mv) // per_page, 1)
    printed = np.full_like(signal.samples_mv, np.nan)
    pictures = []
    for number in range(n_pages):
        window = slice(number * per_page, (number + 1) * per_page)
        part = Signal(signal.samples_mv[window], signal.fs_hz, signal.leads)
        image, truth = make_page(part, options, task.index, number)
        printed[window] = truth.signal.samples_mv
        stem = options.folder / f"{task.name}-{number}"
        save_truth(truth, stem)
        pictures.append(stem.with_name(stem.name + ".png"))
        write_bytes(pictures[-1], png_bytes(image))
    if options.challenge:
        listing = f"Image: {', '.join(path.name for path in pictures)}"
        with staged(options.folder) as scratch:
            masked = Signal(printed, signal.fs_hz, signal.leads)
            stage_record(scratch, task.name, masked, [*comments, listing])
    return pictures


def make_page(
    signal: Signal, options: GenerateOptions, index: int, number: int = 0
) -> tuple[EcgImage, PageTruth]:
    """Draw one page as the options say; `index` and `number` pick its share of chance."""
    rng = np.random.default_rng([options.seed, index, number])
    if options.preset == "vary":
        settings = draw_settings(rng)
        steps = draw_steps(rng, options.severity)
    elif options.preset in PRESETS:
        preset = PRESETS[options.preset]
        settings = with_values(PageSettings(), preset.values)
        steps = list(preset.steps)
    else:
        raise ConfigError(
            f"preset {options.preset!r} is not known; use vary, {', '.join(PRESETS)}",
            code="preset_unknown",
        )
    settings = with_values(settings, options.values)
    image, truth = render(signal, settings, seed=int(rng.integers(2**31)))
    return apply(image, truth, [*steps, *options.steps], rng)


def png_bytes(image: EcgImage) -> bytes:
    """Encode as PNG with the stated resolution."""
    buffer = io.BytesIO()
    dpi = {"dpi": (image.dpi, image.dpi)} if image.dpi else {}
    Image.fromarray(image.pixels).save(buffer, "PNG", compress_level=_PNG_LEVEL, **dpi)
    return buffer.getvalue()


def _recording(task: GenerateTask) -> tuple[Signal, list[str]]:
    """Read or simulate the recording; comments of the header survive, old image lines do not."""
    if task.record is None:
        chance = np.random.SeedSequence([task.options.seed, task.index])
        return simulate(task.simulation, seed=int(chance.generate_state(1)[0])), []
    signal = read_signal(task.record)
    if len(signal.samples_mv) < signal.fs_hz:
        raise RecordError(f"{task.record}: is shorter than 1 s; nothing to print")
    header = read_header(task.record)
    return signal, [line.strip() for line in header.comments if not _is_image(line)]


def _is_image(comment: str) -> bool:
    return comment.strip().startswith("Image:")


def unique_names(records: list[Path]) -> list[str]:
    """Return a valid WFDB name per record; a number is added where two would be the same."""
    taken: set[str] = set()
    names = []
    for record in records:
        name = base = record_name(record.stem if record.suffix == ".hea" else record.name)
        count = 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        names.append(name)
    return names
