"""Print a signal as a vector PDF, as recorders and hospital systems export it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.synth.arrangement import Arrangement, arrange, printed_signal
from cinc_ecg.synth.header import invented_header
from cinc_ecg.synth.paper import page_geometry
from cinc_ecg.synth.settings import PageSettings, Rgb
from cinc_ecg.types import Calibration, FloatArray, LeadName, PageTruth, Pulse, Signal

#: How the pen's way is cut into path objects: one per panel, one per row, or one per short stroke.
Pieces = Literal["panel", "row", "segments"]
_PT_PER_MM = 72.0 / 25.4
#: Mean width of a Helvetica letter, and its cap height, in units of the font size.
_LETTER_EM, _CAP_EM = 0.56, 0.72


def write_pdf(
    signal: Signal,
    path: str | Path,
    settings: PageSettings | None = None,
    *,
    seed: int = 0,
    header: Sequence[str] | None = None,
    pieces: Pieces = "panel",
) -> PageTruth:
    """Print `signal` on a page of drawn paths and text.

    Args:
        signal: Leads by name, any rate; NaN lifts the pen.
        path: PDF file to write.
        settings: The page; resolution, pen density and font are of no meaning here.
        seed: Decides the invented header.
        header: Lines of the header block; None invents them.
        pieces: How the traces are cut into path objects.

    Returns:
        The truth, its geometry that of a rendering at `settings.paper.dpi`.

    Raises:
        ConfigError: settings that contradict each other. OutputError: the file cannot be written.
    """
    settings = settings or PageSettings()
    rng = np.random.default_rng(seed)
    plan = arrange(signal, settings)
    lines = invented_header(signal, rng) if header is None else list(header)
    pen = _Pen(settings)
    content = [
        *pen.grid(),
        *pen.traces(plan, pieces),
        *pen.pulses(plan.pulses),
        *pen.separators(plan),
    ]
    names, texts = pen.names(plan), pen.texts(plan, lines)
    operators = "\n".join([*content, *names.content, *texts.content])
    write_bytes(Path(path), _document(settings, operators))
    scale = settings.scale
    return PageTruth(
        signal=printed_signal(signal, plan, scale.clip_mm),
        layout=plan.layout,
        geometry=page_geometry(settings),
        calibration=Calibration(scale.mm_per_s, scale.mm_per_mv, "header", "header"),
        trace_mm=plan.traces_mm,
        names=names.names,
        pulses=plan.pulses,
        separators=plan.separators,
        settings={"page": asdict(settings), "seed": seed, "pieces": pieces, "artefacts": []},
    )


class _Words:
    """Text operators and where the lead names went."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.names: tuple[LeadName, ...] = ()


