"""Write and read the truth of a rendered page: arrays as NPZ, everything else as JSON beside it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from cinc_ecg.errors import InputError
from cinc_ecg.io.atomic import staged
from cinc_ecg.types import (
    Calibration,
    Layout,
    LeadName,
    PageGeometry,
    PageTruth,
    Panel,
    Pulse,
    Separator,
    Signal,
)

SCHEMA = "cinc-ecg-page-truth/1"


def save_truth(truth: PageTruth, stem: str | Path) -> tuple[Path, Path]:
    """Write `stem.truth.npz` and `stem.truth.json`; both appear whole or not at all.

    Args:
        truth: What `render` or an artefact returned.
        stem: Path without extension; its folder must exist.

    Returns:
        The two paths.

    Raises:
        OutputError: The folder is missing or cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "samples_mv": truth.signal.samples_mv,
        "nodes_px": np.asarray(truth.geometry.nodes_px),
        "text_boxes_mm": np.array(truth.text_boxes_mm, float).reshape(-1, 4),
    }
    for number, trace in enumerate(truth.trace_mm):
        arrays[f"trace_{number:02d}_mm"] = trace
    facts = {
        "schema": SCHEMA,
        "signal": {"fs_hz": truth.signal.fs_hz, "leads": truth.signal.leads},
        "geometry": {
            "origin_mm": truth.geometry.origin_mm,
            "pitch_mm": truth.geometry.pitch_mm,
            "calibrated": truth.geometry.calibrated,
        },
        "layout": asdict(truth.layout),
        "calibration": asdict(truth.calibration),
        "names": [asdict(name) for name in truth.names],
        "pulses": [asdict(pulse) for pulse in truth.pulses],
        "separators": [asdict(mark) for mark in truth.separators],
        "settings": truth.settings,
    }
    npz, sidecar = _paths(stem)
    text = json.dumps(facts, indent=1, default=_plain) + "\n"
    with staged(npz.parent) as scratch:
        with (scratch / npz.name).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        (scratch / sidecar.name).write_text(text, encoding="utf-8")
    return npz, sidecar


def load_truth(stem: str | Path) -> PageTruth:
    """Read what `save_truth` wrote.

    Raises:
        InputError: A file is missing, damaged or of another schema.
    """
    npz, sidecar = _paths(stem)
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        with npz.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{stem}: the page's truth cannot be read ({error})") from error
    if facts.get("schema") != SCHEMA:
        raise InputError(f"{sidecar}: schema is {facts.get('schema')!r}, expected {SCHEMA!r}")
    layout = facts["layout"]
    panels = tuple(Panel(**{**p, "box_mm": tuple(p["box_mm"])}) for p in layout.pop("panels"))
    geometry = facts["geometry"]
    return PageTruth(
        signal=Signal(
            arrays["samples_mv"], facts["signal"]["fs_hz"], tuple(facts["signal"]["leads"])
        ),
        layout=Layout(panels=panels, **layout),
        geometry=PageGeometry(
            arrays["nodes_px"],
            tuple(geometry["origin_mm"]),
            tuple(geometry["pitch_mm"]),
            geometry["calibrated"],
        ),
        calibration=Calibration(**facts["calibration"]),
        trace_mm=tuple(arrays[f"trace_{number:02d}_mm"] for number in range(len(panels))),
        names=tuple(LeadName(**{**n, "box_mm": tuple(n["box_mm"])}) for n in facts["names"]),
        pulses=tuple(Pulse(**pulse) for pulse in facts["pulses"]),
        separators=tuple(Separator(**mark) for mark in facts["separators"]),
        text_boxes_mm=tuple(_box(row) for row in arrays["text_boxes_mm"]),
        settings=facts["settings"],
    )


def _box(row: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in row)
    return x0, y0, x1, y1


def _paths(stem: str | Path) -> tuple[Path, Path]:
    return Path(f"{stem}.truth.npz"), Path(f"{stem}.truth.json")


def _plain(value: object) -> object:
    """Turn NumPy scalars and arrays into what JSON knows."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
