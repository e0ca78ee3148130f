"""Small pages on which invariances are checked, and how far two readings of one page are apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.pipeline import digitize
from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import EcgImage

#: Twelve leads over a rhythm strip, 160 x 110 mm.
PAGE = {
    "paper.size_mm": (160.0, 110.0),
    "paper.dpi": 130.0,
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


def record(seed):
    """Ten seconds of a clean sinus rhythm."""
    settings = EcgSettings(
        rhythm="sinus", wander_mv=0.0, muscle_mv=0.003, mains_mv=0.0, flat_leads=()
    )
    return simulate(settings, seed=seed)


def drawn(seed, **values):
    """Draw a page: (seed, settings with __ for the dot) -> picture, truth."""
    changed = {name.replace("__", "."): value for name, value in values.items()}
    return render(record(seed), with_values(PageSettings(), {**PAGE, **changed}), seed=seed)


def read(pixels):
    return digitize(EcgImage(np.ascontiguousarray(pixels), "page.png"))


def mean_snr(truth, signal):
    """Mean SNR in dB over the printed leads; a lead that is missing counts -20 dB."""
    values = []
    for column, lead in enumerate(truth.signal.leads):
        reference = truth.signal.samples_mv[:, column]
        if np.isfinite(reference).any():
            found = lead in signal.leads
            estimate = signal.samples_mv[:, signal.leads.index(lead)] if found else reference * 0
            values.append(fast_snr(reference, estimate, truth.signal.fs_hz) if found else -20.0)
    return float(np.mean(values))


@pytest.fixture(scope="session")
def page_of():
    return drawn


@pytest.fixture(scope="session")
def read_page():
    return read


@pytest.fixture(scope="session")
def snr():
    return mean_snr


@pytest.fixture(scope="session")
def plain():
    """Return (picture, truth, result, SNR) of one page as it is."""
    image, truth = drawn(7)
    result = read(image.pixels)
    return image, truth, result, mean_snr(truth, result.signal)
