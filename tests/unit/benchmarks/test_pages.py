"""The frozen conditions: complete, repeatable, and made of materials nothing else uses."""

import numpy as np
import pytest

from benchmarks import pages
from cinc_ecg.errors import ConfigError, InputError
from cinc_ecg.io.records import write_record
from cinc_ecg.synth.ecg import simulate
from cinc_ecg.synth.generate import GenerateOptions, GenerateTask, generate_pages
from cinc_ecg.synth.settings import PageSettings
from cinc_ecg.synth.text import DEFAULT_FONTS
from cinc_ecg.synth.textures import BACKGROUNDS, DEFAULT_BACKGROUNDS, DEFAULT_CRUMPLES
from cinc_ecg.synth.variety import DEFAULT_GRIDS, DEFAULT_PAPERS

RENDERED = [name for name in pages.list_conditions() if not pages.needs_folder(name)]


def test_all_conditions_are_there():
    assert set(pages.list_conditions()) == {
        *("clean", "augment", "bw", "wrinkle", "lowres", "camera1", "camera2", "camera3"),
        *("layouts", "ladders", "public", "scans"),
    }
    assert len(pages.ladder_rungs()) == 12 * 6


#: camera1 and camera2 differ from camera3 in numbers only.
REPEATED = [name for name in RENDERED if name not in ("camera1", "camera2")]


@pytest.mark.parametrize("name", REPEATED)
def test_the_same_arguments_give_the_same_bytes(name):
    signal = simulate(seed=1)
    image, truth = pages.condition_page(name, 3, signal, 7)
    again, _ = pages.condition_page(name, 3, signal, 7)
    np.testing.assert_array_equal(image.pixels, again.pixels)
    assert np.isfinite(truth.signal.samples_mv).any()


@pytest.mark.parametrize("change", [("clean", 3, 8), ("clean", 4, 7), ("wrinkle", 3, 7)])
def test_seed_index_and_condition_change_the_page(change):
    signal = simulate(seed=1)
    image, _ = pages.condition_page("clean", 3, signal, 7)
    name, index, seed = change
    other, _ = pages.condition_page(name, index, signal, seed)
    assert (image.pixels != other.pixels).any()


def test_benchmark_materials_are_nobody_elses():
    assert not set(pages.FONTS) & set(DEFAULT_FONTS)
    assert PageSettings().text.font in DEFAULT_FONTS
    ours = {colour for pair in pages.GRIDS.values() for colour in pair}
    theirs = {colour for pair in DEFAULT_GRIDS.values() for colour in pair}
    grid = PageSettings().grid
    theirs |= {grid.minor_colour, grid.major_colour}
    assert not ours & theirs
    assert not set(pages.BACKGROUNDS) & set(DEFAULT_BACKGROUNDS)
    assert set(pages.BACKGROUNDS) | set(DEFAULT_BACKGROUNDS) == set(BACKGROUNDS)
    assert not set(pages.CRUMPLES) & set(DEFAULT_CRUMPLES)
    assert not (set(pages.PAPERS.values()) - {(255, 255, 255)}) & set(DEFAULT_PAPERS)


def test_conditions_use_only_the_benchmark_materials():
    for name in RENDERED:
        condition = pages.read_condition(name)
        assert set(condition.get("grids", [])) <= set(pages.GRIDS)
        assert set(condition.get("papers", [])) <= set(pages.PAPERS)
        for artefact in condition.get("artefacts", []):
            assert set(artefact.get("backgrounds", [])) <= set(pages.BACKGROUNDS)
            assert artefact.get("texture", "facets") in pages.CRUMPLES
        for ladder in condition.get("ladders", {}).values():
            assert set(ladder.get("fixed", {}).get("fonts", [])) <= set(pages.FONTS)
            rows = {**ladder.get("steps", {}), **ladder.get("page", {})}
            assert all(len(row) == pages.SEVERITIES for row in rows.values())


def test_every_ladder_gets_harder():
    signal = simulate(seed=1)
    clean = pages.condition_page("clean", 0, signal, 0)[1].geometry.px_per_mm[0]
    coarse = pages.condition_page("ladders/resolution/5", 0, signal, 0)[1].geometry.px_per_mm[0]
    assert coarse == pytest.approx(clean * 72 / 200, rel=1e-3)
    turned = pages.condition_page("ladders/rotation/5", 0, signal, 0)[1].geometry.nodes_px
    dx, dy = turned[0, 1] - turned[0, 0]
    assert abs(np.degrees(np.arctan2(dy, dx))) == pytest.approx(45, abs=0.01)


def test_the_rungs_of_a_ladder_differ_in_severity_alone():
    signal = simulate(seed=1)
    number = pages.ladder_rungs().index("ladders/jpeg/0")
    without, mild, hard = (
        pages.condition_page("ladders", number + k, signal, 3) for k in (0, 1, 5)
    )
    plain = without[0].pixels.astype(float)
    changes = [np.abs(page.pixels - plain).mean() for page, _ in (mild, hard)]
    assert 0 < changes[0] < changes[1] < 30
    np.testing.assert_array_equal(without[1].signal.samples_mv, hard[1].signal.samples_mv)


@pytest.mark.parametrize("name", ["sunny", "ladders/rotation/6", "ladders/rust/1", "public"])
def test_unknown_conditions_are_refused(name):
    with pytest.raises(ConfigError):
        pages.condition_page(name, 0, simulate(seed=1), 0)


def test_pages_of_another_generator_come_from_a_folder(tmp_path):
    inputs, reference = tmp_path / "set" / "input", tmp_path / "set" / "ref"
    inputs.mkdir(parents=True)
    reference.mkdir()
    options = GenerateOptions(inputs, values={"paper.dpi": 60.0}, challenge=True)
    generate_pages(GenerateTask("r", 0, options))
    for file in ("r.hea", "r.dat"):
        (reference / file).write_bytes((inputs / file).read_bytes())
    (inputs / "r.dat").unlink()
    found = list(pages.folder_pages("public", tmp_path))
    assert [(page.name, page.subset, page.picture.name) for page in found] == [
        ("r", "set", "r-0.png")
    ]
    assert np.isnan(found[0].reference.samples_mv[2000:, 0]).all()


def test_scans_find_their_recording_by_number(tmp_path):
    (tmp_path / "scan_00042.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    write_record(tmp_path / "00042_hr", simulate(seed=1))
    (page,) = pages.folder_pages("scans", tmp_path)
    assert page.picture.name == "scan_00042.png"
    assert np.isfinite(page.reference.samples_mv[:, 0]).sum() == 1250
    with pytest.raises(InputError):
        list(pages.folder_pages("public", tmp_path))
    with pytest.raises(InputError):
        list(pages.folder_pages("scans", tmp_path / "none"))
