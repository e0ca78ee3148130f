"""Pages: the standard geometry, every layout, and truth that agrees with the pixels."""

from dataclasses import replace

import numpy as np
import pytest

from cinc_ecg.errors import ConfigError
from cinc_ecg.geometry import to_image
from cinc_ecg.layouts import TEMPLATES
from cinc_ecg.leads import LEADS
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.synth.variety import draw_settings
from cinc_ecg.types import Signal

BARE = {"grid.style": "none", "text.show_names": False, "text.show_header": False} | {
    "text.show_scale": False,
    "separators.style": "none",
    "scale.pulse": "none",
    "pen.colour": (0, 0, 0),
}


@pytest.fixture(scope="module")
def signal() -> Signal:
    return simulate(EcgSettings(rhythm="sinus", flat_leads=()), seed=11)


@pytest.fixture(scope="module")
def standard(signal):
    return render(signal, seed=1)


def test_standard_page_has_the_published_geometry(standard):
    image, truth = standard
    assert image.pixels.shape == (1700, 2200, 3)
    assert image.dpi == 200
    corners = {
        p.lead: to_image(truth.geometry, np.array([p.box_mm[0], p.baseline_mm]))
        for p in truth.layout.panels
        if not p.rhythm
    }
    strip = next(p for p in truth.layout.panels if p.rhythm)
    for lead, x, y in [("I", 118, 708), ("aVL", 610, 992), ("V6", 1594, 1275)]:
        np.testing.assert_allclose(corners[lead], (x, y), atol=1.0)
    end = to_image(truth.geometry, np.array([strip.box_mm[2], strip.baseline_mm]))
    np.testing.assert_allclose(end, (2087, 1535), atol=1.0)
    assert truth.geometry.px_per_mm == pytest.approx((200 / 25.4, 200 / 25.4))


