"""Training strips: the targets lie on the ink, a seed decides everything, the split is clean."""

import numpy as np
import pytest
import torch

from cinc_ecg.data.render_torch import _optics, render_strips
from cinc_ecg.data.signal_pool import (
    SignalPool,
    is_held_out,
    join,
    load_pool,
    pool_of,
    read_pool,
    simulated_pool,
)
from cinc_ecg.data.strip_scene import StripSettings, draw_scene
from cinc_ecg.errors import InputError
from cinc_ecg.io.records import write_record
from cinc_ecg.synth.ecg import EcgSettings, simulate

PLAIN = StripSettings(224, 256, hard=0.0, blank=0.0, plain=1.0)
WILD = StripSettings(160, 192, hard=0.5, blank=0.3, plain=0.0)


@pytest.fixture(scope="module")
def pool() -> SignalPool:
    return simulated_pool(3, 11)


def draw(pool, settings, seed, numbers):
    return [draw_scene(pool, settings, seed, k) for k in numbers]


def test_own_ink_is_centred_on_the_line(pool):
    batch = render_strips(draw(pool, PLAIN, 3, range(8)))
    rows = torch.arange(PLAIN.height_px)[:, None].float()
    errors: list[float] = []
    for ink, line, visible in zip(batch.ink, batch.line_px, batch.visible, strict=True):
        at_columns, seen = line[::2], visible[::2]
        around = line.unfold(0, 17, 2)  # eight nodes to either side of columns 4, 5, ...
        level = torch.zeros_like(seen)
        level[4:-4] = around.amax(1) - around.amin(1) < 1.0
        inside = (at_columns > 8) & (at_columns < PLAIN.height_px - 9)
        use = seen & level & inside & (ink.sum(0) > 0.3)
        centre = (ink * rows).sum(0) / ink.sum(0).clamp(min=1e-6)
        errors += (centre - at_columns)[use].abs().tolist()
    assert len(errors) > 200
    assert np.median(errors) < 0.05
    assert np.quantile(errors, 0.9) < 0.25


def test_visible_nodes_have_dark_pixels_and_others_no_own_ink(pool):
    batch = render_strips(draw(pool, WILD, 5, range(6)))
    row = batch.line_px.round().long().clamp(0, WILD.height_px - 1)
    strip = torch.arange(len(batch))[:, None]
    column = (torch.arange(row.shape[1]) // 2)[None]
    near = torch.nn.functional.max_pool2d(batch.ink[:, None], 3, 1, 1)[:, 0]
    assert (near[strip, row, column][batch.visible] > 0).all()
    lifted = ~batch.visible
    assert lifted.any()
    assert batch.pixels.min() >= 0
    assert batch.pixels.max() <= 1
    steps = batch.pixels * 255
    assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_a_strip_depends_on_its_seed_and_number_alone(pool):
    together = render_strips(draw(pool, WILD, 7, range(4)))
    alone = render_strips(draw(pool, WILD, 7, [2]))
    assert torch.equal(together.pixels[2], alone.pixels[0])
    assert torch.equal(together.line_px[2], alone.line_px[0])
    other = render_strips(draw(pool, WILD, 8, [2]))
    assert not torch.equal(other.pixels, alone.pixels)


@pytest.mark.parametrize("image", ["mirrored", "turned"])
def test_a_mirror_image_of_a_mirror_image_is_the_strip(pool, image):
    batch = render_strips(draw(pool, WILD, 9, range(2)))
    once = getattr(batch, image)()
    again = getattr(once, image)()
    for name in ("pixels", "line_px", "ink", "above_px", "below_px", "baseline_px"):
        assert torch.allclose(getattr(again, name), getattr(batch, name), atol=1e-4)
    assert not torch.equal(once.ink, batch.ink)
    assert (once.below_px > once.baseline_px).all()


@pytest.mark.parametrize(("n", "n_out", "sigma"), [(64, 64, 1.0), (90, 31, 0.5), (50, 60, 2.0)])
def test_optics_keep_light_and_place(n, n_out, sigma):
    matrix = _optics(n, n_out, sigma, 0.0)
    assert np.allclose(matrix.sum(1), 1.0, atol=1e-5)
    middle = slice(n_out // 3, 2 * n_out // 3)
    centre = (np.arange(n_out) + 0.5) * n / n_out - 0.5
    assert np.allclose((matrix @ np.arange(n))[middle], centre[middle], atol=1e-3)


def test_parts_of_a_folder_are_disjoint_and_complete(tmp_path):
    names = [f"rec{k:02d}" for k in range(24)]
    for k, name in enumerate(names):
        write_record(tmp_path / name, simulate(seed=k))
    train, held = read_pool(tmp_path), read_pool(tmp_path, held_out=True)
    assert not set(train.names) & set(held.names)
    assert set(train.names) | set(held.names) == set(names)
    assert all(is_held_out(name) for name in held.names)
    assert is_held_out("a/b/" + held.names[0])


def test_pools_join_and_survive_a_file(tmp_path, pool):
    both = join([pool, pool])
    both.save(tmp_path / "pool.npz")
    again = load_pool(tmp_path / "pool.npz")
    assert again.names == both.names
    assert np.array_equal(again.samples_mv, both.samples_mv)


@pytest.mark.parametrize("fs_hz", [100.0, 250.0, 1000.0])
def test_any_rate_gives_whole_recordings(fs_hz):
    settings = EcgSettings(rhythm="sinus", fs_hz=fs_hz, duration_s=10.0)
    short = simulate(EcgSettings(duration_s=4.0), seed=2)
    pool = pool_of([("a", simulate(settings, seed=1)), ("short", short)])
    assert pool.names == ("a",)
    assert np.isfinite(pool.samples_mv).all()
    assert pool.samples_mv.std(axis=2).min() > 0.01


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(InputError, match="no usable"):
        read_pool(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_pool(tmp_path / "nowhere")
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="no signal pool"):
        load_pool(tmp_path / "x.npz")
