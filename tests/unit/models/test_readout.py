import numpy as np
import pytest
import torch

from cinc_ecg.leads import LEADS
from cinc_ecg.models.readout import KEYS, print_geometry, read_leads
from cinc_ecg.types import Layout, Panel

FS_HZ, N = 100.0, 1000


def panel(lead, row, x0_mm, start_s, duration_s, inverted=False):
    baseline_mm = 30.0 + 25 * row
    box = (x0_mm, baseline_mm - 10, x0_mm + 25 * duration_s, baseline_mm + 10)
    return Panel(lead, row, box, start_s, duration_s, 25.0, 10.0, baseline_mm, inverted=inverted)


LAYOUT = Layout(
    "rows",
    (
        panel("I", 0, 10, 0.0, 2.5),
        panel("aVR", 0, 72.5, 2.5, 2.5, inverted=True),
        panel("II", 1, 10, 0.0, 2.5),
        panel("II", 2, 10, 0.0, 10.0),
    ),
)


def drawn_rows(signal, scale, origin, width, cell_x):
    """Draw the leads of LAYOUT as y in pixels per column cell."""
    x_px = (np.arange(width) + 0.5) * cell_x - 0.5
    rows = np.zeros((3, width))
    for p in LAYOUT.panels:
        o = origin if origin.ndim == 1 else origin[p.row]
        t = (x_px - o[0]) / scale[0] / 25 - p.box_mm[0] / 25 + p.start_s
        inside = (t >= p.start_s) & (t < p.start_s + p.duration_s)
        mv = np.interp(t, np.arange(N) / FS_HZ, signal[p.lead]) * (-1 if p.inverted else 1)
        y = o[1] + (p.baseline_mm - 10 * mv) * scale[1]
        rows[p.row] = np.where(inside, y, rows[p.row])
    return rows


@pytest.mark.parametrize("cell_x", [1, 2])
@pytest.mark.parametrize("per_row", [False, True])
def test_rows_drawn_from_a_layout_are_read_back_in_millivolts(cell_x, per_row):
    t = np.arange(N) / FS_HZ
    signal = {lead: np.sin(2 * np.pi * (k + 1) * 0.4 * t) for k, lead in enumerate(LEADS)}
    scale = (8.0, 6.0)
    origin = np.array([[3.0, 4.0 - 20 * r] for r in range(3)]) if per_row else np.array([3.0, 4.0])
    rows = drawn_rows(signal, scale, origin, 2400 // cell_x, cell_x)
    geometry = print_geometry(
        LAYOUT, LEADS, px_per_mm=scale, origin_px=origin, n_samples=N, fs_hz=FS_HZ
    )
    batch = {key: torch.tensor(value)[None] for key, value in geometry.as_batch().items()}
    assert tuple(batch) == KEYS
    y_px = torch.tensor(rows, dtype=torch.float32)[None].requires_grad_()
    mv, visible = read_leads(
        y_px, torch.ones_like(y_px), batch, cell_x=cell_x, n_samples=N, fs_hz=FS_HZ
    )
    for lead, window in {"I": (0, 250), "aVR": (250, 500), "II": (0, 1000)}.items():
        k = LEADS.index(lead)
        inside = np.zeros(N, bool)
        inside[slice(*window)] = True
        found, core = mv[0, k].detach().numpy(), slice(window[0] + 2, window[1] - 2)
        np.testing.assert_allclose(found[core], signal[lead][core], atol=0.01)
        assert (mv[0, k][~inside] == 0).all()
        assert (visible[0, k][inside] == 1).all()
        assert (visible[0, k][~inside] == -20).all()
    absent = [k for k, lead in enumerate(LEADS) if lead not in ("I", "aVR", "II")]
    assert (mv[0, absent] == 0).all()
    mv.sum().backward()
    assert y_px.grad[0, 2].abs().sum() > 0
    # the short print of II is not what is read
    assert y_px.grad[0, 1].abs().sum() == 0


def test_a_lead_twice_as_steep_in_pixels_is_half_the_voltage():
    row = torch.zeros(1, 1, 50) + 5.0
    base = {
        "print_row": torch.zeros(1, 1),
        "print_x0_px": torch.zeros(1, 1),
        "print_px_per_s": torch.ones(1, 1),
        "print_baseline_px": torch.full((1, 1), 25.0),
        "print_first": torch.zeros(1, 1),
        "print_last": torch.full((1, 1), 50),
    }
    found = [
        read_leads(
            row,
            row,
            {**base, "print_px_per_mv": torch.full((1, 1), gain)},
            cell_x=1,
            n_samples=50,
            fs_hz=1.0,
        )[0].mean()
        for gain in (10.0, 20.0)
    ]
    assert found == pytest.approx([2.0, 1.0])
