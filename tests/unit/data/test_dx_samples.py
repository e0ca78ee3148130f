import dataclasses

import numpy as np
import pytest

from cinc_ecg.data import dx
from cinc_ecg.data.recordings import Recording, simulated
from cinc_ecg.leads import LEADS

CLASSES = ("NORM", "CD")


def labelled(n):
    recordings = simulated(n, seed=2)
    return [
        dataclasses.replace(r, labels=("NORM",) if k % 2 else ("CD",))
        for k, r in enumerate(recordings)
    ]


def test_recordings_without_labels_or_samples_are_left_out(caplog):
    good = labelled(2)
    silent = simulated(1, seed=3)
    broken = Recording("gone", None, None, (), ("CD",), "gone")
    object.__setattr__(broken, "path", __import__("pathlib").Path("/no/such/record"))
    samples = dx.read_samples([*good, *silent, broken], CLASSES)
    assert len(samples) == 2
    assert samples.strips.shape == (2, 12, 1000)
    assert samples.targets.tolist() == [[0, 1], [1, 0]]
    assert [name for name, _ in samples.left_out] == [silent[0].name, "gone"]


def test_pages_show_what_their_layout_says():
    page = dx.printed("3x4+1")
    assert page.sum(1).tolist() == [250, 1000, *[250] * 10]
    assert page[LEADS.index("V5"), 800]
    assert not page[LEADS.index("V5"), 200]
    together = dx.printed("6x2/sim")
    assert (together[:, :500]).all()
    assert not together[:, 500:].any()
    assert dx.printed("12x1").all()
    assert dx.printed(dx.WHOLE).all()


def test_variation_keeps_the_beats_and_repeats_for_a_seed():
    strip = dx.read_samples(labelled(1), CLASSES).strips[0].astype(float)
    how = dx.DxVariation(layouts=(dx.WHOLE,), shift_s=0.0, late_s=0.0, drop_leads=0.0, gap=0.0)
    varied = dx.vary(strip, how, np.random.default_rng(1))
    again = dx.vary(strip, how, np.random.default_rng(1))
    assert (varied == again).all()
    assert not np.allclose(varied, dx.vary(strip, how, np.random.default_rng(2)))
    for lead in range(12):
        assert np.corrcoef(np.diff(varied[lead]), np.diff(strip[lead]))[0, 1] > 0.6


def test_without_sizes_nothing_is_varied():
    strip = dx.read_samples(labelled(1), CLASSES).strips[0].astype(float)
    still = dx.DxVariation(
        layouts=("3x4",),
        **dict.fromkeys(
            (
                *("gain", "lead_gain", "level_mv", "wander_mv", "noise_mv"),
                *("shift_s", "late_s", "drop_leads", "gap"),
            ),
            0.0,
        ),
    )
    varied = dx.vary(strip, still, np.random.default_rng(0))
    shown = dx.printed("3x4")
    assert np.allclose(varied[shown], strip[shown])
    assert np.isnan(varied[~shown]).all()


@pytest.mark.parametrize("kind", ["strip", "beat"])
def test_batches(kind):
    samples = dx.read_samples(labelled(3), CLASSES)
    values, masks = dx.batch(samples, np.array([2, 0]), kind, layout="3x4")
    assert values.shape == masks.shape
    assert values.shape[:2] == (2, 12)
    first, _ = dx.batch(samples, np.array([0]), kind, layout="3x4")
    assert np.array_equal(values[1], first[0])
    taken = samples.take(np.array([2]))
    assert taken.names == (samples.names[2],)
