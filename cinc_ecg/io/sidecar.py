"""The JSON sidecar: everything a reader must know about a digitized signal, in one documented
schema."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from cinc_ecg._version import __version__
from cinc_ecg.types import Digitization, Note

SCHEMA = "cinc_ecg/digitization"
#: Raised whenever a field changes its meaning or goes away; new fields do not raise it.
SCHEMA_VERSION = 1


def sidecar(
    digitization: Digitization,
    *,
    source: dict[str, Any] | None = None,
    extra_notes: tuple[Note, ...] = (),
) -> dict[str, Any]:
    """Describe a result as plain JSON values; NaN and infinities become null.

    Args:
        digitization: The result.
        source: Where it came from (file, page, sha256, ...), stored as given.
        extra_notes: Remarks of the writer, such as clipped samples.
    """
    signal, layout, calibration = (
        digitization.signal,
        digitization.layout,
        digitization.calibration,
    )
    px_per_mm = digitization.geometry.px_per_mm
    return _plain(
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "versions": {"cinc_ecg": __version__},
            "source": source or {},
            "signal": {
                "fs_hz": signal.fs_hz,
                "n_samples": len(signal.samples_mv),
                "duration_s": signal.duration_s,
                "units": "mV",
                "leads": list(signal.leads),
            },
            "calibration": {
                "calibrated": digitization.geometry.calibrated,
                "mm_per_s": calibration.mm_per_s,
                "mm_per_mv": calibration.mm_per_mv,
                "time_source": calibration.time_source,
                "gain_source": calibration.gain_source,
                "px_per_mm_x": px_per_mm[0],
                "px_per_mm_y": px_per_mm[1],
            },
            "layout": {
                "name": layout.name,
                "cabrera": layout.cabrera,
                "simultaneous": layout.simultaneous,
                "confidence": layout.confidence,
                "runner_up": layout.runner_up,
                "panels": [asdict(panel) for panel in layout.panels],
            },
            "leads": [asdict(status) for status in digitization.leads],
            "quality": asdict(digitization.quality),
            "notes": [asdict(note) for note in (*digitization.notes, *extra_notes)],
        }
    )


def dump_json(value: dict[str, Any]) -> str:
    """Write JSON the same way everywhere: UTF-8, two spaces, no NaN."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Turn tuples, NumPy scalars and non-finite numbers into what JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)