class _Pen:
    """Writes PDF operators in page millimetres, y down."""

    def __init__(self, settings: PageSettings) -> None:
        self.settings = settings
        self.height_mm = settings.paper.size_mm[1]

    def _at(self, x_mm: float, y_mm: float) -> str:
        return f"{x_mm * _PT_PER_MM:.4f} {(self.height_mm - y_mm) * _PT_PER_MM:.4f}"

    def _stroke(self, colour: Rgb, width_mm: float) -> str:
        r, g, b = (channel / 255 for channel in colour)
        return f"{r:.4f} {g:.4f} {b:.4f} RG {width_mm * _PT_PER_MM:.4f} w"

    def _line(self, points_mm: FloatArray) -> str:
        steps = [self._at(x, y) for x, y in points_mm]
        return f"{steps[0]} m " + " ".join(f"{step} l" for step in steps[1:]) + " S"

    def grid(self) -> Iterator[str]:
        """Draw the 1 mm and the 5 mm lines over the whole sheet."""
        grid, (width, height) = self.settings.grid, self.settings.paper.size_mm
        families = (
            (1.0, grid.minor, grid.minor_colour, grid.minor_width_mm),
            (5.0, grid.major, grid.major_colour, grid.major_width_mm),
        )
        for pitch, there, colour, line_mm in families:
            if grid.style == "none" or not there:
                continue
            yield self._stroke(colour, line_mm)
            for x in np.arange(grid.offset_mm[0] % pitch, width, pitch):
                yield self._line(np.array([[x, 0.0], [x, height]]))
            for y in np.arange(grid.offset_mm[1] % pitch, height, pitch):
                yield self._line(np.array([[0.0, y], [width, y]]))

    def traces(self, plan: Arrangement, pieces: Pieces) -> Iterator[str]:
        """Draw the panels' traces, cut as asked."""
        pen = self.settings.pen
        yield self._stroke(pen.colour, pen.width_mm)
        lines = list(plan.traces_mm)
        if pieces == "row":
            rows = sorted({panel.row for panel in plan.layout.panels})
            panels = list(zip(plan.layout.panels, plan.traces_mm, strict=True))
            lines = [np.vstack([line for panel, line in panels if panel.row == r]) for r in rows]
        for line in lines:
            for stretch in _pen_down(line):
                if pieces == "segments":
                    for k in range(len(stretch) - 1):
                        yield self._line(stretch[k : k + 2])
                else:
                    yield self._line(stretch)

    def pulses(self, pulses: Sequence[Pulse]) -> Iterator[str]:
        """Draw the calibration pulses."""
        for pulse in pulses:
            corners = [
                (pulse.x0_mm, pulse.foot_mm),
                (pulse.x0_mm, pulse.top_mm),
                (pulse.x1_mm, pulse.top_mm),
                (pulse.x1_mm, pulse.foot_mm),
            ]
            yield self._line(np.array(corners))

    def separators(self, plan: Arrangement) -> Iterator[str]:
        """Draw the marks between columns."""
        if plan.separators:
            yield self._stroke(self.settings.pen.colour, self.settings.separators.width_mm)
        for mark in plan.separators:
            yield self._line(np.array([[mark.x_mm, mark.y0_mm], [mark.x_mm, mark.y1_mm]]))

    def names(self, plan: Arrangement) -> _Words:
        """Write the lead names below the start of their traces."""
        words, text = _Words(), self.settings.text
        if not text.show_names:
            return words
        size, found = text.name_height_mm / _CAP_EM, []
        for panel in plan.layout.panels:
            label = ("-" if panel.inverted else "") + panel.lead
            x, bottom = panel.box_mm[0] + 0.3, panel.baseline_mm + 4.1 + text.name_height_mm
            words.content.append(self._text(label, x, bottom, size))
            box = (x, bottom - text.name_height_mm, x + len(label) * size * _LETTER_EM, bottom)
            found.append(LeadName(panel.lead, box, 1.0, panel.inverted))
        words.names = tuple(found)
        return words

    def texts(self, plan: Arrangement, header: Sequence[str]) -> _Words:
        """Write the header block and the calibration text."""
        words, text, scale = _Words(), self.settings.text, self.settings.scale
        size = text.header_height_mm / _CAP_EM
        if text.show_header:
            for number, line in enumerate(header):
                y = 6.0 + number * text.header_height_mm * 1.33
                for third, part in enumerate(line.split("\t")):
                    x = 1.2 + third * self.settings.paper.size_mm[0] * 0.27
                    words.content.append(self._text(part, x, y, size))
        if text.show_scale:
            stated = text.scale_text or (f"{scale.mm_per_s:g}mm/s", f"{scale.mm_per_mv:g}mm/mV")
            y = min(plan.baselines_mm[-1] + 16.0, self.height_mm - 2.0)
            for k, part in enumerate(stated):
                words.content.append(self._text(part, 50.0 + 50.0 * k, y, size))
        return words

    def _text(self, line: str, x_mm: float, y_mm: float, size_mm: float) -> str:
        shown = line.encode("ascii", "replace").decode()
        shown = shown.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        size = size_mm * _PT_PER_MM
        return f"BT /F1 {size:.3f} Tf {self._at(x_mm, y_mm)} Td ({shown}) Tj ET"


def _pen_down(line: FloatArray) -> Iterator[FloatArray]:
    """Yield the stretches of a polyline between lifted (NaN) points."""
    finite = np.isfinite(line).all(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, finite, False].astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > 1:
            yield line[start:stop]


def _document(settings: PageSettings, content: str) -> bytes:
    """Wrap a content stream into a one-page PDF 1.4 file."""
    width, height = (side * _PT_PER_MM for side in settings.paper.size_mm)
    stream = content.encode("ascii")
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.4f} {height:.4f}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(bodies) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
