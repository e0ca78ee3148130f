"""The classical strip reader on small strips drawn here with exact truth."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from cinc_ecg.digitization.path import trace_paths
from cinc_ecg.digitization.read_strips import ClassicalStripReader, StripReaderSettings
from cinc_ecg.types import RowTrace, Strip

PX_PER_MM = 10.0
SUPER = 5
PEN_MM = 0.26


@dataclass(frozen=True)
class Look:
    """Colours and imperfections of a drawn strip."""

    paper: tuple[int, int, int] = (255, 255, 255)
    grid: tuple[int, int, int] | None = (250, 170, 165)
    ink: tuple[int, int, int] = (30, 30, 30)
    blur_px: float = 0.0
    noise: float = 0.0


def sine(x_mm):
    return 3.0 * np.sin(2 * np.pi * x_mm / 11.0)


def qrs_train(x_mm):
    """A small P, a QRS of 12 mm and about 50 ms, and a T wave every 20 mm (y down)."""
    t = (x_mm % 20.0) - 10.0
    up = 12.0 * np.exp(-0.5 * (t / 0.28) ** 2)
    down = 3.0 * np.exp(-0.5 * ((t - 0.75) / 0.25) ** 2) + np.exp(-0.5 * ((t + 0.7) / 0.2) ** 2)
    return -(up - down + 2.0 * np.exp(-0.5 * ((t - 5.5) / 1.3) ** 2))


def draw(curves, *, width_mm=60.0, height_mm=30.0, look=Look(), shift_px=0.0, gaps=(), seed=0):
    """Draw curves (level_mm, function) over a grid; return the pixels at PX_PER_MM."""
    width, height = round(width_mm * PX_PER_MM), round(height_mm * PX_PER_MM)
    ink = np.zeros((height * SUPER, width * SUPER), np.uint8)
    x = np.arange(1.0, width_mm - 1.0, 0.05)
    for level, curve in curves:
        points = np.stack([x * PX_PER_MM, (level + curve(x)) * PX_PER_MM + shift_px], axis=-1)
        points = (points + 0.5) * SUPER - 0.5
        whole = np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)
        thickness = round(PEN_MM * PX_PER_MM * SUPER)
        cv2.polylines(ink, [whole], False, 255, thickness, cv2.LINE_8, 4)
    for start, stop in gaps:
        columns = slice(round(start * PX_PER_MM) * SUPER, round(stop * PX_PER_MM) * SUPER)
        ink[:, columns] = 0
    cover = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    page = np.ones((height, width, 3)) * np.array(look.paper)
    if look.grid is not None:
        on_x = np.abs((np.arange(width) + 5) % 10 - 5) < 1
        on_y = np.abs((np.arange(height) + 5) % 10 - 5) < 1
        page[on_y[:, None] | on_x[None, :]] = look.grid
    page = page * (1.0 - cover) + cover * np.array(look.ink)
    if look.blur_px:
        page = cv2.GaussianBlur(page, (0, 0), look.blur_px)
    page = page + np.random.default_rng(seed).normal(0.0, look.noise, page.shape)
    return np.clip(np.round(page), 0, 255).astype(np.uint8)


def strip_of(pixels, *, row=0, y0_mm=0.0, baseline_mm=15.0):
    return Strip(
        row=row,
        pixels=pixels,
        x0_mm=0.0,
        y0_mm=y0_mm,
        px_per_mm=PX_PER_MM,
        baseline_mm=baseline_mm,
    )


def read(pixels, **settings):
    return ClassicalStripReader(StripReaderSettings(**settings)).read([strip_of(pixels)])[0]


def snr_db(trace: RowTrace, level, curve, x0=3.0, x1=57.0):
    x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    use = (x > x0) & (x < x1) & trace.visible
    assert use.mean() > 0.5
    truth = level + curve(x[use])
    error = trace.y_mm[use] - truth
    error -= error.mean()
    return 10 * np.log10(np.var(truth) / np.mean(error**2))


def test_sine_is_recovered():
    assert snr_db(read(draw([(15.0, sine)])), 15.0, sine) > 38.0


def test_qrs_train_is_recovered_and_the_correction_helps():
    pixels = draw([(18.0, qrs_train)], look=Look(blur_px=0.6))
    corrected = snr_db(read(pixels), 18.0, qrs_train)
    plain = snr_db(read(pixels, rerender=False), 18.0, qrs_train)
    assert corrected > 30.0
    assert corrected > plain + 3.0


def test_blur_and_noise_are_survived():
    pixels = draw([(18.0, qrs_train)], look=Look(blur_px=1.4, noise=12.0))
    assert snr_db(read(pixels), 18.0, qrs_train) > 22.0


def test_grid_of_the_trace_s_own_tone_is_survived():
    look = Look(paper=(220, 220, 220), grid=(60, 60, 60), ink=(60, 60, 60), noise=10.0)
    assert snr_db(read(draw([(15.0, sine)], look=look)), 15.0, sine) > 25.0


@pytest.mark.parametrize(
    "look",
    [
        Look(paper=(200, 205, 190), grid=(170, 150, 140), ink=(60, 60, 70)),
        Look(paper=(255, 250, 240), grid=(140, 200, 150), ink=(40, 40, 160)),
        Look(paper=(120, 120, 120), grid=(100, 80, 80), ink=(10, 10, 10)),
        Look(grid=None, ink=(200, 20, 20)),
    ],
)
def test_brightness_contrast_and_colour_do_not_matter(look):
    reference = read(draw([(18.0, qrs_train)]))
    other = read(draw([(18.0, qrs_train)], look=look))
    both = reference.visible & other.visible
    assert both.sum() > 0.95 * reference.visible.sum()
    apart = np.abs(reference.y_mm - other.y_mm)[both]
    assert np.median(apart) < 0.01
    assert np.quantile(apart, 0.95) < 0.1


@pytest.mark.parametrize("shift_px", [0.3, 1.0, 7.5])
def test_shifting_the_picture_shifts_the_trace(shift_px):
    still = read(draw([(15.0, sine)]))
    moved = read(draw([(15.0, sine)], shift_px=shift_px))
    both = still.visible & moved.visible
    shift = (moved.y_mm - still.y_mm)[both] * PX_PER_MM
    assert np.median(shift) == pytest.approx(shift_px, abs=0.03)
    assert np.std(shift) < 0.15


def test_shifting_the_window_changes_nothing_on_the_page():
    pixels = draw([(15.0, sine)])
    whole = read(pixels)
    part = ClassicalStripReader().read([replace(strip_of(pixels[30:, 50:]), x0_mm=5.0, y0_mm=3.0)])[
        0
    ]
    matching = whole.y_mm[100 : 100 + len(part.y_mm)]
    both = part.visible & whole.visible[100:]
    assert np.abs(part.y_mm - matching)[both][20:-20].max() < 0.05


def test_gaps_are_not_visible():
    trace = read(draw([(15.0, sine)], gaps=[(20.0, 26.0), (40.0, 40.6)]))
    x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    inside = (x > 20.3) & (x < 25.7)
    assert not trace.visible[inside].any()
    assert np.isnan(trace.y_mm[(x > 22.0) & (x < 24.0)]).all()
    short = (x > 40.15) & (x < 40.45)
    assert not trace.visible[short].any()
    assert np.isfinite(trace.y_mm[short]).all()
    assert trace.visible[(x > 5) & (x < 19)].all()


def test_neighbouring_rows_are_not_swapped():
    curves = [(12.0, sine), (25.0, qrs_train), (38.0, sine)]
    page = draw(curves, height_mm=50.0)
    strips = []
    for row, (level, _) in enumerate(curves):
        top = max(0, round((level - 15.0) * PX_PER_MM))
        bottom = min(len(page), round((level + 15.0) * PX_PER_MM))
        strips.append(
            strip_of(page[top:bottom], row=row, y0_mm=top / PX_PER_MM, baseline_mm=level + 0.5)
        )
    for trace, (level, curve) in zip(ClassicalStripReader().read(strips), curves, strict=True):
        assert snr_db(trace, level, curve) > 22.0


def test_ticks_between_leads_do_not_bend_the_trace():
    pixels = draw([(15.0, sine)])
    pixels[115:185, 298:305] = 30
    trace = read(pixels)
    x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    near = (x > 28.0) & (x < 32.5)
    assert np.abs(trace.y_mm - 15.0 - sine(x))[near].max() < 1.0
    assert not trace.visible[(x > 30.0) & (x < 30.3)].any()


def test_standard_errors_are_honest():
    scores = []
    for seed, curve in enumerate((sine, qrs_train)):
        look = Look(blur_px=0.7, noise=12.0)
        trace = read(draw([(17.0, curve)], look=look, seed=seed))
        x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
        use = trace.visible & (x > 3) & (x < 57)
        scores.append(((trace.y_mm - 17.0 - curve(x)) / trace.sigma_mm)[use])
    z = np.concatenate(scores)
    assert 0.2 < np.std(z) < 1.5
    assert np.mean(np.abs(z) > 3) < 0.03


def test_empty_strip_gives_nothing_visible():
    trace = read(draw([], look=Look(noise=3.0)))
    assert not trace.visible.any() or trace.visible.mean() < 0.05


def test_no_strips_no_traces():
    assert ClassicalStripReader().read([]) == []


def test_invalid_pixels_are_ignored():
    pixels = draw([(15.0, sine)])
    pixels[:, :100] = 0
    valid = np.ones(pixels.shape[:2], bool)
    valid[:, :100] = False
    trace = ClassicalStripReader().read([replace(strip_of(pixels), valid=valid)])[0]
    x = trace.step_mm * np.arange(len(trace.y_mm))
    assert not trace.visible[x < 9.5].any()
    assert snr_db(trace, 15.0, sine, x0=11.0) > 30.0


def test_evidence_of_the_page_reader_decides_between_two_traces():
    pixels = draw([(13.0, sine), (24.0, sine)], height_mm=37.0)
    trace = np.zeros(pixels.shape[:2], np.float32)
    for wanted, other in ((13.0, 24.0), (24.0, 13.0)):
        rows = np.arange(len(trace)) / PX_PER_MM
        trace[:] = (np.abs(rows - wanted) < np.abs(rows - other))[:, None]
        strip = replace(strip_of(pixels, baseline_mm=18.5), trace=trace)
        assert snr_db(ClassicalStripReader().read([strip])[0], wanted, sine) > 35.0


def test_tips_of_neighbours_that_touch_are_parted():
    curves = [(13.0, lambda x: -qrs_train(x)), (36.5, qrs_train)]
    page = draw(curves, height_mm=53.0)
    strips = [
        strip_of(page[:330], row=0, baseline_mm=13.0),
        strip_of(page[170:], row=1, y0_mm=17.0, baseline_mm=36.5),
    ]
    for trace, (level, curve) in zip(ClassicalStripReader().read(strips), curves, strict=True):
        assert snr_db(trace, level, curve) > 20.0


def test_letters_on_an_s_wave_do_not_cut_it_off():
    pixels = draw([(12.0, lambda x: -qrs_train(x))], width_mm=40.0, height_mm=32.0)
    pixels[150:154, 295:318] = 30  # a stroke of text across both flanks
    trace = read(pixels)
    x = trace.x0_mm + trace.step_mm * np.arange(len(trace.y_mm))
    assert np.nanmax(trace.y_mm[(x > 29.0) & (x < 31.0)]) == pytest.approx(24.0, abs=0.3)


def test_stains_are_survived():
    pixels = draw([(15.0, sine)]).astype(float)
    stain = np.ones(pixels.shape[:2])
    stain[120:260, 215:242] = 0.45
    dark = np.clip(pixels * cv2.GaussianBlur(stain, (0, 0), 2.5)[..., None], 0, 255)
    assert snr_db(read(dark.astype(np.uint8)), 15.0, sine) > 30.0


def test_path_climbs_a_gapless_stroke_rather_than_cross_paper():
    cover = np.zeros((100, 40), np.float32)
    cover[80:83] = 1.0
    cover[80:83, 18:23] = 0.0
    cover[10:83, 16:18] = 1.0
    cover[10:83, 23:25] = 1.0
    cover[10:13, 16:25] = 1.0
    path = trace_paths([cover], [81.0], 10.0)[0]
    assert path.rows[20] < 15
    assert path.leap.max() < 1.0
