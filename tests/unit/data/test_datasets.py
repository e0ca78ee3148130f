from dataclasses import replace

import numpy as np
import pytest
import torch

from cinc_ecg.data.config import DataConfig, PageOptions, SignalOptions, check
from cinc_ecg.data.datasets import EcgDataset, EpochBatches, Skipped, collate, make_loader
from cinc_ecg.data.pages import draw_page
from cinc_ecg.data.recordings import read_folder, simulated
from cinc_ecg.data.views import page_view, panels_view, rows_view
from cinc_ecg.errors import ConfigError, RecordError
from cinc_ecg.models.config import DxConfig, HeadConfig, ModelConfig
from cinc_ecg.models.readout import read_leads
from cinc_ecg.synth.ecg import EcgSettings, simulate
from cinc_ecg.types import Signal

PAGE = ModelConfig(image_size=(320, 1000), n_samples=1000, fs_hz=100)
ROWS = replace(PAGE, view="rows", image_size=(120, 1000))
PANELS = ModelConfig(
    view="panels", head=HeadConfig(kind="deconv"), image_size=(64, 64), n_samples=256, fs_hz=100
)
SIGNAL = ModelConfig(
    view="signal",
    head=HeadConfig(kind="none"),
    dx=DxConfig(classes=("NORM", "CD")),
    n_samples=1000,
    fs_hz=100,
)


def a_page(seed=1, **options):
    signal = simulate(EcgSettings(rhythm="sinus", wander_mv=0.02), seed=seed)
    return draw_page(signal, PageOptions(**options), np.random.default_rng(seed))


@pytest.mark.parametrize(("view", "model"), [(page_view, PAGE), (rows_view, ROWS)])
@pytest.mark.parametrize("style", ["clean", "vary"])
def test_the_targets_of_a_page_read_back_as_its_signal(view, model, style):
    page = a_page(style=style)
    arrays = view(page, model, np.array([0.5, -0.4, 0.3, 0.2]))
    rows = arrays["row_y"].copy()
    for row, seen in zip(rows, arrays["row_visible"], strict=True):
        at = np.flatnonzero(seen)
        row[:] = np.interp(np.arange(rows.shape[1]), at, row[at])
    batch = {key: torch.from_numpy(np.asarray(value))[None] for key, value in arrays.items()}
    read, _ = read_leads(
        torch.from_numpy(rows)[None], torch.zeros(1, *rows.shape), batch,
        cell_x=1, n_samples=model.n_samples, fs_hz=model.fs_hz,
    )  # fmt: skip
    seen = arrays["visible"]
    target, estimate = arrays["signal_mv"][seen], read[0].numpy()[seen]
    assert seen.mean() > 0.1  # at 50 mm/s less than half of the record fits
    noise = np.mean((estimate - target) ** 2)
    assert 10 * np.log10(np.mean(target**2) / noise) > 10


def test_the_ink_is_where_the_target_says():
    arrays = page_view(a_page(style="clean"), PAGE)
    dark = 255 - arrays["image"].max(axis=2).astype(float)  # the trace is dark in all channels
    for row in range(4):
        columns = np.flatnonzero(arrays["row_visible"][row])[5:-5]
        y = np.rint(arrays["row_y"][row, columns]).astype(int)
        assert np.median(dark[y, columns]) > 60
        assert np.median(dark[(y + 60) % 320, columns]) < 60


def test_rows_that_are_not_there_are_blank():
    arrays = rows_view(a_page(layouts=("3x4",)), ROWS)
    np.testing.assert_array_equal(arrays["row_mask"], [1, 1, 1, 0])
    assert (arrays["rows"][3] == 255).all()
    assert not arrays["row_visible"][3].any()


def test_panels_show_one_lead_each_from_its_start():
    arrays = panels_view(a_page(style="clean"), PANELS)
    assert arrays["panels"].shape == (12, 64, 64, 3)
    np.testing.assert_array_equal(arrays["panel_lead"], np.arange(12))
    assert arrays["panel_mask"].all()
    np.testing.assert_allclose(arrays["visible"].mean(1), 250 / 256, atol=0.01)


def test_a_sample_depends_on_seed_epoch_and_index_alone():
    recordings = simulated(2, 0)
    data = DataConfig(pages=PageOptions(keep=False))
    model = replace(PAGE, image_size=(64, 128))
    first = EcgDataset(recordings, model, data, training=True, seed=3)
    second = EcgDataset(recordings, model, data, training=True, seed=3)
    _, a = first[1]
    first[0]
    _, b = second[1]
    assert all(np.array_equal(a[key], b[key]) for key in a)
    second.epoch = 1
    assert not np.array_equal(second[1][1]["image"], a["image"])
    still = EcgDataset(recordings, model, data, training=False, seed=3)
    before = still[1][1]["image"]
    still.epoch = 1
    np.testing.assert_array_equal(still[1][1]["image"], before)