def test_columns_continue_in_time(standard, signal):
    _, truth = standard
    for panel in truth.layout.panels:
        if panel.rhythm:
            assert (panel.start_s, panel.duration_s) == (0.0, 10.0)
        else:
            column = LEADS.index(panel.lead) // 3
            assert (panel.start_s, panel.duration_s) == (2.5 * column, 2.5)
    printed = truth.signal.samples_mv
    for k, lead in enumerate(LEADS):
        start = int(k // 3 * 2.5 * 500)
        window = slice(None) if lead == "II" else slice(start, start + 1250)
        np.testing.assert_array_equal(printed[window, k], signal.samples_mv[window, k])
        assert np.isfinite(printed[:, k]).sum() == (5000 if lead == "II" else 1250)


def test_polylines_are_the_signal_in_millimetres(standard):
    _, truth = standard
    for panel, trace in zip(truth.layout.panels, truth.trace_mm, strict=True):
        start = round(panel.start_s * 500)
        values = truth.signal.samples_mv[start : start + len(trace), LEADS.index(panel.lead)]
        np.testing.assert_allclose((panel.baseline_mm - trace[:, 1]) / 10, values, atol=1e-6)
        np.testing.assert_allclose(np.diff(trace[:, 0]), 25 / 500, atol=1e-9)
        assert trace[0, 0] == pytest.approx(panel.box_mm[0])


def test_ink_lies_on_the_trace(signal):
    """On a bare page the centre of the ink, column by column, is the polyline."""
    smooth = Signal(
        signal.samples_mv * 0 + 0.2 * np.sin(np.arange(5000) / 300)[:, None].astype("f4"),
        500.0,
        LEADS,
    )
    image, truth = render(smooth, with_values(PageSettings(), BARE))
    dark = 255.0 - image.pixels[..., 0]
    trace = to_image(truth.geometry, truth.trace_mm[-1])
    columns = np.arange(200, 2000)
    expected = np.interp(columns, trace[:, 0], trace[:, 1])
    rows = np.arange(1535 - 60, 1535 + 60)
    part = dark[rows[0] : rows[-1] + 1, columns]
    found = (part * rows[:, None]).sum(axis=0) / part.sum(axis=0)
    assert np.abs(found - expected).max() < 0.05
    assert abs(np.mean(found - expected)) < 0.005


def test_grid_lines_lie_on_the_nodes():
    values = {**BARE, "grid.style": "solid", "grid.minor": False, "grid.major_colour": (0, 0, 0)}
    values |= {"grid.offset_mm": (1.3, 2.2), "paper.dpi": 300.0}
    empty = Signal(np.zeros((0, 12), np.float32), 500.0, ())
    image, truth = render(empty, with_values(PageSettings(), values))
    dark = 255.0 - image.pixels[..., 0].astype(float)
    nodes = truth.geometry.nodes_px
    for axis, profile in ((0, dark.mean(axis=0)), (1, dark.mean(axis=1))):
        ink = profile - np.median(profile)
        places = nodes[5, :, 0] if axis == 0 else nodes[:, 5, 1]
        for place in places[(places > 5) & (places < len(ink) - 6)]:
            at = np.arange(round(place) - 3, round(place) + 4)
            assert (ink[at] * at).sum() / ink[at].sum() == pytest.approx(place, abs=0.06)


def test_nodes_cover_the_sheet(standard):
    image, truth = standard
    nodes = truth.geometry.nodes_px
    assert (nodes[0, 0] <= 0).all()
    assert nodes[-1, -1, 0] >= image.width - 1
    assert nodes[-1, -1, 1] >= image.height - 1


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_layout_prints_its_leads_once_per_place(name, signal):
    template = TEMPLATES[name]
    values = {"layout.template": name, "paper.dpi": 72.0}
    _, truth = render(signal, with_values(PageSettings(), values))
    places = [lead for row in template.all_rows for lead in row]
    assert [panel.lead for panel in truth.layout.panels] == places
    assert truth.layout.name == name
    assert [n.lead for n in truth.names] == places
    assert all(p.inverted == (template.cabrera and p.lead == "aVR") for p in truth.layout.panels)
    shown = np.isfinite(truth.signal.samples_mv).any(axis=0)
    assert {lead for lead, on in zip(LEADS, shown, strict=True) if on} == set(template.leads)


def test_inverted_avr_is_printed_upside_down(signal):
    settings = with_values(PageSettings(), {"layout.template": "3x4-cabrera", "paper.dpi": 72.0})
    _, truth = render(signal, settings)
    k, panel = next((k, p) for k, p in enumerate(truth.layout.panels) if p.lead == "aVR")
    start = round(panel.start_s * 500)
    values = truth.signal.samples_mv[start : start + len(truth.trace_mm[k]), LEADS.index("aVR")]
    np.testing.assert_allclose(truth.trace_mm[k][:, 1] - panel.baseline_mm, 10 * values, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "column_s", "printed_s"),
    [
        ({"scale.mm_per_s": 50.0}, 1.25, 5.0),
        ({"scale.mm_per_s": 12.5}, 2.5, 10.0),
        ({"layout.column_s": 1.0}, 1.0, 4.0),
        ({"layout.columns": "simultaneous"}, 2.5, 10.0),
    ],
)
def test_speed_and_columns_decide_the_windows(values, column_s, printed_s, signal):
    _, truth = render(signal, with_values(PageSettings(), {**values, "paper.dpi": 72.0}))
    simultaneous = values.get("layout.columns") == "simultaneous"
    for panel in truth.layout.panels:
        column = 0 if simultaneous or panel.rhythm else LEADS.index(panel.lead) // 3
        assert panel.duration_s == pytest.approx(printed_s if panel.rhythm else column_s)
        assert panel.start_s == pytest.approx(column * column_s)
        assert panel.box_mm[2] < 279.4
    assert truth.layout.simultaneous == simultaneous


