import dataclasses

import numpy as np
import pytest
from PIL import Image

from cinc_ecg.digitization.vector import read_rows
from cinc_ecg.digitization.vector_grid import StraightLine, find_vector_grid
from cinc_ecg.digitization.vector_lines import Piece, as_piece, cluster_rows, find_pulse
from cinc_ecg.geometry import to_image
from cinc_ecg.io.images import ReadLimits, read_image
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.pdf_page import write_pdf
from cinc_ecg.synth.settings import GridSettings, LayoutSettings, PageSettings, ScaleSettings
from cinc_ecg.types import Signal

PT = 72 / 25.4


def drawn_snr_db(page, truth):
    """Worst signal-to-noise ratio over the panels, read against the pen's way, in page mm."""
    worst = np.inf
    for panel, line in zip(truth.layout.panels, truth.trace_mm, strict=True):
        row = page.rows[panel.row]
        x = row.x0_mm + row.step_mm * np.arange(len(row.y_mm))
        y = np.interp(line[:, 0], x, row.y_mm)
        power = max(np.mean((line[:, 1] - panel.baseline_mm) ** 2), 1.0)  # a lead may be flat
        worst = min(worst, 10 * np.log10(power / np.mean((y - line[:, 1]) ** 2)))
    return worst


@pytest.fixture(scope="module")
def signal():
    return simulate(seed=11)


@pytest.mark.parametrize("pieces", ["panel", "row"])
@pytest.mark.parametrize("template", ["3x4+1", "12x1", "6x2", "3x4-cabrera"])
def test_exports_are_read_without_loss(tmp_path, signal, template, pieces):
    settings = PageSettings(layout=LayoutSettings(template=template))
    truth = write_pdf(signal, tmp_path / "a.pdf", settings, pieces=pieces)
    page = read_rows(tmp_path / "a.pdf")
    assert page.calibrated
    assert len(page.rows) == len({panel.row for panel in truth.layout.panels})
    assert drawn_snr_db(page, truth) > 60
    assert sorted(name.lead for name in page.names) == sorted(name.lead for name in truth.names)
    assert {name.inverted for name in page.names if name.lead != "aVR"} == {False}
    found = [(p.x0_mm, p.x1_mm, p.foot_mm, p.top_mm) for p in page.pulses]
    expected = sorted((p.foot_mm, p.x0_mm, p.x1_mm, p.top_mm) for p in truth.pulses)
    np.testing.assert_allclose(found, [(b, c, a, d) for a, b, c, d in expected], atol=0.01)
    if template != "12x1":
        found_mm = sorted(mark.x_mm for mark in page.separators)
        np.testing.assert_allclose(found_mm, sorted(m.x_mm for m in truth.separators), atol=0.1)


def test_a_trace_cut_into_single_strokes_is_joined(tmp_path):
    short = simulate(seed=2)
    short = Signal(short.samples_mv[:1500], short.fs_hz, short.leads)
    truth = write_pdf(short, tmp_path / "a.pdf", pieces="segments")
    assert drawn_snr_db(read_rows(tmp_path / "a.pdf"), truth) > 60


@pytest.mark.parametrize("scale", [0.8, 1.3])
def test_the_grid_gives_the_millimetre_of_a_scaled_export(tmp_path, signal, scale):
    truth = write_pdf(signal, tmp_path / "a.pdf")
    data = (tmp_path / "a.pdf").read_bytes()
    # A matrix in front of the content scales everything that follows.
    start = data.index(b"stream\n") + len(b"stream\n")
    matrix = b"%.3f 0 0 %.3f 0 0 cm\n" % (scale, scale)
    length = int(data[data.index(b"/Length ") + 8 :].split()[0])
    data = data.replace(b"/Length %d" % length, b"/Length %d" % (length + len(matrix)))
    start = data.index(b"stream\n") + len(b"stream\n")
    (tmp_path / "b.pdf").write_bytes(data[:start] + matrix + data[start:])
    page = read_rows(tmp_path / "b.pdf")
    np.testing.assert_allclose(page.pt_per_mm, (PT * scale, PT * scale), rtol=1e-4)
    heights = [pulse.height_mm for pulse in page.pulses]
    np.testing.assert_allclose(heights, [p.height_mm for p in truth.pulses], atol=0.01)


@pytest.mark.parametrize(("minor", "major"), [(True, False), (False, True)])
def test_one_family_of_lines_is_enough(tmp_path, signal, minor, major):
    settings = PageSettings(grid=GridSettings(minor=minor, major=major))
    write_pdf(signal, tmp_path / "a.pdf", settings)
    page = read_rows(tmp_path / "a.pdf")
    assert page.calibrated
    np.testing.assert_allclose(page.pt_per_mm, (PT, PT), rtol=1e-4)


def test_without_a_grid_the_page_is_uncalibrated_but_read(tmp_path, signal):
    settings = PageSettings(grid=GridSettings(style="none"))
    truth = write_pdf(signal, tmp_path / "a.pdf", settings)
    page = read_rows(tmp_path / "a.pdf")
    assert not page.calibrated
    assert drawn_snr_db(page, truth) > 60


