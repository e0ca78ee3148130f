"""Errors that a user may see: each has a stable reason code and says what, where and what to do."""

from __future__ import annotations

from typing import ClassVar


class CincEcgError(Exception):
    """Base of every error the package raises on purpose.

    Args:
        message: One line: what happened, where, and what to do about it.
        code: Overrides the class's reason code with a finer one.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.reason_code = code or type(self).code


class InputError(CincEcgError):
    """A file or folder given by the user cannot be used."""

    code = "input"


class OutputError(CincEcgError):
    """A result cannot be written."""

    code = "output"


class ImageError(InputError):
    """A picture cannot be read."""

    code = "image_unreadable"


class RecordError(InputError):
    """A WFDB record or Challenge header cannot be read."""

    code = "record_unreadable"


class DigitizationError(CincEcgError):
    """A page was read but no signal can be given; the base of the stages' refusals."""

    code = "not_digitized"


class GridNotFound(DigitizationError):
    """No grid, and nothing else that gives the page a scale."""

    code = "no_grid"


class LayoutNotFound(DigitizationError):
    """No trace rows, or no arrangement of leads explains the rows."""

    code = "no_layout"


class CalibrationError(DigitizationError):
    """Paper speed or gain cannot be established."""

    code = "no_calibration"


class NotAnEcg(DigitizationError):
    """The picture shows no electrocardiogram."""

    code = "not_an_ecg"


class ScoreError(CincEcgError):
    """The scorer cannot score a record; names the record and the quirk of the official code."""

    code = "score"


class ConfigError(CincEcgError):
    """A configuration key or value is wrong."""

    code = "config"


class TrainingError(CincEcgError):
    """Training cannot start or go on."""

    code = "training"


class CardError(CincEcgError):
    """A model folder is missing, damaged or of another schema."""

    code = "card"


class PluginError(CincEcgError):
    """A plugin is broken, or a name is not registered."""

    code = "plugin"


class ContainerError(CincEcgError):
    """A container engine is missing, or an image cannot be built or run."""

    code = "container"