def test_gain_clipping_and_half_gain_chest(signal):
    values = {"scale.mm_per_mv": 20.0, "scale.chest_mm_per_mv": 10.0, "scale.clip_mm": 8.0}
    _, truth = render(signal, with_values(PageSettings(), {**values, "paper.dpi": 72.0}))
    gains = {panel.lead: panel.mm_per_mv for panel in truth.layout.panels}
    assert (gains["I"], gains["V1"]) == (20.0, 10.0)
    for panel, trace in zip(truth.layout.panels, truth.trace_mm, strict=True):
        assert np.abs(trace[:, 1] - panel.baseline_mm).max() <= 8.0 + 1e-6
    limb = truth.signal.samples_mv[:, LEADS.index("II")]
    assert np.nanmax(np.abs(limb)) <= 0.4 + 1e-6


def test_missing_samples_lift_the_pen(signal):
    holed = signal.samples_mv.copy()
    holed[2000:2300] = np.nan
    bare = with_values(PageSettings(), BARE)
    image, truth = render(replace(signal, samples_mv=holed), bare)
    strip = truth.trace_mm[-1]
    assert np.isnan(strip[2000:2300, 1]).all()
    x0, x1 = (round(15 * 7.874 + 196.85 * t) for t in (4.05, 4.55))
    assert (image.pixels[1535 - 60 : 1535 + 60, x0:x1] == 255).all()


def test_a_shuffled_order_is_followed(signal):
    order = tuple(reversed(LEADS))
    values = {"layout.order": order, "paper.dpi": 72.0}
    _, truth = render(signal, with_values(PageSettings(), values))
    assert tuple(p.lead for p in truth.layout.panels if not p.rhythm) == order
    assert truth.layout.name == "rows"


def test_names_and_texts_lie_in_their_boxes(signal):
    plain = with_values(PageSettings(), {"grid.style": "none", "text.colour": (255, 0, 0)})
    image, truth = render(signal, plain, seed=3)
    red = (image.pixels[..., 0] > 200) & (image.pixels[..., 1] < 60)
    covered = np.zeros_like(red)
    for box in [name.box_mm for name in truth.names] + list(truth.text_boxes_mm):
        (x0, y0), (x1, y1) = to_image(truth.geometry, np.array(box).reshape(2, 2))
        window = np.s_[round(y0 + 0.5) : round(y1 + 0.5), round(x0 + 0.5) : round(x1 + 0.5)]
        assert red[window].any()
        covered[window] = True
    assert not (red & ~covered).any()


def test_the_same_seed_gives_the_same_bytes(signal, standard):
    again, _ = render(signal, seed=1)
    other, _ = render(signal, seed=2)
    np.testing.assert_array_equal(again.pixels, standard[0].pixels)
    assert (other.pixels != again.pixels).any()


@pytest.mark.parametrize("seed", range(25))
def test_random_pages_show_their_trace_where_the_truth_says(seed, signal):
    rng = np.random.default_rng(seed)
    settings = draw_settings(rng)
    settings = with_values(settings, {"paper.dpi": 100.0, "pen.fade": 0.0, "pen.breaks": 0.0})
    image, truth = render(signal, settings, seed=seed)
    colour = np.array(settings.pen.colour, float)
    paper = np.array(settings.paper.colour, float)
    nearer = []
    for trace in truth.trace_mm:
        place = np.round(to_image(truth.geometry, trace[::7])).astype(int)
        inside = (place >= 0).all(axis=1) & (place < (image.width, image.height)).all(axis=1)
        seen = image.pixels[place[inside, 1], place[inside, 0]].astype(float)
        away = np.linalg.norm(paper - colour)
        nearer.append(np.linalg.norm(seen - colour, axis=1) < 0.75 * away)
    assert np.mean(np.concatenate(nearer)) > 0.95


@pytest.mark.parametrize(
    "values",
    [
        {"layout.template": "5x5"},
        {"layout.order": ["I", "II"]},
        {"layout.baselines_mm": [10.0]},
        {"text.font": "NoSuchFont.ttf"},
        {"pen.colour": 3},
        {"pen.color": [0, 0, 0]},
    ],
)
def test_contradictions_are_refused_in_one_line(values, signal):
    with pytest.raises(ConfigError) as caught:
        render(signal, with_values(PageSettings(), values))
    assert "\n" not in str(caught.value)
