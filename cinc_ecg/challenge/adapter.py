"""What the Challenge's drivers call: train_models, load_models, run_models.

`run_models` never raises: the drivers stop a whole run at the first exception, so a page that
cannot be read becomes an empty signal and a logged reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.challenge.guard import guard
from cinc_ecg.challenge.model_folder import CARD, CARD_SCHEMA, STRIP_FOLDER, classical_card
from cinc_ecg.challenge.train import train_models
from cinc_ecg.digitization.pipeline import DigitizeConfig, merge
from cinc_ecg.digitization.vector_digitize import digitize_source
from cinc_ecg.errors import CardError, CincEcgError
from cinc_ecg.io.images import read_pages
from cinc_ecg.io.records import read_header
from cinc_ecg.types import (
    Digitization,
    EcgImage,
    LeadStatus,
    PageReader,
    RecordHeader,
    Signal,
    StripReader,
)

if TYPE_CHECKING:
    from cinc_ecg.models.dx import DxModel

__all__ = ["DigitizationModel", "load_models", "run_models", "train_models"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DigitizationModel:
    """What reads a page: the readers a model folder names.

    Attributes:
        page_reader, strip_reader: "classical" or "learned" (packaged); a strip reader may also be
            "strips" (fine-tuned, in the model folder).
        digitize: The function that turns a picture of a record into a result.
    """

    page_reader: str
    strip_reader: str
    digitize: Callable[[EcgImage, RecordHeader], Digitization]


def load_models(model_folder: str, verbose: bool) -> tuple[DigitizationModel, DxModel | None]:
    """Load what digitizes and what diagnoses.

    A folder without a card, or with one of another schema, gives the classical readers, the
    packaged diagnosis model and a warning. A strip reader that is missing or damaged gives a
    warning and the packaged one, or the classical one. Weights of the diagnosis that are missing or
    damaged give a warning and no diagnosis model: records then get signals without labels. The
    drivers allow no failure here.
    """
    card = _read_card(Path(model_folder))
    name, reader = _load_strip_reader(Path(model_folder), str(card["strip_reader"]))
    pages, page_reader = _load_page_reader(str(card["page_reader"]))
    digitize = partial(_digitize, page_reader=page_reader, strip_reader=reader)
    model = DigitizationModel(pages, name, digitize)
    _report(verbose, "page reader %s, strip reader %s", model.page_reader, model.strip_reader)
    return model, _load_classifier(Path(model_folder), card.get("classifier"), verbose)


def _load_page_reader(name: str) -> tuple[str, PageReader | None]:
    """Return the page reader a card names, or the classical one with a warning."""
    if name == "classical":
        return name, None
    from cinc_ecg.models.readers import named_page_reader

    try:
        return name, named_page_reader(name)
    except CincEcgError as error:
        _LOG.warning("[%s] %s; using the classical page reader", error.reason_code, error)
        return "classical", None


def _load_strip_reader(folder: Path, name: str) -> tuple[str, StripReader | None]:
    """Return the strip reader a card names, or the next best one with a warning."""
    if name == "classical":
        return name, None
    from cinc_ecg.models.readers import load_strip_reader, named_strip_reader

    if name == STRIP_FOLDER:
        try:
            return name, load_strip_reader(folder / STRIP_FOLDER)
        except CincEcgError as error:
            _LOG.warning("[%s] %s; using the packaged strip reader", error.reason_code, error)
            name = "learned"
    try:
        return name, named_strip_reader(name)
    except CincEcgError as error:
        _LOG.warning("[%s] %s; using the classical strip reader", error.reason_code, error)
        return "classical", None


def _load_classifier(folder: Path, name: object, verbose: bool) -> DxModel | None:
    from cinc_ecg.inference import classifier_folder
    from cinc_ecg.models.dx import load_dx

    try:
        where = classifier_folder(folder, name)
        model = load_dx(where)
    except CincEcgError as error:
        _LOG.warning("[%s] %s; signals come without labels", error.reason_code, error)
        return None
    _report(verbose, "diagnosis from %s: %s", where, ", ".join(model.reported))
    return model


def _read_card(folder: Path) -> dict[str, object]:
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA:
            raise CardError(f"is no card of schema {CARD_SCHEMA}")
        readers = card.get("page_reader"), card.get("strip_reader")
        strips = ("classical", "learned", STRIP_FOLDER)
        if readers[0] not in ("classical", "learned") or readers[1] not in strips:
            raise CardError(f"names readers {readers} that this version does not have")
        return card
    except (OSError, ValueError, CardError) as error:
        _LOG.warning("%s: %s; using the classical readers", path, error)
        return classical_card()


def _digitize(
    image: EcgImage,
    header: RecordHeader,
    *,
    page_reader: PageReader | None = None,
    strip_reader: StripReader | None = None,
) -> Digitization:
    duration_s = header.n_samples / header.fs_hz or None
    config = DigitizeConfig(fs_hz=header.fs_hz, duration_s=duration_s)
    return digitize_source(image, page_reader=page_reader, strip_reader=strip_reader, config=config)


def run_models(
    record: str,
    digitization_model: DigitizationModel | None,
    classification_model: DxModel | None,
    verbose: bool,
) -> tuple[NDArray[np.float32] | None, list[str] | None]:
    """Digitize the pictures of one record and name its classes.

    Args:
        record: Path of the record without extension.
        digitization_model: From `load_models`; None gives no signal.
        classification_model: From `load_models`; None gives no labels.
        verbose: Log what happens per picture.

    Returns:
        (n_samples, n_leads) mV in the header's rate, length and lead order, NaN where nothing is
        printed, and the labels: at least one where anything could be read, else None. The signal
        is None only without a readable header or without a model.
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
        signals = _deliver(results, header)
    except Exception:  # noqa: BLE001 - the Challenge border: logged, never raised
        _LOG.exception("[internal] %s: unexpected error; the signal is left empty", record)
        return np.full((header.n_samples, len(header.leads)), np.nan, np.float32), None
    if classification_model is None or not results:
        return signals, None
    try:
        return signals, _labels(results, classification_model)
    except Exception:  # noqa: BLE001 - the Challenge border: logged, never raised
        _LOG.exception("[internal] %s: unexpected error; it gets no labels", record)
        return signals, None


def _labels(results: Sequence[Digitization], model: DxModel) -> list[str] | None:
    """Name the classes above their thresholds, or the one that is nearest to its own.

    A record without a label counts as missed in every class it has; one guess is better.
    """
    from cinc_ecg.inference import likeliest

    diagnosis = model.diagnose(_merged(results))
    if diagnosis is None:
        return None
    nearest = likeliest(diagnosis)
    return list(diagnosis.labels) or ([nearest] if nearest else None)


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
    return guard(_merged(results), header, _best_statuses(results))


def _merged(results: Sequence[Digitization]) -> Signal:
    return results[0].signal if len(results) == 1 else merge(results)


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
