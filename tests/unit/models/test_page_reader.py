"""The learned page reader: from maps to evidence, from pixels to millimetres and back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cinc_ecg.digitization.read_page import ClassicalPageReader
from cinc_ecg.errors import CardError
from cinc_ecg.geometry import flat_geometry, to_image
from cinc_ecg.leads import LEADS
from cinc_ecg.models.page_card import load_page_net, save_page_net
from cinc_ecg.models.page_net import N_NAMES, PageNet, PageNetConfig, PageReading
from cinc_ecg.models.page_reader import LearnedPageReader, _box_before, load_page_reader, names_mm
from cinc_ecg.models.page_sight import SeenName, sight_of
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.page import render
from cinc_ecg.synth.settings import PageSettings, with_values
from cinc_ecg.types import EcgImage, Orientation

SMALL = PageNetConfig(channels=(8, 8), long_side_px=256)


def reading(period_cells=5.0, tilt=0.1):
    h, w = 48, 64
    y, x = np.mgrid[:h, :w]
    u = (x + tilt * y) / period_cells
    v = (y - tilt * x) / period_cells
    phase = np.stack([f(2 * np.pi * k) for k in (u, v) for f in (np.cos, np.sin)])
    names = np.full((N_NAMES, h, w), -8.0)
    names[0] = 8.0
    names[:, 10:13, 20:26] = -8.0
    names[1 + LEADS.index("aVF"), 10:13, 20:26] = 8.0
    blank = torch.full((1, h, w), -5.0)
    turn = torch.zeros(1, 8)
    turn[0, 6] = 9.0
    return PageReading(
        torch.full((1, 2 * h, 2 * w), -5.0),
        torch.tensor(names)[None].float(),
        blank + 10,
        blank,
        blank,
        torch.tensor(phase)[None].float(),
        turn,
    )


def test_maps_become_names_waves_and_orientation():
    sight = sight_of(reading(), (0.5, 0.5), 4)
    assert sight.orientation == Orientation(2, True)
    (name,) = sight.names
    assert name.lead == "aVF"
    assert name.score > 0.99
    # Cells of 4 network pixels are 8 picture pixels wide.
    assert name.box_px == pytest.approx((20 * 8, 10 * 8, 26 * 8, 13 * 8), abs=4)
    assert len(sight.waves) == 12
    for tile in sight.waves:
        np.testing.assert_allclose(tile.across * 40, (1.0, 0.1), atol=1e-3)
        np.testing.assert_allclose(tile.down * 40, (-0.1, 1.0), atol=1e-3)


def test_unsure_phase_gives_no_wave():
    calm = reading()
    assert not sight_of(replace(calm, phase=0.2 * calm.phase), (1.0, 1.0), 4).waves
    noise = torch.randn(calm.phase.shape, generator=torch.Generator().manual_seed(1))
    assert not sight_of(replace(calm, phase=noise), (1.0, 1.0), 4).waves


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_boxes_of_the_turned_picture_come_back(turns, mirrored):
    picture = np.zeros((40, 70), bool)
    picture[5:9, 50:62] = True
    upright = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
    y, x = np.nonzero(upright)
    box = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    way = Orientation(turns, mirrored)
    assert _box_before(box, picture.shape, way) == (50.0, 5.0, 61.0, 8.0)


def test_millimetres_and_pixels_agree():
    geometry = flat_geometry(900, 600, (4.0, 5.0))
    seen = [SeenName("V2", (100.0, 50.0, 130.0, 70.0), 0.8), SeenName("I", (9.0, 9, 12, 22), 0.9)]
    for name, found in zip(seen, names_mm(seen, geometry), strict=True):
        box = np.array(found.box_mm).reshape(2, 2)
        np.testing.assert_allclose(to_image(geometry, box).ravel(), name.box_px, atol=1e-3)
        assert (found.lead, found.score) == (name.lead, name.score)
    assert names_mm([], geometry) == ()


@pytest.fixture(scope="module")
def page():
    values = {"paper.dpi": 75.0}
    return render(simulate(seed=2), with_values(PageSettings(), values), seed=2)[0]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return PageNet(SMALL).eval()


def test_the_geometry_stays_the_classical_one(page, net):
    classical, learned = ClassicalPageReader().read(page), LearnedPageReader(net).read(page)
    np.testing.assert_array_equal(learned.lattice.nodes_px, classical.lattice.nodes_px)
    assert learned.trace.shape == (page.height, page.width)
    nothing = LearnedPageReader(net, parts=()).read(page)
    assert nothing.trace is None
    assert nothing.names is None
    assert nothing.orientation is None


def test_a_picture_without_a_grid_gives_evidence_without_a_lattice(net):
    blank = EcgImage(np.full((300, 400, 3), 250, np.uint8))
    assert LearnedPageReader(net).read(blank).lattice is None


@pytest.mark.parametrize("harm", ["alter", "remove", "truncate", "card"])
def test_damaged_weights_are_named(tmp_path, net, harm):
    card = save_page_net(tmp_path, net, {}, {})
    assert load_page_reader(tmp_path).net.config == SMALL
    (file,) = card["files"]
    data = (tmp_path / file).read_bytes()
    if harm == "card":
        (tmp_path / "page_reader.json").write_text('{"schema": 1, "kind": "strip_reader"}')
        file = "page_reader.json"
    elif harm == "remove":
        (tmp_path / file).unlink()
    else:
        flipped = data[:-1] + bytes([data[-1] ^ 1])
        (tmp_path / file).write_bytes(flipped if harm == "alter" else data[:-1])
    with pytest.raises(CardError, match=file):
        load_page_net(tmp_path)
