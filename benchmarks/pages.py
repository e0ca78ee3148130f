"""The benchmark's pages: from condition, recording and seed always the same bytes.

Conditions are files in `benchmarks/conditions`. The materials below belong to the benchmark alone:
no font, grid colour, background or paper texture of theirs is a default of `cinc_ecg.synth`, so
nothing is tuned on them by accident.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from cinc_ecg.errors import ConfigError, InputError
from cinc_ecg.io.records import find_records, read_header, read_signal
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.synth.arrangement import arrange, printed_signal
from cinc_ecg.synth.artefacts import Step, apply
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import EcgImage, PageTruth, Signal

CONDITIONS = Path(__file__).parent / "conditions"

FONTS = (
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralItalic.ttf",
    "cmr10.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
    "cmb10.ttf",
    "builtin",
)
Rgb = tuple[int, int, int]
#: Grid colours (1 mm, 5 mm). "standard" are the red lines of the Challenge's generator.
GRIDS: dict[str, tuple[Rgb, Rgb]] = {
    "standard": ((254, 223, 219), (255, 0, 0)),
    "sepia": ((214, 196, 170), (150, 105, 60)),
    "teal": ((150, 205, 200), (0, 110, 115)),
    "violet": ((205, 185, 225), (115, 60, 160)),
    "moss": ((175, 195, 140), (85, 115, 30)),
    "slate": ((160, 165, 180), (70, 75, 95)),
    "navy": ((140, 155, 205), (25, 40, 120)),
}
PAPERS: dict[str, Rgb] = {
    "white": (255, 255, 255),
    "cream": (247, 238, 214),
    "mint": (219, 240, 226),
    "sky": (196, 216, 242),
    "sand": (236, 208, 168),
    "lilac": (222, 212, 238),
    "silver": (214, 214, 214),
    "ash": (186, 186, 184),
}
#: One dark ink for trace, text and grid.
TONES: dict[str, Rgb] = {"graphite": (52, 52, 54), "umber": (70, 48, 34), "indigo": (36, 38, 82)}
BACKGROUNDS = ("marble", "tiles", "clutter")
CRUMPLES = ("facets",)

_KEYS = {
    "rendered": {"grids", "papers", "one_tone", "page", "cycle", "shuffle_order", "artefacts"},
    "ladders": {"grids", "ladders"},
    "challenge_folders": set(),
    "scans": {"picture", "record", "printed"},
}
SEVERITIES = 5


@dataclass(frozen=True, slots=True)
class FolderPage:
    """A picture that exists, with its reference signal (NaN outside what is printed)."""

    name: str
    subset: str
    picture: Path
    reference: Signal


def list_conditions() -> list[str]:
    """Return the names of all conditions, those that need a folder included."""
    return sorted(path.stem for path in CONDITIONS.glob("*.yaml"))


def ladder_rungs() -> list[str]:
    """Return the condition name of every rung, "ladders/<artefact>/<severity>"; 0 is without it."""
    names = read_condition("ladders")["ladders"]
    return [f"ladders/{name}/{k}" for name in names for k in range(SEVERITIES + 1)]


@lru_cache(maxsize=32)
def read_condition(name: str) -> dict[str, Any]:
    """Read one condition file.

    Raises:
        ConfigError: There is no such condition, or its file has unknown keys.
    """
    path = CONDITIONS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(list_conditions())
        raise ConfigError(f"condition {name!r} is not known; use one of {known}")
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    condition = {str(key): value for key, value in content.items()}
    unknown = set(condition) - {"summary", "kind"} - _KEYS.get(condition.get("kind", ""), set())
    if condition.get("kind") not in _KEYS or unknown:
        raise ConfigError(f"{path}: kind {condition.get('kind')!r}, unknown keys {sorted(unknown)}")
    return condition


def needs_folder(name: str) -> bool:
    """Tell whether a condition reads pictures instead of rendering them."""
    return read_condition(name.split("/", maxsplit=1)[0])["kind"] in ("challenge_folders", "scans")


def condition_page(name: str, index: int, signal: Signal, seed: int) -> tuple[EcgImage, PageTruth]:
    """Make page `index` of a condition.

    Args:
        name: A condition, or a rung "ladders/<artefact>/<severity>".
        index: Number of the recording within the run; decides with `seed` all that is random.
        signal: The recording.
        seed: The run's seed.

    Returns:
        Picture and truth; the same arguments give the same bytes.

    Raises:
        ConfigError: No such condition, or it reads pictures from a folder.
    """
    condition = read_condition(name.split("/", maxsplit=1)[0])
    if needs_folder(name):
        raise ConfigError(f"condition {name!r} is not rendered; its pages come from a folder")
    if condition["kind"] == "ladders":  # the rungs of a ladder differ in severity alone
        name, index = _rung_name(name, index), index // (SEVERITIES + 1)
    rng = np.random.default_rng([seed, index, zlib.crc32(name.rsplit("/", 1)[0].encode())])
    values, steps = _materials(condition, rng), _steps(condition.get("artefacts", []))
    values |= condition.get("page", {})
    if condition["kind"] == "ladders":
        page, steps = _rung(condition, name)
        values |= page
    cycle = condition.get("cycle", [])
    if cycle:
        values |= cycle[index % len(cycle)]
    if rng.random() < condition.get("shuffle_order", 0.0):
        template = TEMPLATES[values.get("layout.template", "3x4+1")]
        leads = [lead for row in template.rows for lead in row]
        values["layout.order"] = tuple(leads[k] for k in rng.permutation(len(leads)))
    settings = with_values(PageSettings(), values)
    image, truth = render(signal, settings, seed=int(rng.integers(2**31)))
    image, truth = apply(image, truth, steps, rng)
    return EcgImage(image.pixels, f"{name}-{index}", 0, image.dpi), truth


def folder_pages(name: str, folder: Path, records: Path | None = None) -> Iterator[FolderPage]:
    """Yield the pages of a condition that reads pictures.

    Args:
        name: "public" or "scans".
        folder: Where the pictures are.
        records: Where the reference recordings of scans are.

    Raises:
        InputError: The folder is missing or holds nothing usable.
    """
    condition = read_condition(name)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; condition {name!r} needs one with pictures")
    if condition["kind"] == "challenge_folders":
        pages = _challenge_pages(folder)
    else:
        pages = _scan_pages(condition, folder, records or folder)
    empty = True
    for page in pages:
        empty = False
        yield page
    if empty:
        raise InputError(f"{folder}: holds no page that condition {name!r} understands")


def _materials(condition: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Draw font, grid, paper and ink among the benchmark's own."""
    values: dict[str, Any] = {"text.font": FONTS[rng.integers(len(FONTS))]}
    papers = condition.get("papers", ["white"])
    paper = PAPERS[papers[rng.integers(len(papers))]]
    values["paper.colour"] = paper
    if "one_tone" in condition:
        tones = condition["one_tone"]
        tone = TONES[tones[rng.integers(len(tones))]]
        halfway = tuple((a + b) // 2 for a, b in zip(tone, paper, strict=True))
        values |= {"pen.colour": tone, "text.colour": tone}
        values |= {"grid.major_colour": tone, "grid.minor_colour": halfway}
        return values
    grids = condition.get("grids", ["standard"])
    minor, major = GRIDS[grids[rng.integers(len(grids))]]
    values |= {"grid.minor_colour": minor, "grid.major_colour": major}
    dark = int(rng.integers(0, 52))
    return values | {"pen.colour": (dark, dark, dark)}


def _steps(items: list[dict[str, Any]]) -> list[Step]:
    return [
        Step(item["name"], {key: value for key, value in item.items() if key != "name"})
        for item in items
    ]


def _rung_name(name: str, index: int) -> str:
    """Name the rung that a page stands on; plain "ladders" takes them in turn."""
    rungs = ladder_rungs()
    rung = rungs[index % len(rungs)] if name == "ladders" else name
    if rung not in rungs:
        raise ConfigError(f"{name!r} is no rung of the ladders; use one of {', '.join(rungs)}")
    return rung


def _rung(condition: dict[str, Any], name: str) -> tuple[dict[str, Any], list[Step]]:
    """Return page settings and artefacts of one rung."""
    _, artefact, severity = name.split("/")
    if severity == "0":
        return {}, []
    ladder = condition["ladders"][artefact]
    step = int(severity) - 1
    page = {key: row[step] for key, row in ladder.get("page", {}).items()}
    if "artefact" not in ladder:
        return page, []
    moving = {key: row[step] for key, row in ladder["steps"].items()}
    return page, [Step(ladder["artefact"], {**ladder.get("fixed", {}), **moving})]


def _challenge_pages(folder: Path) -> Iterator[FolderPage]:
    for inputs in sorted(folder.glob("**/input")):
        for record in find_records(inputs):
            reference = inputs.parent / "ref" / record
            for picture in read_header(inputs / record).images:
                path = (inputs / record).parent / picture
                yield FolderPage(record, inputs.parent.name, path, read_signal(reference))


def _scan_pages(condition: dict[str, Any], folder: Path, records: Path) -> Iterator[FolderPage]:
    known = {Path(record).name: records / record for record in find_records(records)}
    for picture in sorted(folder.iterdir()):
        found = re.search(condition["picture"], picture.stem)
        record = condition["record"].format(found.group(1)) if found else ""
        if record not in known:
            continue
        settings = with_values(PageSettings(), condition["printed"])
        signal = read_signal(known[record])
        printed = printed_signal(signal, arrange(signal, settings))
        yield FolderPage(picture.stem, "scans", picture, printed)
