"""Small Challenge folders."""

import numpy as np
import pytest

LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def write_wfdb(path, samples, *, fs=100, leads=LEADS, units="mV", comments=()):
    """Write a record by hand, names and units as given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isfinite(samples), np.round(np.nan_to_num(samples) * 1000), -32768)
    digital.astype("<i2").tofile(path.with_suffix(".dat"))
    lines = [f"{path.name} {samples.shape[1]} {fs} {len(samples)}"]
    lines += [f"{path.name}.dat 16 1000.0(0)/{units} 16 0 0 0 0 {lead}" for lead in leads]
    lines += [f"# {comment}" for comment in comments]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


@pytest.fixture
def toy():
    """A (300, 12) toy signal in mV."""
    rng = np.random.default_rng(3)
    p = np.arange(300)[:, None] / 100 % 0.8 - 0.3
    qrs = np.exp(-((p / 0.02) ** 2)) * rng.uniform(-1, 1, 12)
    return np.round(qrs + 0.05 * rng.standard_normal((300, 12)), 3)


@pytest.fixture
def folders(tmp_path, toy):
    """Return (reference, output) folders with records a and b/c, the outputs being noisy."""
    rng = np.random.default_rng(4)
    ref, est = tmp_path / "ref", tmp_path / "est"
    for record, labels in (("a", "NORM"), ("b/c", "NORM, PVC")):
        write_wfdb(ref / record, toy, comments=["Age: 50", f"Labels: {labels}"])
        noisy = toy + 0.02 * rng.standard_normal(toy.shape)
        write_wfdb(est / record, noisy, comments=["Labels: NORM"])
    return ref, est
