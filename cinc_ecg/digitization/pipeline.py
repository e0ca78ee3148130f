"""Digitize one page: the stages in order, and the merging of several pictures of one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cinc_ecg.digitization.arrange import (
    alternatives,
    arrangement_notes,
    confidence_against,
    least_contradicted,
    read_leads,
)
from cinc_ecg.digitization.assemble import lead_statuses, limb_residual_mv, quality_of
from cinc_ecg.digitization.calibrate import calibrate
from cinc_ecg.digitization.density import even_light, paper_background
from cinc_ecg.digitization.fading import even_contrast
from cinc_ecg.digitization.frame import Frame, frame_of, snap_width
from cinc_ecg.digitization.gridless import scale_without_grid
from cinc_ecg.digitization.layout import NAMED, Hypothesis, hypotheses, named_rows, posterior
from cinc_ecg.digitization.orient import UprightPage, stand_upright
from cinc_ecg.digitization.pulse_edges import refine_sides
from cinc_ecg.digitization.quality import quality_notes, with_expected_snr
from cinc_ecg.digitization.read_page import ClassicalPageReader, light_paper
from cinc_ecg.digitization.read_strips import ClassicalStripReader
from cinc_ecg.digitization.seen import joined_names
from cinc_ecg.digitization.strip_cut import cut_strips
from cinc_ecg.digitization.threads import beside
from cinc_ecg.errors import GridNotFound, LayoutNotFound, NotAnEcg
from cinc_ecg.leads import LEADS, canonical_lead
from cinc_ecg.types import (
    Digitization,
    EcgImage,
    Layout,
    Note,
    Orientation,
    PageEvidence,
    PageReader,
    Signal,
    StripReader,
)

Observe = Callable[[str, object], None]

#: Lengths of a row that devices print, in seconds; the frame snaps to one of them when it is close.
_USUAL_SECONDS = (2.5, 3.0, 5.0, 6.0, 10.0, 12.0)
#: Sure lead names that a page without any scale must show to count as an ECG.
_NAMES_WITHOUT_SCALE = 4
#: A page's only name must be read this surely: digits and words pass for a doubtful one.
_SURE_NAME = 0.9


@dataclass(frozen=True, slots=True)
class DigitizeConfig:
    """What the user knows or wants.

    Attributes:
        fs_hz: Sampling rate of the result.
        duration_s: Length of the record where a header tells it; checks the paper speed.
        layout: Name of the layout, instead of finding one.
        leads: Names of the rows' leads from top to bottom (one per row), for layouts not in the
            table.
        mm_per_s, mm_per_mv: Paper speed and gain, instead of reading them.
        min_confidence: Posterior below which the layout is reported as uncertain.
        reconcile: Whether leads of the same seconds that agree within their errors are combined.
    """

    fs_hz: float = 500.0
    duration_s: float | None = None
    layout: str | None = None
    leads: tuple[str, ...] | None = None
    mm_per_s: float | None = None
    mm_per_mv: float | None = None
    min_confidence: float = 0.7
    reconcile: bool = True


def digitize(
    image: EcgImage,
    *,
    page_reader: PageReader | None = None,
    strip_reader: StripReader | None = None,
    config: DigitizeConfig = DigitizeConfig(),
    observe: Observe | None = None,
) -> Digitization:
    """Read the calibrated signals off one page.

    Args:
        image: The picture.
        page_reader, strip_reader: Readers of evidence and traces; the classical ones by default.
        config: What is known beforehand.
        observe: Called with (stage, value) after each stage, for debugging pictures.

    Returns:
        Signals in mV with their layout, calibration, statuses and notes.

    Raises:
        DigitizationError: A subclass with a reason code, when no trustworthy signal can be given.
    """
    tell = observe or (lambda stage, value: None)
    pixels, evidence, gridless = read_levelled(image, page_reader or ClassicalPageReader())
    tell("evidence", evidence)
    assert evidence.lattice is not None
    even = beside(lambda: even_light(pixels, paper_background(pixels)))
    page = stand_upright(pixels, evidence, evidence.lattice, settled=bool(gridless))
    sides = refine_sides(pixels, page.geometry, page.marks.pulses)
    page = replace(page, marks=replace(page.marks, pulses=sides))
    page = with_seen_rows(page, config)
    tell("page", page)
    frame = frame_of(page.rows, page.marks.pulses)
    require_ecg(page, frame, image.source, uncalibrated=not page.geometry.calibrated)
    if evidence.names and page.orientation == (evidence.orientation or Orientation()):
        names = joined_names(page.marks.names, evidence.names)
        page = replace(page, marks=replace(page.marks, names=names))
    calibration, notes = calibrate(
        frame,
        page.marks.pulses,
        page.marks.text,
        n_columns=1,
        duration_s=config.duration_s,
        mm_per_s=config.mm_per_s,
        mm_per_mv=config.mm_per_mv,
    )
    notes = [*gridless, *notes]
    seconds = (config.duration_s, *_USUAL_SECONDS) if config.duration_s else _USUAL_SECONDS
    frame = snap_width(frame, [s * calibration.mm_per_s for s in seconds], page.marks.separators)
    tell("frame", frame)
    strips = cut_strips(even(), page.geometry, frame)
    traces = (strip_reader or ClassicalStripReader()).read(strips)
    tell("traces", traces)
    candidates, confidence, runner_up = choose_layout(frame, page, config)
    if confidence < config.min_confidence:
        notes.append(
            Note(
                "layout_uncertain",
                "warning",
                "page",
                f"layout {candidates[0].name} has confidence {confidence:.2f}",
            )
        )
    reading = least_contradicted(
        candidates,
        lambda hypothesis: read_leads(
            hypothesis, frame, traces, page.marks.pulses, calibration, config.fs_hz
        ),
    )
    chosen, panels, cut = reading.hypothesis, reading.panels, reading.traces
    tell("layout", chosen)
    if chosen is not candidates[0]:
        runner_up = candidates[0].name
        confidence = confidence_against(chosen, candidates[0])
    notes += arrangement_notes(reading, candidates[0])
    signal = reading.signal if config.reconcile else reading.as_read
    remarks = reading.remarks
    notes += remarks
    if gridless and remarks:
        raise GridNotFound(
            f"{image.source}: no grid was found, and the leads read with the pulses alone "
            "contradict each other; give a flatter or sharper picture"
        )
    residual = limb_residual_mv(reading.as_read)
    statuses = with_expected_snr(lead_statuses(panels, cut, signal), signal, residual)
    if all(status.status == "missing" for status in statuses):
        raise NotAnEcg(
            f"{image.source}: no lead could be read from the {len(frame.rows)} rows taken for "
            "traces; an ECG page shows at least one"
        )
    notes += quality_notes(statuses, named=config.leads is not None)
    layout = Layout(
        chosen.name,
        tuple(panels),
        chosen.cabrera,
        reading.simultaneous,
        confidence,
        runner_up,
    )
    quality = quality_of(reading.as_read, statuses, float(np.mean(page.geometry.px_per_mm)))
    return Digitization(
        signal, layout, page.geometry, calibration, tuple(cut), statuses, quality, tuple(notes)
    )


def read_levelled(
    image: EcgImage, page_reader: PageReader
) -> tuple[np.ndarray, PageEvidence, list[Note]]:
    """Read the page, once more with its contrast levelled if it has faded unevenly.

    Returns:
        (H, W, 3) the picture to read on, dark ink on light paper; the evidence; notes, which are
        there only where no grid was found.

    Raises:
        GridNotFound: Neither a grid nor rows with pulses.
    """
    pixels = light_paper(image.pixels)
    evidence, gridless = read_evidence(image, pixels, page_reader)
    if gridless or evidence.lattice is None:
        return pixels, evidence, gridless
    levelled = even_contrast(pixels, evidence.lattice, evidence.grid_mask)
    if levelled is pixels:
        return pixels, evidence, gridless
    # What was too faint to be seen as grid the first time is levelled the second time.
    evidence, gridless = read_evidence(replace(image, pixels=levelled), levelled, page_reader)
    if not gridless and evidence.lattice is not None:
        levelled = even_contrast(levelled, evidence.lattice, evidence.grid_mask)
    return levelled, evidence, gridless


def read_evidence(
    image: EcgImage, pixels: np.ndarray, page_reader: PageReader
) -> tuple[PageEvidence, list[Note]]:
    """Read the page, falling back on pulses for its scale where there is no grid.

    Raises:
        GridNotFound: Neither a grid nor rows with pulses.
    """
    try:
        evidence = page_reader.read(image)
        if evidence.lattice is not None:
            return evidence, []
        reason = GridNotFound("the page has no readable grid")
    except GridNotFound as error:
        reason = error
    found = scale_without_grid(pixels)
    if found is None:
        where = f"{image.source}, page {image.page + 1}" if image.page else image.source
        raise GridNotFound(f"{where or 'picture'}: {reason}") from reason
    return PageEvidence(orientation=Orientation(), lattice=found.geometry), [found.note]


def with_seen_rows(page: UprightPage, config: DigitizeConfig) -> UprightPage:
    """Take over the rows that only the page reader sees and a known layout has a lead for.

    A line of text or a map's contour seen as a row makes an unheard-of arrangement, or a doubtful
    one, or stands where no layout prints a lead; a row that the ink hides completes a usual one.
    """
    new = [row for row in page.doubted_rows if row not in page.rows]
    if not new:
        return page
    fuller = replace(page, rows=page.doubted_rows)
    try:
        frame = frame_of(fuller.rows, page.marks.pulses)
        (first, *_), confidence, _ = choose_layout(frame, fuller, config)
    except LayoutNotFound:
        return page
    if first.name.endswith(NAMED) or confidence < config.min_confidence:
        return page
    levels = [frame.rows[place.row].baseline_mm for place in first.places]
    kept = [row for row in new if row.baseline_mm in levels]
    return replace(page, rows=tuple(sorted((*page.rows, *kept), key=lambda r: r.baseline_mm)))


def require_ecg(
    page: UprightPage, frame: Frame, source: str, *, uncalibrated: bool = False
) -> None:
    """Refuse pictures that are no electrocardiogram.

    At the least two trace rows and a lead name or a pulse must be there; without any scale, several
    names.

    Raises:
        NotAnEcg: The criterion is not met.
    """
    names = [n for n in page.marks.names if n.score > 0.6 and n.lead not in ("I", "II", "III")]
    pulses = [p for p in page.marks.pulses if 4.0 < p.height_mm < 22.0]
    sure = len({n.lead for n in names}) > 1 or any(n.score > _SURE_NAME for n in names)
    enough = len(names) >= _NAMES_WITHOUT_SCALE if uncalibrated else bool(sure or pulses)
    if len(frame.rows) < 2 or not enough:
        raise NotAnEcg(
            f"{source}: {len(frame.rows)} trace rows, {len(names)} lead names and {len(pulses)} "
            "calibration pulses were found; an ECG page needs two rows and a name or a pulse"
        )


def choose_layout(
    frame: Frame, page: UprightPage, config: DigitizeConfig
) -> tuple[list[Hypothesis], float, str | None]:
    """Rank the arrangements; the user's own names win over everything on the page.

    Returns:
        The likeliest arrangement and those of the same structure that the names do not rule out,
        best first; the confidence in the first; the name of the runner-up.
    """
    if config.leads is not None:
        return [_from_user(frame, config.leads)], 1.0, None
    found = hypotheses(frame, page.marks.names, page.marks.separators, wanted=config.layout)
    probabilities = posterior(found)
    same = [h.places == found[0].places for h in found]
    runner_up = next((h.name for h, equal in zip(found, same, strict=True) if not equal), None)
    return alternatives(found), float(probabilities[np.array(same)].sum()), runner_up


def _from_user(frame: Frame, leads: Sequence[str]) -> Hypothesis:
    names = [canonical_lead(name) for name in leads]
    unknown = [given for given, name in zip(leads, names, strict=True) if name is None]
    if unknown:
        raise LayoutNotFound(
            f"--leads: {', '.join(unknown)} is no lead name; use {', '.join(LEADS)}"
        )
    return named_rows(frame, [name for name in names if name is not None])


def merge(digitizations: Sequence[Digitization]) -> Signal:
    """Combine several pictures or pages of one record: per lead the one that should be best.

    Raises:
        ValueError: No digitizations, or of different sampling rates.
    """
    if not digitizations or len({d.signal.fs_hz for d in digitizations}) != 1:
        raise ValueError("merge needs digitizations of one sampling rate")
    n = max(len(d.signal.samples_mv) for d in digitizations)
    best: dict[str, tuple[float, Digitization]] = {}
    for digitization in digitizations:
        for status in digitization.leads:
            if status.status == "missing":
                continue
            merit = (status.predicted_snr_db or 0.0) + 20.0 * status.coverage
            merit += 10.0 * float(np.log10(max(status.duration_s, 0.1)))
            if status.lead not in best or merit > best[status.lead][0]:
                best[status.lead] = (merit, digitization)
    leads = tuple(lead for lead in LEADS if lead in best) + tuple(sorted(set(best) - set(LEADS)))
    samples = np.full((n, len(leads)), np.nan, np.float32)
    sigma = np.full((n, len(leads)), np.nan, np.float32)
    for column, lead in enumerate(leads):
        signal = best[lead][1].signal
        source = signal.leads.index(lead)
        samples[: len(signal.samples_mv), column] = signal.samples_mv[:, source]
        if signal.sigma_mv is not None:
            sigma[: len(signal.sigma_mv), column] = signal.sigma_mv[:, source]
    return replace(digitizations[0].signal, samples_mv=samples, leads=leads, sigma_mv=sigma)
