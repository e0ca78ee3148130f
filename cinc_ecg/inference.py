"""From pictures to signals and diagnoses with a model folder or the packaged model.

For research; not a medical device.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from cinc_ecg.digitization.pipeline import DigitizeConfig, Observe
from cinc_ecg.digitization.vector_digitize import digitize_source
from cinc_ecg.errors import CardError, CincEcgError
from cinc_ecg.io.images import read_pages
from cinc_ecg.models.card import CARD_FILE
from cinc_ecg.models.dx import DxModel, load_dx
from cinc_ecg.models.readers import load_strip_reader, named_page_reader, named_strip_reader
from cinc_ecg.types import (
    Diagnosis,
    Digitization,
    EcgImage,
    Note,
    PageReader,
    Prediction,
    Signal,
    StripReader,
)

_LOG = logging.getLogger(__name__)
#: Sub-folder of the package's weights, and of a trained model, that holds the diagnosis model.
DX_FOLDER = "dx"
#: Sub-folder of a trained model that holds a fine-tuned strip reader; its name in the card.
STRIP_FOLDER = "strips"
#: What a Challenge card writes for the model that comes with the package.
PACKAGED = f"packaged:{DX_FOLDER}"
Digitize = Callable[[EcgImage], Digitization]


def digitize(
    image: EcgImage,
    *,
    page_reader: PageReader | str = "learned",
    strip_reader: StripReader | str = "learned",
    config: DigitizeConfig | None = None,
    observe: Observe | None = None,
) -> Digitization:
    """Read the calibrated signals off one page, as `cinc-ecg digitize` does.

    Args:
        image: As `cinc_ecg.read_image` gives it; of a vector PDF the drawn lines are read.
        page_reader: A reader, or a name as of `strip_reader`.
        strip_reader: A reader, "learned" (the packaged weights), "classical", or the folder of a
            model that `cinc-ecg train digitizer` wrote.
        config: What is known beforehand.
        observe: Called with (stage, value) after each stage of a page that is read from pixels.

    Raises:
        DigitizationError: A subclass with a reason code, when no trustworthy signal can be given.
        CardError: Weights are missing or damaged; names the file.
    """
    pages = named_page_reader(page_reader) if isinstance(page_reader, str) else page_reader
    reader = named_strip_reader(strip_reader) if isinstance(strip_reader, str) else strip_reader
    return digitize_source(
        image,
        page_reader=pages,
        strip_reader=reader,
        config=config,
        observe=observe,
    )


def packaged_dx() -> Path:
    """Return the folder of the diagnosis model that comes with the package."""
    return Path(str(resources.files("cinc_ecg"))) / "weights" / DX_FOLDER


def dx_folder(folder: Path | None) -> Path:
    """Return where a model folder keeps its diagnosis model.

    Args:
        folder: None = the packaged model; a folder written by `cinc-ecg train dx`; or a Challenge
            model folder, whose card names its classifier.

    Raises:
        CardError: the folder has no readable card, or names a folder outside itself (card).
    """
    if folder is None:
        return packaged_dx()
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(
            f"{path}: cannot be read ({error.strerror}); is this a model folder?"
        ) from error
    except ValueError as error:
        raise CardError(f"{path}: is no JSON ({error}); copy the model folder again") from error
    if not isinstance(card, dict):
        raise CardError(f"{path}: is no card; copy the model folder again")
    return folder if "members" in card else classifier_folder(folder, card.get("classifier"))


def classifier_folder(folder: Path, name: object) -> Path:
    """Return the folder that a Challenge card's "classifier" means.

    Args:
        folder: The model folder.
        name: A sub-folder's name; None or "packaged:dx" = the packaged model.

    Raises:
        CardError: it is no name (card).
    """
    if name is None or name == PACKAGED:
        return packaged_dx()
    if not isinstance(name, str) or Path(name).name != name:
        raise CardError(f"{folder / CARD_FILE}: classifier {name!r} is no sub-folder's name")
    return folder / name


def likeliest(diagnosis: Diagnosis) -> str | None:
    """Return the class that is nearest to its threshold, or furthest above it."""
    ratios = {
        name: diagnosis.probabilities[name] / max(threshold, 1e-9)
        for name, threshold in diagnosis.thresholds.items()
        if name in diagnosis.probabilities
    }
    return max(ratios, key=lambda name: ratios[name]) if ratios else None


@dataclass(frozen=True, slots=True)
class Predictor:
    """Reads pictures of electrocardiograms: signal, probabilities, labels.

    Attributes:
        dx: The diagnosis model.
        digitize: What turns a picture into a signal.
    """

    dx: DxModel
    digitize: Digitize

    @classmethod
    def load(
        cls, folder: Path | str | None = None, *, digitize: Digitize | None = None
    ) -> Predictor:
        """Load a model; it never needs a network.

        Args:
            folder: A model folder; None = the model that comes with the package.
            digitize: Used instead of `digitize` of this module, which gives 500 Hz and reads rows
                with the folder's own strip reader where its card names one.

        Raises:
            CardError: card or weights are missing or damaged; the message names the file.
        """
        path = None if folder is None else Path(folder)
        dx = load_dx(dx_folder(path))
        if digitize is None and path is not None and _has_strip_reader(path):
            reader = load_strip_reader(path / STRIP_FOLDER)
            return cls(dx, partial(_digitize, strip_reader=reader))
        return cls(dx, digitize or _digitize)

    def predict(self, paths: Iterable[Path | str]) -> list[Prediction]:
        """Read pictures; one that cannot be read becomes a prediction with a failure.

        Args:
            paths: Pictures or PDF files; each of their pages is one prediction.
        """
        return [prediction for path in paths for prediction in self.predict_file(path)]

    def predict_file(self, path: Path | str) -> Iterator[Prediction]:
        """Yield one prediction per page of a file."""
        page = 0
        try:
            for image in read_pages(Path(path)):
                page = image.page
                yield self.predict_image(image, str(path))
                page += 1
        except CincEcgError as error:
            note = Note(error.reason_code, "error", f"{path} page {page + 1}", str(error))
            yield Prediction(str(path), page, None, None, self.name, note)

    def predict_image(self, image: EcgImage, record: str = "") -> Prediction:
        """Digitize and diagnose one page; a refusal becomes the prediction's failure."""
        record = record or str(image.source)
        where = f"{record} page {image.page + 1}"
        try:
            digitization = self.digitize(image)
        except CincEcgError as error:
            note = Note(error.reason_code, "error", where, str(error))
            return Prediction(record, image.page, None, None, self.name, note)
        diagnosis = self.diagnose(digitization.signal)
        empty = Note("no_signal", "error", where, f"{where}: no lead shows anything")
        return Prediction(
            record,
            image.page,
            digitization,
            diagnosis,
            self.name,
            None if diagnosis is not None else empty,
        )

    def diagnose(self, signal: Signal) -> Diagnosis | None:
        """Return the probabilities for a signal, or None when it shows nothing."""
        return self.dx.diagnose(signal)

    @property
    def name(self) -> str:
        """What the card says the model is."""
        return self.dx.card.summary


def _has_strip_reader(folder: Path) -> bool:
    """Tell whether a folder's card, which could be read before, names a strip reader of its own."""
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    return bool(card.get("strip_reader") == STRIP_FOLDER)


def _digitize(image: EcgImage, *, strip_reader: StripReader | str = "learned") -> Digitization:
    return digitize(image, strip_reader=strip_reader)
