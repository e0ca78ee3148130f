"""What the Challenge's drivers call: train_models, load_models, run_models.

`run_models` never raises: the drivers stop a whole run at the first exception, so a page that
cannot be read becomes an empty signal and a logged reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinc_ecg._version import __version__
from cinc_ecg.challenge.guard import guard
from cinc_ecg.digitization.pipeline import DigitizeConfig, merge
from cinc_ecg.digitization.vector_digitize import digitize_source
from cinc_ecg.errors import CardError, CincEcgError, RecordError
from cinc_ecg.io.atomic import make_folder, write_text
from cinc_ecg.io.images import read_pages
from cinc_ecg.io.records import find_records, read_header
from cinc_ecg.types import Digitization, EcgImage, LeadStatus, RecordHeader, Signal

_LOG = logging.getLogger(__name__)
CARD = "card.json"
CARD_SCHEMA = "cinc_ecg/model"
CARD_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class DigitizationModel:
    """What reads a page: the readers a model folder names.

    Attributes:
        page_reader, strip_reader: "classical"; learned readers are named by their card.
        digitize: The function that turns a picture of a record into a result.
    """

    page_reader: str
    strip_reader: str
    digitize: Callable[[EcgImage, RecordHeader], Digitization]


def train_models(data_folder: str, model_folder: str, verbose: bool) -> None:
    """Write a model folder for the data.

    The classical readers have nothing to fit; the card says so and what data were seen.

    Raises:
        RecordError: the folder holds no records (no_records).
    """
    records = find_records(Path(data_folder))
    if not records:
        raise RecordError(f"{data_folder}: no records to train on", code="no_records")
    folder = make_folder(Path(model_folder))
    card = classical_card(n_training_records=len(records))
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")
    _report(verbose, "%s: classical readers, nothing to fit; %s records seen", folder, len(records))


def classical_card(*, n_training_records: int = 0) -> dict[str, object]:
    """Describe a model that consists of the classical readers alone."""
    return {
        "schema": CARD_SCHEMA,
        "schema_version": CARD_SCHEMA_VERSION,
        "cinc_ecg_version": __version__,
        "task": "digitization",
        "page_reader": "classical",
        "strip_reader": "classical",
        "classifier": None,
        "files": {},
        "training": {"n_records": n_training_records, "fitted": False},
        "summary": "Geometry and classical extraction; no trained weights.",
    }


def load_models(model_folder: str, verbose: bool) -> tuple[DigitizationModel, None]:
    """Load the digitization model; there is no classification model yet.

    A folder without a card, or with one of another schema, gives the classical readers and a
    warning: the drivers allow no failure here.
    """
    card = _read_card(Path(model_folder))
    model = DigitizationModel(
        str(card["page_reader"]), str(card["strip_reader"]), _digitize_classically
    )
    _report(verbose, "page reader %s, strip reader %s", model.page_reader, model.strip_reader)
    return model, None


def _read_card(folder: Path) -> dict[str, object]:
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA:
            raise CardError(f"is no card of schema {CARD_SCHEMA}")
        readers = card.get("page_reader"), card.get("strip_reader")
        if readers != ("classical", "classical"):
            raise CardError(f"names readers {readers} that this version does not have")
        return card
    except (OSError, ValueError, CardError) as error:
        _LOG.warning("%s: %s; using the classical readers", path, error)
        return classical_card()


def _digitize_classically(image: EcgImage, header: RecordHeader) -> Digitization:
    duration_s = header.n_samples / header.fs_hz or None
    return digitize_source(image, config=DigitizeConfig(fs_hz=header.fs_hz, duration_s=duration_s))


def run_models(
    record: str,
    digitization_model: DigitizationModel | None,
    classification_model: None,
    verbose: bool,
) -> tuple[NDArray[np.float32] | None, list[str] | None]:
    """Digitize the pictures of one record.

    Args:
        record: Path of the record without extension.
        digitization_model: From `load_models`; None gives no signal.
        classification_model: Not used yet.
        verbose: Log what happens per picture.

    Returns:
        (n_samples, n_leads) mV in the header's rate, length and lead order, NaN where nothing is
        printed, and None for the labels. The signal is None only without a readable header or
        without a model.
    """
    if digitization_model is None:
        return None, None
    try:
        header = read_header(Path(record))
    except CincEcgError as error:
        _LOG.warning("[%s] %s", error.reason_code, error)
        return None, None
    try:
        results = list(_digitize_record(Path(record), header, digitization_model, verbose))
        return _deliver(results, header), None
    except Exception:  # noqa: BLE001 - the Challenge border: logged, never raised
        _LOG.exception("[internal] %s: unexpected error; the signal is left empty", record)
        return np.full((header.n_samples, len(header.leads)), np.nan, np.float32), None


def _digitize_record(
    record: Path, header: RecordHeader, model: DigitizationModel, verbose: bool
) -> Iterator[Digitization]:
    """Yield a result per readable page of the record's pictures; log the reason for the others."""
    if not header.images:
        _LOG.warning("[no_images] %s: the header names no pictures", record)
    for name in header.images:
        path = record.parent / name
        try:
            for image in read_pages(path):
                result = _digitize_page(image, header, model)
                if result is not None:
                    text = "%s page %s: %s"
                    _report(verbose, text, path, image.page + 1, result.layout.name)
                    yield result
        except CincEcgError as error:
            _LOG.warning("[%s] %s", error.reason_code, error)


def _digitize_page(
    image: EcgImage, header: RecordHeader, model: DigitizationModel
) -> Digitization | None:
    where = f"{image.source} page {image.page + 1}"
    try:
        return model.digitize(image, header)
    except CincEcgError as error:
        _LOG.warning("[%s] %s: %s", error.reason_code, where, error)
    except Exception:  # noqa: BLE001 - the Challenge border: logged, never raised
        _LOG.exception("[internal] %s: unexpected error; this picture is left out", where)
    return None


def _deliver(results: Sequence[Digitization], header: RecordHeader) -> NDArray[np.float32]:
    """Merge the pictures of a record, the best lead winning, and fit the result to the header."""
    if not results:
        empty = Signal(np.empty((0, 0), np.float32), header.fs_hz, ())
        return guard(empty, header)
    signal = results[0].signal if len(results) == 1 else merge(results)
    return guard(signal, header, _best_statuses(results))


def _best_statuses(results: Sequence[Digitization]) -> list[LeadStatus]:
    """Return per lead the status of its best picture."""
    best: dict[str, LeadStatus] = {}
    for status in (status for result in results for status in result.leads):
        held = best.get(status.lead)
        if held is None or _merit(status) > _merit(held):
            best[status.lead] = status
    return list(best.values())


def _merit(status: LeadStatus) -> tuple[bool, float, float]:
    predicted = status.predicted_snr_db
    return (
        status.status != "missing",
        predicted if predicted is not None else 0.0,
        status.coverage * status.duration_s,
    )


def _report(verbose: bool, text: str, *values: object) -> None:
    _LOG.log(logging.INFO if verbose else logging.DEBUG, text, *values)
