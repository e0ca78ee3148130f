import numpy as np
import pytest

from cinc_ecg.errors import RecordError
from cinc_ecg.io.plain_records import has_samples, read_plain
from cinc_ecg.io.records import read_signal, write_record
from cinc_ecg.leads import LEADS
from cinc_ecg.types import Signal


def test_agrees_with_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (250, 12)).astype(np.float32)
    samples[3:9, 2] = np.nan
    write_record(tmp_path / "r", Signal(samples, 250.0, LEADS))
    read = read_plain(tmp_path / "r")
    np.testing.assert_allclose(read.samples_mv, samples, atol=6e-4)
    assert (read.leads, read.fs_hz) == (LEADS, 250.0)
    assert has_samples(tmp_path / "r")


def packed(values, fmt):
    """Encode as the WFDB manual says, one value after the other."""
    if fmt == "212":
        out = bytearray()
        pairs = [*values, *([0] if len(values) % 2 else [])]
        for first, second in zip(pairs[::2], pairs[1::2], strict=True):
            a, b = int(first) & 0xFFF, int(second) & 0xFFF
            out += bytes([a & 0xFF, a >> 8 | b >> 8 << 4, b & 0xFF])
        return bytes(out[: -1 if len(values) % 2 else None])
    if fmt == "24":
        return b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
    shift = {"80": 128, "160": 1 << 15}.get(fmt, 0)
    dtype = {"16": "<i2", "32": "<i4", "61": ">i2", "80": "u1", "160": "<u2"}[fmt]
    return (values + shift).astype(dtype).tobytes()


@pytest.mark.parametrize("fmt", ["16", "24", "32", "61", "80", "160", "212"])
@pytest.mark.parametrize("n_leads", [1, 3])
def test_agrees_with_wfdb_in_every_format(tmp_path, fmt, n_leads):
    digital = np.random.default_rng(int(fmt)).integers(-120, 120, (101, n_leads))
    (tmp_path / "r.dat").write_bytes(packed(digital.ravel(), fmt))
    lines = [f"r.dat {fmt} 3.5(7)/uV 12 0 {digital[0, k]} 0 0 {LEADS[k]}" for k in range(n_leads)]
    (tmp_path / "r.hea").write_text("\n".join([f"r {n_leads} 500 101", *lines]) + "\n")
    ours, theirs = read_plain(tmp_path / "r"), read_signal(tmp_path / "r")
    np.testing.assert_allclose(ours.samples_mv, theirs.samples_mv, atol=1e-7)


def test_offset_and_default_gain(tmp_path):
    (tmp_path / "r.hea").write_text("r 1 500 4\nr.mat 16+24 0/mV 16 5 0 0 0 II\n")
    (tmp_path / "r.mat").write_bytes(b"x" * 24 + np.array([5, 205, -195, 5], "<i2").tobytes())
    np.testing.assert_allclose(read_plain(tmp_path / "r").samples_mv[:, 0], [0, 1, -1, 0])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("r.dat 311 1000/mV 16 0 0 0 0 II", "record_format"),
        ("r.dat 16x4 1000/mV 16 0 0 0 0 II", "record_format"),
        ("r.dat 16 1000/mmHg 16 0 0 0 0 II", "record_unit"),
        ("none.dat 16 1000/mV 16 0 0 0 0 II", "record_missing"),
        ("r.dat sixteen", "record_unreadable"),
        ("r.dat 16 1000/mV 16 0 0 0 0 II", "record_unreadable"),  # ends too early
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, line, code):
    (tmp_path / "r.hea").write_text(f"r 1 500 4\n{line}\n")
    (tmp_path / "r.dat").write_bytes(b"\0\0")
    with pytest.raises(RecordError) as caught:
        read_plain(tmp_path / "r")
    assert caught.value.reason_code == code
