"""A calm simulated recording and small pages of it, drawn once per session."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values

#: Three rows of two limb leads; 120 x 90 mm at 110 dpi.
SMALL = {
    "paper.size_mm": (120.0, 90.0),
    "paper.dpi": 110.0,
    "layout.template": "3x2-limb",
    "layout.column_s": 1.8,
    "layout.top_mm": 20.0,
    "layout.bottom_mm": 66.0,
    "text.show_header": False,
    "text.show_scale": False,
}
#: All twelve leads over a rhythm strip; 160 x 110 mm at 125 dpi.
TWELVE = {
    "paper.size_mm": (160.0, 110.0),
    "paper.dpi": 125.0,
    "layout.template": "3x4+1",
    "layout.column_s": 1.25,
    "layout.baselines_mm": (22.0, 44.0, 66.0, 90.0),
    "text.show_header": False,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="session")
def calm():
    """Ten seconds of sinus rhythm without noise or drift."""
    settings = EcgSettings(
        rhythm="sinus",
        rate_bpm=75,
        conduction="normal",
        voltage=1.0,
        st_mv=0.0,
        t_inverted=False,
        wander_mv=0.0,
        muscle_mv=0.0,
        mains_mv=0.0,
        flat_leads=(),
    )
    return simulate(settings, seed=3)


@pytest.fixture(scope="session")
def draw(calm):
    """Draw a page of the calm recording: (base settings, changes) -> page, truth."""

    def drawn(base, **values):
        changed = {name.replace("__", "."): value for name, value in values.items()}
        return render(calm, with_values(PageSettings(), {**base, **changed}), seed=1)

    return drawn


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def twelve():
    return TWELVE


@pytest.fixture(scope="session")
def snr_of():
    """Mean SNR in dB over the printed leads; a lead that is not there counts -20 dB."""

    def mean_snr(truth, signal):
        values = []
        for column, lead in enumerate(truth.signal.leads):
            reference = truth.signal.samples_mv[:, column]
            if not np.isfinite(reference).any():
                continue
            if lead not in signal.leads:
                values.append(-20.0)
                continue
            estimate = signal.samples_mv[:, signal.leads.index(lead)]
            values.append(fast_snr(reference, estimate, truth.signal.fs_hz))
        return float(np.mean(values))

    return mean_snr
