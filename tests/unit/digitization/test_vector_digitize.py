import numpy as np
import pytest

from cinc_ecg.digitization.pipeline import DigitizeConfig
from cinc_ecg.digitization.vector_digitize import digitize_source
from cinc_ecg.errors import DigitizationError
from cinc_ecg.io.images import ReadLimits, read_image
from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.pdf_page import write_pdf
from cinc_ecg.synth.settings import (
    LayoutSettings,
    PageSettings,
    ScaleSettings,
    SeparatorSettings,
    TextSettings,
)
from cinc_ecg.types import Signal

DRAFT = ReadLimits(pdf_dpi=100.0)


def snr_db(truth, result):
    """Worst fast SNR over the leads, against what is printed."""
    values = []
    for column, lead in enumerate(truth.signal.leads):
        expected = truth.signal.samples_mv[:, column].astype(float)
        if np.nanstd(expected) < 1e-3:
            continue
        got = result.signal.samples_mv[:, result.signal.leads.index(lead)].astype(float)
        values.append(fast_snr(expected, got, 500.0))
    return min(values)


@pytest.mark.parametrize(
    ("layout", "scale"),
    [
        (LayoutSettings(), ScaleSettings()),
        (LayoutSettings(template="6x2"), ScaleSettings()),
        (LayoutSettings(template="12x1"), ScaleSettings(mm_per_s=25.0, mm_per_mv=5.0)),
        (LayoutSettings(template="3x4-cabrera"), ScaleSettings(mm_per_mv=20.0)),
    ],
)
def test_vector_exports_give_the_printed_signal_back(tmp_path, layout, scale):
    signal = simulate(EcgSettings(), seed=21)
    truth = write_pdf(signal, tmp_path / "a.pdf", PageSettings(layout=layout, scale=scale))
    result = digitize_source(read_image(tmp_path / "a.pdf", limits=DRAFT))
    assert "vector" in {note.code for note in result.notes}
    assert (result.calibration.mm_per_s, result.calibration.mm_per_mv) == (
        scale.mm_per_s,
        scale.mm_per_mv,
    )
    assert snr_db(truth, result) > 60


def test_fast_paper(tmp_path):
    long = simulate(seed=3)
    short = Signal(long.samples_mv[:2500], long.fs_hz, long.leads)
    settings = PageSettings(scale=ScaleSettings(mm_per_s=50.0))
    truth = write_pdf(short, tmp_path / "a.pdf", settings)
    result = digitize_source(read_image(tmp_path / "a.pdf", limits=DRAFT))
    assert result.calibration.mm_per_s == 50.0
    assert snr_db(truth, result) > 60


def test_the_users_own_speed_wins(tmp_path):
    truth = write_pdf(simulate(seed=3), tmp_path / "a.pdf")
    image = read_image(tmp_path / "a.pdf", limits=DRAFT)
    result = digitize_source(image, config=DigitizeConfig(mm_per_mv=5.0))
    ratio = np.nanmax(np.abs(result.signal.samples_mv[:, 1])) / np.nanmax(
        np.abs(truth.signal.samples_mv[:, 1])
    )
    assert ratio == pytest.approx(2.0, rel=0.05)


def test_drawn_lines_that_are_no_ecg_are_refused(tmp_path):
    settings = PageSettings(
        layout=LayoutSettings(template="3x1"),
        scale=ScaleSettings(pulse="none"),
        separators=SeparatorSettings(style="none"),
        text=TextSettings(show_names=False, show_scale=False, show_header=False),
    )
    write_pdf(simulate(seed=3), tmp_path / "a.pdf", settings)
    with pytest.raises(DigitizationError):
        digitize_source(read_image(tmp_path / "a.pdf", limits=DRAFT))