def test_other_speeds_and_gains_change_only_the_drawing(tmp_path, signal):
    settings = PageSettings(scale=ScaleSettings(mm_per_s=50.0, mm_per_mv=5.0))
    truth = write_pdf(signal, tmp_path / "a.pdf", settings)
    page = read_rows(tmp_path / "a.pdf")
    assert drawn_snr_db(page, truth) > 60
    assert page.rows[0].step_mm == pytest.approx(50.0 / signal.fs_hz, rel=1e-3)


def test_geometry_places_the_trace_on_the_rendering(tmp_path, signal):
    write_pdf(signal, tmp_path / "a.pdf", dataclasses.replace(PageSettings()))
    page = read_rows(tmp_path / "a.pdf")
    image = read_image(tmp_path / "a.pdf", limits=ReadLimits(pdf_dpi=150.0))
    row = page.rows[1]
    k = np.arange(0, len(row.y_mm), 50)
    points = np.c_[row.x0_mm + row.step_mm * k, row.y_mm[k]]
    columns, rows = np.rint(to_image(page.geometry(image), points)).astype(int).T
    nearby = np.stack([image.pixels[rows + d, columns].max(axis=-1) for d in (-1, 0, 1)])
    assert np.mean(nearby.min(axis=0) < 140) > 0.97


def test_matplotlib_pages_with_simplified_lines_are_read(tmp_path):
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    fs_hz, mm_per_s = 500.0, 25.0
    signal = simulate(seed=4)
    figure = Figure(figsize=(280 / 25.4, 200 / 25.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 280), ylim=(200, 0))
    axes.axis("off")
    for pitch, width in ((1, 0.2), (5, 0.5)):
        for x in range(0, 281, pitch):
            axes.plot([x, x], [0, 200], color="pink", linewidth=width)
        for y in range(0, 201, pitch):
            axes.plot([0, 280], [y, y], color="pink", linewidth=width)
    for row in range(3):
        y = 50 + 50 * row - 10 * signal.samples_mv[:, row]
        axes.plot(15 + np.arange(5000) / fs_hz * mm_per_s, y, color="black", linewidth=0.7)
    FigureCanvasPdf(figure).print_pdf(tmp_path / "a.pdf")
    page = read_rows(tmp_path / "a.pdf")
    assert len(page.rows) == 3
    np.testing.assert_allclose(page.pt_per_mm, (PT, PT), rtol=1e-3)
    for row, trace in enumerate(page.rows):
        x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
        y = np.interp(15 + np.arange(20, 4980) / fs_hz * mm_per_s, x, trace.y_mm)
        mv = (50 + 50 * row - y) / 10
        truth = signal.samples_mv[20:4980, row]
        assert np.sqrt(np.mean((mv - truth) ** 2)) < 0.01  # matplotlib drops finer detail


def test_a_page_without_traces_is_left_to_the_eye(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "scan.pdf")
    assert read_rows(tmp_path / "scan.pdf") is None


def test_grid_needs_regular_lines_in_both_directions():
    def comb(vertical, pitch, n=20):
        return [StraightLine(vertical, k * pitch, 0, 400, "a") for k in range(n)]

    assert find_vector_grid(comb(True, PT) + comb(False, PT)).pt_per_mm == pytest.approx((PT, PT))
    assert find_vector_grid(comb(True, 5 * PT) + comb(False, 5 * PT)).pt_per_mm == pytest.approx(
        (PT, PT)
    )
    assert find_vector_grid(comb(True, PT)) is None
    rng = np.random.default_rng(0)
    ragged = [
        StraightLine(v, float(x), 0, 400, "a") for v in (0, 1) for x in rng.uniform(0, 99, 30)
    ]
    assert find_vector_grid(ragged) is None


def test_pulse_shapes():
    square = np.array([[0, 10], [1, 10], [1, 0], [6, 0], [6, 10], [7, 10]], float)
    pulse = find_pulse(square)
    assert (pulse.x0_mm, pulse.x1_mm, pulse.height_mm) == (1, 6, 10)
    assert find_pulse(square * (1, 0.1)) is None
    assert find_pulse(square * (20, 1)) is None
    x = np.linspace(0, 7, 50)
    assert find_pulse(np.c_[x, 5 * np.sin(x)]) is None


def test_simplified_vertices_come_back_on_the_lattice():
    x = 0.05 * np.arange(1000)
    y = np.round(np.interp(x, np.linspace(0, 50, 60), np.random.default_rng(1).normal(0, 2, 60)), 3)
    keep = np.r_[True, np.abs(np.diff(y, 2)) > 1e-9, True]
    piece = as_piece(np.c_[x, y][keep])
    assert piece.step_mm == pytest.approx(0.05, rel=1e-6)
    np.testing.assert_allclose(piece.y_mm, y, atol=2e-3)


def test_rows_never_hold_traces_one_above_the_other():
    def piece(x0, level):
        return Piece(x0, 0.5, np.full(100, float(level)))

    rows = cluster_rows([piece(0, 20), piece(50, 26), piece(0, 40), piece(50, 35), piece(100, 22)])
    assert [[p.x0_mm for p in row] for row in rows] == [[0, 50, 100], [50, 0][::-1]]
