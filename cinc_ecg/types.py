"""Values that cross module borders: frozen dataclasses and the two reader protocols.

Frames. *image*: pixels of the source picture, (x right, y down), the centre of the top-left pixel
is (0, 0). *page*: millimetres on the flat, upright paper, x right, y down. *signal*: seconds and
millivolts. A field's name ends in its unit. Arrays of points have the shape (..., 2) in (x, y)
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Severity = Literal["info", "warning", "error"]
#: Where a calibration value comes from.
CalibrationSource = Literal["grid", "pulse", "text", "header", "assumed", "user"]


@dataclass(frozen=True, slots=True)
class EcgImage:
    """One decoded picture.

    Attributes:
        pixels: (height, width, 3) uint8, RGB, EXIF orientation already applied, alpha laid on
            white.
        source: Where it came from, for messages (a path or a name).
        page: Page number within a multi-page source, from 0.
        dpi: Resolution stated by the file, if any; never trusted as a calibration.
    """

    pixels: NDArray[np.uint8]
    source: str = ""
    page: int = 0
    dpi: float | None = None

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn the picture upright: mirror it, then `quarter_turns` as in `np.rot90`."""

    quarter_turns: int = 0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class PageGeometry:
    """The map from page millimetres to image pixels, as a regular lattice of nodes on the paper.

    Node (i, j) lies at page position `origin_mm + pitch_mm * (j, i)`; between nodes the map is a
    cubic spline (`cinc_ecg.geometry`). A flat page needs few nodes, a curled one as many as its
    shape demands.

    Attributes:
        nodes_px: (n_rows, n_columns, 2) image positions.
        origin_mm: Page position of node (0, 0).
        pitch_mm: Node distance on the paper in x and y.
        calibrated: False when no grid, pulse or text gave a scale and millimetres are nominal.
    """

    nodes_px: FloatArray
    origin_mm: tuple[float, float]
    pitch_mm: tuple[float, float]
    calibrated: bool = True

    @property
    def px_per_mm(self) -> tuple[float, float]:
        """Median scale along page x and page y."""
        across = np.linalg.norm(np.diff(self.nodes_px, axis=1), axis=-1)
        down = np.linalg.norm(np.diff(self.nodes_px, axis=0), axis=-1)
        return float(np.median(across)) / self.pitch_mm[0], float(np.median(down)) / self.pitch_mm[
            1
        ]

    @property
    def extent_mm(self) -> tuple[float, float, float, float]:
        """Page rectangle spanned by the nodes as (x0, y0, x1, y1)."""
        rows, columns = self.nodes_px.shape[:2]
        x0, y0 = self.origin_mm
        return x0, y0, x0 + self.pitch_mm[0] * (columns - 1), y0 + self.pitch_mm[1] * (rows - 1)


@dataclass(frozen=True, slots=True)
class LeadName:
    """A printed lead name found on the page; `box_mm` is (x0, y0, x1, y1), `score` in 0..1."""

    lead: str
    box_mm: tuple[float, float, float, float]
    score: float
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Pulse:
    """A calibration pulse: its span in x, levels of foot and top; page millimetres, y down."""

    x0_mm: float
    x1_mm: float
    foot_mm: float
    top_mm: float
    score: float = 1.0

    @property
    def height_mm(self) -> float:
        return self.foot_mm - self.top_mm


@dataclass(frozen=True, slots=True)
class Separator:
    """A short vertical tick between two columns of a row, in page millimetres."""

    x_mm: float
    y0_mm: float
    y1_mm: float


