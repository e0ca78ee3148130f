"""Digitize a vector PDF page: the drawn traces through the same layout and calibration stages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cinc_ecg.digitization.assemble import assemble, lead_statuses, quality_of
from cinc_ecg.digitization.calibrate import calibrate
from cinc_ecg.digitization.calibration_text import parse_calibration_text
from cinc_ecg.digitization.frame import Frame
from cinc_ecg.digitization.layout import Hypothesis, Place
from cinc_ecg.digitization.marks import PageMarks, read_marks
from cinc_ecg.digitization.orient import UprightPage
from cinc_ecg.digitization.panels import columns_are_simultaneous, make_panels
from cinc_ecg.digitization.pipeline import (
    DigitizeConfig,
    Observe,
    choose_layout,
    digitize,
    require_ecg,
)
from cinc_ecg.digitization.rows import Row
from cinc_ecg.digitization.vector import VectorPage, read_rows
from cinc_ecg.digitization.vector_lines import Piece
from cinc_ecg.errors import DigitizationError
from cinc_ecg.geometry import warp_box
from cinc_ecg.io import pdf
from cinc_ecg.types import (
    Digitization,
    EcgImage,
    Layout,
    LeadTrace,
    Note,
    Orientation,
    PageReader,
    Panel,
    RowTrace,
    StripReader,
)

_LOG = logging.getLogger(__name__)
#: A drawn piece that begins and ends this close to a column is that column.
_COLUMN_PLAY_MM = 3.0
#: Resolution at which lead names drawn as outlines are read.
_READING_PX_PER_MM = 8.0


def digitize_source(
    image: EcgImage,
    *,
    page_reader: PageReader | None = None,
    strip_reader: StripReader | None = None,
    config: DigitizeConfig | None = None,
    observe: Observe | None = None,
) -> Digitization:
    """Digitize a picture; where its file is a vector PDF, read the drawn lines instead of pixels.

    Args:
        image: As read by `io.images`; its source and page name the file.
        page_reader, strip_reader, config, observe: As in `pipeline.digitize`; a page read from its
            drawn lines has no stages to observe.

    Raises:
        DigitizationError: no trustworthy signal can be given.
    """
    config = config or DigitizeConfig()
    path = Path(image.source)
    page = read_rows(path, image.page) if path.is_file() and pdf.is_pdf(path) else None
    if page is not None:
        try:
            return digitize_vector(image, page, config)
        except DigitizationError as error:
            _LOG.info("%s: drawn lines give no signal (%s); looking at the page", path, error)
    return digitize(
        image,
        page_reader=page_reader,
        strip_reader=strip_reader,
        config=config,
        observe=observe,
    )


def digitize_vector(image: EcgImage, page: VectorPage, config: DigitizeConfig) -> Digitization:
    """Turn drawn traces into calibrated leads.

    Args:
        image: A rendering of the whole page, on which names drawn as outlines are looked for.
        page: The drawn lines.
        config: What is known beforehand.

    Raises:
        DigitizationError: the page is no electrocardiogram, or no layout fits it.
    """
    upright = _upright(image, page)
    frame = _frame(upright.rows)
    require_ecg(upright, frame, image.source)
    calibration, notes = calibrate(
        frame,
        upright.marks.pulses,
        upright.marks.text,
        n_columns=1,
        duration_s=config.duration_s,
        mm_per_s=config.mm_per_s,
        mm_per_mv=config.mm_per_mv,
    )
    (chosen, *_), confidence, runner_up = choose_layout(frame, upright, config)
    chosen = _onto_pieces(chosen, page.pieces)
    if confidence < config.min_confidence:
        text = f"layout {chosen.name} has confidence {confidence:.2f}"
        notes.append(Note("layout_uncertain", "warning", "page", text))
    simultaneous, _ = columns_are_simultaneous(chosen, page.rows, calibration.mm_per_s)
    panels, _ = make_panels(
        chosen, frame, page.rows, upright.marks.pulses, calibration, simultaneous
    )
    traces = [_cut(page.rows[panel.row], panel, k) for k, panel in enumerate(panels)]
    signal = assemble(panels, traces, config.fs_hz)
    statuses = lead_statuses(panels, traces, signal)
    text = "The traces were read from the drawing commands of the PDF, not from pixels."
    return Digitization(
        signal=signal,
        layout=Layout(
            chosen.name, tuple(panels), chosen.cabrera, simultaneous, confidence, runner_up
        ),
        geometry=upright.geometry,
        calibration=calibration,
        traces=tuple(traces),
        leads=statuses,
        quality=quality_of(signal, statuses, float(np.mean(upright.geometry.px_per_mm))),
        notes=(*notes, Note("vector", "info", "page", text)),
    )


def _cut(row: RowTrace, panel: Panel, index: int) -> LeadTrace:
    """Cut a panel's samples out of its row as they are: no tick or pulse spoils a drawn line."""
    first, last = (
        int(np.ceil((x_mm - row.x0_mm) / row.step_mm - 1e-3))
        for x_mm in (panel.box_mm[0], panel.box_mm[2])
    )
    window = slice(max(first, 0), max(last, 0))
    return LeadTrace(
        panel=index,
        x0_mm=row.x0_mm + window.start * row.step_mm,
        step_mm=row.step_mm,
        y_mm=row.y_mm[window],
        sigma_mm=row.sigma_mm[window],
        visible=row.visible[window],
    )


def _upright(image: EcgImage, page: VectorPage) -> UprightPage:
    """Describe the page as the layout stage wants it; names that are no text are looked for."""
    geometry = page.geometry(image)
    text = tuple(scale for line in page.text for scale in parse_calibration_text(line))
    names, pulses, separators = page.names, page.pulses, page.separators
    if not names:
        sheet, _ = warp_box(image.pixels, geometry, geometry.extent_mm, _READING_PX_PER_MM)
        seen = read_marks(sheet, _READING_PX_PER_MM)
        names, pulses, text = seen.names, pulses or seen.pulses, text or seen.text
    marks = PageMarks(names, pulses, separators, text)
    rows = tuple(
        replace(row, x1_mm=row.x1_mm + trace.step_mm)  # a sample lasts until the next
        for row, trace in zip(page.found_rows, page.rows, strict=True)
    )
    return UprightPage(
        geometry, image.pixels, geometry.px_per_mm[0], (0.0, 0.0), Orientation(), rows, marks
    )


def _frame(rows: Sequence[Row]) -> Frame:
    """Return the exact extent of the traces; what is drawn needs no agreement among the rows."""
    x0 = float(np.median([row.x0_mm for row in rows]))
    x1 = float(np.median([row.x1_mm for row in rows]))
    return Frame(tuple(rows), x0, x1)


def _onto_pieces(chosen: Hypothesis, pieces: Sequence[Sequence[Piece]]) -> Hypothesis:
    """Move each place onto the piece that was drawn for it, if there is just one."""
    return replace(chosen, places=tuple(_onto_piece(p, pieces[p.row]) for p in chosen.places))


def _onto_piece(place: Place, pieces: Sequence[Piece]) -> Place:
    own = [
        piece
        for piece in pieces
        if abs(piece.x0_mm - place.x0_mm) < _COLUMN_PLAY_MM
        and abs(piece.x1_mm - place.x1_mm) < _COLUMN_PLAY_MM
    ]
    if len(own) != 1:
        return place
    return replace(place, x0_mm=own[0].x0_mm, x1_mm=own[0].x1_mm + own[0].step_mm)