def test_signals_are_cut_to_what_is_printed(ecg_folder):
    recordings, _ = read_folder(ecg_folder)
    data = DataConfig(signals=SignalOptions(windows=1.0))
    name, sample = EcgDataset(recordings, SIGNAL, data, training=False)[0]
    assert name == "r0"
    known = sample["signal_mask"].mean(1)
    np.testing.assert_allclose(known, [0.25, 1.0, *[0.25] * 10], atol=0.01)
    np.testing.assert_array_equal(sample["labels"], [0, 1])
    whole = EcgDataset(recordings, SIGNAL, DataConfig(signals=SignalOptions(windows=0)),
                       training=False)[0][1]  # fmt: skip
    assert whole["signal_mask"].all()


@pytest.mark.parametrize("fs_hz", [250.0, 500.0, 1000.0])
def test_any_rate_becomes_the_models(tmp_path, fs_hz, write_ecg):
    write_ecg(tmp_path, "r", 3, fs_hz=fs_hz, labels=["NORM"])
    recordings, _ = read_folder(tmp_path)
    data = DataConfig(signals=SignalOptions(windows=0))
    sample = EcgDataset(recordings, SIGNAL, data, training=False)[0][1]
    assert sample["signal"].shape == (12, 1000)
    assert np.abs(sample["signal"]).max() > 0.3


def test_short_flat_and_missing_leads_are_survived(tmp_path, write_ecg):
    write_ecg(tmp_path, "short", 3, seconds=4.0)
    recordings, _ = read_folder(tmp_path)
    data = DataConfig()
    sample = EcgDataset(recordings, SIGNAL, data, training=True)[0][1]
    assert sample["signal"].shape == (12, 1000)
    assert np.isfinite(sample["signal"]).all()
    flat = np.zeros((500, 12), np.float32)
    flat[:, 3] = np.nan
    page = draw_page(Signal(flat, 100.0, PAGE.leads), PageOptions(), np.random.default_rng(0))
    assert np.isfinite(page_view(page, PAGE)["signal_mv"]).all()
    empty = Signal(np.full((500, 12), np.nan, np.float32), 100.0, PAGE.leads)
    with pytest.raises(RecordError, match="second"):
        draw_page(empty, PageOptions(), np.random.default_rng(0))


def test_a_bad_record_is_skipped_and_named(ecg_folder):
    (ecg_folder / "r1.dat").write_bytes(b"\0")
    recordings, _ = read_folder(ecg_folder)
    loader = make_loader(
        EcgDataset(recordings, SIGNAL, DataConfig(), training=True), EpochBatches(6, 3)
    )
    batches = list(loader)
    assert sum(len(batch) for batch in batches) == 5
    (skipped,) = [entry for batch in batches for entry in batch.skipped]
    assert (skipped.name, skipped.code) == ("r1", "record_unreadable")
    assert len(collate([Skipped("a", "b", "c")])) == 0


def test_corrupt_pictures_are_skipped_and_named(ecg_folder, write_ecg):
    write_ecg(ecg_folder, "pic", 9, images=("bad.png",))
    (ecg_folder / "bad.png").write_bytes(b"no picture")
    recordings = [r for r in read_folder(ecg_folder)[0] if r.name in ("pic", "r0")]
    data = DataConfig(source="images")
    samples = [EcgDataset(recordings, PAGE, data, training=False)[k] for k in (0, 1)]
    assert [s.code for s in samples] == ["image_unreadable", "no_images"]


def test_batches_resume_and_are_shared_out():
    whole = EpochBatches(10, 2, seed=1)
    rest = EpochBatches(10, 2, seed=1)
    rest.start = 3
    assert list(whole)[3:] == list(rest)
    parts = [list(EpochBatches(10, 2, seed=1, share=(rank, 2))) for rank in (0, 1)]
    assert len(parts[0]) == len(parts[1]) == 2
    mixed = [batch for pair in zip(*parts, strict=True) for batch in pair]
    assert mixed == list(whole)[:4]
    other = EpochBatches(10, 2, seed=1)
    other.epoch = 1
    assert list(other) != list(whole)


@pytest.mark.parametrize(
    "pages", [{"layouts": ("9x9",)}, {"layouts": ("12x1",)}, {"dpi": (200.0, 100.0)}]
)
def test_impossible_settings_are_refused(pages):
    with pytest.raises(ConfigError):
        check(DataConfig(pages=PageOptions(**pages)), n_rows=4)
