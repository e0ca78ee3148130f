"""Paper speed and gain: what the page says, its pulses show and the record's length implies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cinc_ecg.digitization.calibration_text import GAINS, ScaleText
from cinc_ecg.digitization.frame import Frame
from cinc_ecg.types import Calibration, CalibrationSource, Note, Pulse

#: A standard pulse stands for 1 mV.
_PULSE_MV = 1.0
_MIN_PULSE_MM = 4.0
_STANDARD_MM_PER_S = 25.0
_STANDARD_MM_PER_MV = 10.0
_USUAL_SPEEDS = (12.5, 25.0, 50.0)


def calibrate(
    frame: Frame,
    pulses: Sequence[Pulse],
    text: Sequence[ScaleText],
    *,
    n_columns: int,
    simultaneous: bool | None = None,
    duration_s: float | None = None,
    mm_per_s: float | None = None,
    mm_per_mv: float | None = None,
) -> tuple[Calibration, list[Note]]:
    """Decide paper speed and gain, cross-checking every source there is.

    Args:
        frame: Extent of the traces.
        pulses: Calibration pulses in page mm.
        text: Calibration text read on the page.
        n_columns: Columns of the layout.
        simultaneous: Whether all columns cover the same time.
        duration_s: Length of the record where a header tells it.
        mm_per_s, mm_per_mv: The user's own values, which win.

    Returns:
        The calibration, and notes on sources that disagree or are missing.
    """
    notes: list[Note] = []
    width = frame.x1_mm - frame.x0_mm
    speed_source: CalibrationSource = "user"
    gain_source: CalibrationSource = "user"
    speed, gain = mm_per_s, mm_per_mv
    if speed is None:
        speed, speed_source = _speed(width, text, n_columns, duration_s)
    if gain is None:
        gain, gain_source, gain_notes = _gain(pulses, text)
        notes += gain_notes
    if speed_source == "assumed":
        notes.append(
            Note(
                "speed_assumed",
                "warning",
                "page",
                f"no paper speed could be read; {speed:g} mm/s is assumed",
            )
        )
    if gain_source == "assumed":
        notes.append(
            Note(
                "gain_assumed",
                "warning",
                "page",
                f"no gain or pulse found; {gain:g} mm/mV is assumed",
            )
        )
    if duration_s is not None:
        seconds = width / speed * (n_columns if simultaneous else 1)
        if abs(seconds / duration_s - 1) > 0.05 and not simultaneous:
            notes.append(
                Note(
                    "duration_differs",
                    "info",
                    "page",
                    f"the traces span {seconds:.2f} s at {speed:g} mm/s, "
                    f"the header says {duration_s:.2f} s",
                )
            )
    return Calibration(float(speed), float(gain), speed_source, gain_source), notes


def _speed(
    width_mm: float, text: Sequence[ScaleText], n_columns: int, duration_s: float | None
) -> tuple[float, CalibrationSource]:
    printed = _best(text, "speed")
    if printed is not None:
        return printed, "text"
    if duration_s is not None:
        fitting = [v for v in _USUAL_SPEEDS if abs(width_mm / v / duration_s - 1) < 0.04]
        if fitting:
            return fitting[0], "header"
    return _STANDARD_MM_PER_S, "assumed"


def _gain(
    pulses: Sequence[Pulse], text: Sequence[ScaleText]
) -> tuple[float, CalibrationSource, list[Note]]:
    printed = _best(text, "gain")
    # A single low step is as likely a T wave or a letter; 2.5 mm/mV is believed from text alone.
    heights = np.array([p.height_mm for p in pulses if _MIN_PULSE_MM < p.height_mm < 45.0])
    shown = None
    if len(heights):
        middle = float(np.median(heights))
        close = heights[np.abs(heights - middle) < 0.08 * middle]
        nominal = min(GAINS, key=lambda g: abs(np.log(middle / (g * _PULSE_MV))))
        if len(close) >= max(1, len(heights) // 2) and abs(np.log(middle / nominal)) < 0.12:
            shown = nominal
    if printed is not None and shown is not None and printed != shown:
        note = Note(
            "gain_conflict",
            "warning",
            "page",
            f"the text says {printed:g} mm/mV, the pulses show {shown:g} mm/mV; the text is used",
        )
        return printed, "text", [note]
    if shown is not None:
        return shown, "pulse", []
    if printed is not None:
        return printed, "text", []
    return _STANDARD_MM_PER_MV, "assumed", []


def _best(text: Sequence[ScaleText], kind: str) -> float | None:
    """Return the surest reading of a kind, None when two sure ones disagree."""
    readings = sorted((t for t in text if t.kind == kind), key=lambda t: -t.score)
    if not readings or any(
        t.value != readings[0].value and t.score > 0.9 * readings[0].score for t in readings
    ):
        return None
    return float(readings[0].value)