@dataclass(frozen=True, slots=True)
class PageEvidence:
    """What a page reader sees, each part None where it has no opinion.

    Attributes:
        orientation: How to turn the picture upright.
        trace: (height, width) float32 in image pixels, 0..1: how likely a pixel is ink of a trace.
        lattice: The page's geometry.
        page_mask: (height, width) bool, True on paper.
        grid_mask: (height, width) bool, True where the paper's grid is seen.
        names, pulses, separators: Marks in page millimetres.
        text: Calibration text found ("25 mm/s"), as printed.
    """

    orientation: Orientation | None = None
    trace: NDArray[np.float32] | None = None
    lattice: PageGeometry | None = None
    page_mask: NDArray[np.bool_] | None = None
    grid_mask: NDArray[np.bool_] | None = None
    names: tuple[LeadName, ...] | None = None
    pulses: tuple[Pulse, ...] | None = None
    separators: tuple[Separator, ...] | None = None
    text: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """One trace row, rectified by a single warp from the original pixels.

    Pixel (column c, row r) of `pixels` lies at page position `x0_mm + c / px_per_mm`,
    `y0_mm + r / px_per_mm`.

    Attributes:
        row: Index of the row on the page, from the top.
        pixels: (height, width, 3) uint8 RGB.
        trace: (height, width) float32, trace evidence warped alike, or None.
        baseline_mm: Page y about which the row's trace runs.
        valid: (height, width) bool, False where the strip lies outside the picture.
    """

    row: int
    pixels: NDArray[np.uint8]
    x0_mm: float
    y0_mm: float
    px_per_mm: float
    baseline_mm: float
    trace: NDArray[np.float32] | None = None
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class RowTrace:
    """A trace read from one strip, in page millimetres: y at `x0_mm + k * step_mm`.

    Attributes:
        y_mm: (n,) page y (down); NaN where nothing was seen.
        sigma_mm: (n,) standard error of y_mm.
        visible: (n,) True where ink was seen, False where y_mm is a guess or NaN.
    """

    row: int
    x0_mm: float
    step_mm: float
    y_mm: FloatArray
    sigma_mm: FloatArray
    visible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Panel:
    """The place of one lead on the page.

    Attributes:
        lead: Standard lead name.
        row: Trace row, from the top.
        box_mm: (x0, y0, x1, y1) in page millimetres; x0..x1 holds the trace.
        start_s, duration_s: The lead's window in the record.
        mm_per_s, mm_per_mv: Paper speed and gain of this panel.
        baseline_mm: Page y of 0 mV.
        rhythm: True for a full-width rhythm strip beside the short panels.
        inverted: True when the page prints the negative of the lead (-aVR).
    """

    lead: str
    row: int
    box_mm: tuple[float, float, float, float]
    start_s: float
    duration_s: float
    mm_per_s: float
    mm_per_mv: float
    baseline_mm: float
    rhythm: bool = False
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The arrangement found on the page.

    Attributes:
        name: As in `cinc_ecg.layouts` ("3x4+1"), or "rows" when no template fits.
        panels: One per printed lead; a lead may be printed twice (rhythm strip).
        cabrera: Limb leads in Cabrera order.
        simultaneous: True when all columns start at the same time, False when each continues the
            one before.
        confidence: 0..1, posterior of this hypothesis against the others tried.
        runner_up: Name of the second-best hypothesis.
    """

    name: str
    panels: tuple[Panel, ...]
    cabrera: bool = False
    simultaneous: bool = False
    confidence: float = 1.0
    runner_up: str | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Page-wide paper speed and gain, and what they rest on."""

    mm_per_s: float
    mm_per_mv: float
    time_source: CalibrationSource
    gain_source: CalibrationSource


@dataclass(frozen=True, slots=True)
class LeadTrace:
    """One panel's part of a row's trace (index into `Layout.panels`); fields as in RowTrace."""

    panel: int
    x0_mm: float
    step_mm: float
    y_mm: FloatArray
    sigma_mm: FloatArray
    visible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Signal:
    """A multi-lead signal.

    Attributes:
        samples_mv: (n_samples, n_leads) float32; NaN = not printed (or not seen).
        fs_hz: Sampling rate.
        leads: Column names.
        sigma_mv: (n_samples, n_leads) standard error, or None.
    """

    samples_mv: NDArray[np.float32]
    fs_hz: float
    leads: tuple[str, ...]
    sigma_mv: NDArray[np.float32] | None = None

    @property
    def duration_s(self) -> float:
        return len(self.samples_mv) / self.fs_hz


