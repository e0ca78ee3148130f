"""Fixtures shared by the tests: small results that no stage of the pipeline had to make."""

import numpy as np
import pytest

from cinc_ecg.geometry import flat_geometry
from cinc_ecg.types import (
    Calibration,
    Digitization,
    EcgImage,
    Layout,
    LeadStatus,
    LeadTrace,
    Note,
    Panel,
    Quality,
    Signal,
)


@pytest.fixture
def small_digitization() -> Digitization:
    """Two rows of one lead each on a 100 x 60 mm page at 8 px/mm, with a gap in the second."""
    step_mm, n = 0.125, 640
    x_mm = 10.0 + step_mm * np.arange(n)
    panels, traces, columns = [], [], []
    for row, lead in enumerate(("I", "V6")):
        baseline = 20.0 + 25.0 * row
        y_mm = baseline - 8.0 * np.exp(-(((x_mm % 20) - 10) ** 2))
        visible = np.ones(n, bool)
        if row:
            y_mm[200:260] = np.nan
            visible[200:260] = False
        panels.append(
            Panel(lead, row, (10.0, baseline - 12, 90.0, baseline + 12), 0.0, 3.2, 25, 10, baseline)
        )
        traces.append(LeadTrace(row, 10.0, step_mm, y_mm, np.full(n, 0.05), visible))
        columns.append((baseline - y_mm) / 10.0)
    samples = np.stack(columns, axis=1).astype(np.float32)
    return Digitization(
        signal=Signal(samples, 200.0, ("I", "V6"), np.full_like(samples, 0.005)),
        layout=Layout("rows", tuple(panels), confidence=0.9, runner_up="2x1"),
        geometry=flat_geometry(800, 480, 8.0),
        calibration=Calibration(25.0, 10.0, "grid", "pulse"),
        traces=tuple(traces),
        leads=(
            LeadStatus("I", "ok", 0.0, 3.2, 1.0, 22.0),
            LeadStatus("V6", "partial", 0.0, 3.2, 0.9),
        ),
        quality=Quality(8.0, None, 0.95),
        notes=(Note("gap", "warning", "V6", "A gap of 0.3 s was left open."),),
    )


@pytest.fixture
def small_image() -> EcgImage:
    """A white page that fits `small_digitization`."""
    return EcgImage(np.full((480, 800, 3), 255, np.uint8), "page.png", 0, 200.0)


def _write_ecg(
    folder, name, seed=0, *, labels=(), fs_hz=100.0, seconds=10.0, comments=(), images=()
):
    """Write a simulated record with the Challenge's comments; labels=None writes no such line."""
    from cinc_ecg.io.records import write_record
    from cinc_ecg.synth.ecg import EcgSettings, simulate

    signal = simulate(EcgSettings(fs_hz=fs_hz, duration_s=seconds), seed=seed)
    lines = [*comments]
    if labels is not None:
        lines.append("Labels: " + ", ".join(labels))
    if images:
        lines.append("Image: " + ", ".join(images))
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / name, signal, comments=lines)
    return folder / name


@pytest.fixture
def write_ecg():
    """Give the function that writes a simulated Challenge record."""
    return _write_ecg


@pytest.fixture(scope="session")
def write_ecg_session():
    """Give the same function to fixtures that live longer than a test."""
    return _write_ecg


@pytest.fixture
def ecg_folder(tmp_path):
    """Give a folder of six labelled records r0..r5."""
    folder = tmp_path / "data"
    for k in range(6):
        _write_ecg(folder, f"r{k}", k, labels=["NORM"] if k % 2 else ["AFIB/AFL", "CD"])
    return folder
