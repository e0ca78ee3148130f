"""Invented patient data, measurements and remarks for the top of a page."""

from __future__ import annotations

import numpy as np

from cinc_ecg.types import Signal

_FIRST = ("Alex", "Maria", "Chen", "Noor", "Ivan", "Ada", "Luis", "Priya", "Tom", "Sofia")
_LAST = ("Garcia", "Novak", "Kim", "Okoye", "Jensen", "Rossi", "Tanaka", "Weber", "Silva", "Ali")
_REMARKS = (
    "Sinus rhythm",
    "Normal ECG",
    "Nonspecific T wave abnormality",
    "Left axis deviation",
    "Possible left atrial enlargement",
    "Unconfirmed report",
)


def invented_header(signal: Signal, rng: np.random.Generator) -> list[str]:
    """Return header lines, a tab moving to the next third of the page.

    The numbers are plausible, not measured.
    """
    month, day = rng.integers(1, 13), rng.integers(1, 29)
    year, hour, minute = rng.integers(1998, 2025), rng.integers(0, 24), rng.integers(0, 60)
    name = f"{_LAST[rng.integers(len(_LAST))]}, {_FIRST[rng.integers(len(_FIRST))]}"
    date = f"{day:02d}/{month:02d}/{year} {hour:02d}:{minute:02d}"
    remarks = rng.choice(len(_REMARKS), 2, replace=False)
    return [
        f"ID: {rng.integers(10_000, 9_999_999)}\tName: {name}\tDate: {date}",
        f"Age: {rng.integers(18, 96)} yrs\tVent. rate {rng.integers(45, 140)} bpm"
        f"\t{_REMARKS[remarks[0]]}",
        f"Sex: {('Male', 'Female')[rng.integers(2)]}\tPR interval {rng.integers(110, 230)} ms"
        f"\t{_REMARKS[remarks[1]]}",
        f"Height: {rng.integers(150, 200)} cm\tQRS duration {rng.integers(70, 160)} ms",
        f"Weight: {rng.integers(45, 120)} kg\tQT/QTc {rng.integers(330, 440)}"
        f"/{rng.integers(380, 470)} ms",
        f"{signal.duration_s:g} s\tP-R-T axes {rng.integers(-30, 90)} {rng.integers(-60, 110)}"
        f" {rng.integers(-20, 100)}",
    ]