@dataclass(frozen=True, slots=True)
class Note:
    """A remark for the user: a stable code, where it applies, one sentence."""

    code: str
    severity: Severity
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class LeadStatus:
    """What became of one lead.

    Attributes:
        status: "ok", "partial" (gaps inside the printed window), "missing" (not printed or not
            found).
        start_s, duration_s: Printed window.
        coverage: Fraction of the window with visible ink.
        predicted_snr_db: Expected signal-to-noise ratio, or None when unknown.
    """

    lead: str
    status: Literal["ok", "partial", "missing"]
    start_s: float = 0.0
    duration_s: float = 0.0
    coverage: float = 0.0
    predicted_snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """Page-wide figures a user can act on.

    Attributes:
        px_per_mm: Resolution of the trace in the picture.
        limb_residual_mv: Median |II - I - III| over simultaneous samples, or None when not all
            three are there.
        coverage: Fraction of printed samples with visible ink.
        predicted_snr_db: Mean over the leads, or None.
    """

    px_per_mm: float
    limb_residual_mv: float | None
    coverage: float
    predicted_snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Digitization:
    """The result for one page."""

    signal: Signal
    layout: Layout
    geometry: PageGeometry
    calibration: Calibration
    traces: tuple[LeadTrace, ...]
    leads: tuple[LeadStatus, ...]
    quality: Quality
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Class probabilities and the thresholds above which a class is reported.

    A class without a threshold is never a label: too little is known about it.
    """

    probabilities: dict[str, float]
    thresholds: dict[str, float]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, p in self.probabilities.items()
            if name in self.thresholds and p >= self.thresholds[name]
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What became of one page.

    Attributes:
        record: The picture's path as given.
        page: Number within the file, from 0.
        digitization: None when the page could not be read.
        diagnosis: None without a signal.
        model: What gave the diagnosis: summary of its card.
        failure: Why there is no digitization, or no diagnosis.
    """

    record: str
    page: int
    digitization: Digitization | None
    diagnosis: Diagnosis | None
    model: str = ""
    failure: Note | None = None


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """A WFDB header as the Challenge uses it, complete or trimmed.

    Attributes:
        name: Record name.
        fs_hz, n_samples: Rate and length the output must have.
        leads: Names as spelt in the header (AVR or aVR), in order.
        images: Picture files named by `# Image:` lines, relative to the header's folder.
        labels: Items of the `# Labels:` lines; None when there is no such line.
        comments: All comment lines without the leading '#'.
    """

    name: str
    fs_hz: float
    n_samples: int
    leads: tuple[str, ...]
    units: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageTruth:
    """What the renderer knows about a page it drew.

    Attributes:
        signal: The signal as printed: NaN outside the printed windows.
        layout: Panels with their exact boxes and baselines.
        geometry: Exact page -> image map.
        calibration: Paper speed and gain as printed.
        trace_mm: One (n, 2) polyline per panel in page millimetres: the pen's centre line.
        names: Boxes of the printed lead names.
        pulses, separators: The other marks.
        text_boxes_mm: (n, 4) boxes of all other text.
        settings: The renderer's resolved settings and seed.
    """

    signal: Signal
    layout: Layout
    geometry: PageGeometry
    calibration: Calibration
    trace_mm: tuple[FloatArray, ...]
    names: tuple[LeadName, ...]
    pulses: tuple[Pulse, ...] = ()
    separators: tuple[Separator, ...] = ()
    text_boxes_mm: tuple[tuple[float, float, float, float], ...] = ()
    settings: dict[str, object] = field(default_factory=dict)


class PageReader(Protocol):
    """Reads a whole picture into evidence; classical in `digitization`, learned in `models`."""

    def read(self, image: EcgImage) -> PageEvidence: ...


class StripReader(Protocol):
    """Reads all rows of a page, to tell neighbours apart; one RowTrace per strip."""

    def read(self, strips: Sequence[Strip]) -> list[RowTrace]: ...
