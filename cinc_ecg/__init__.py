"""Calibrated signals and diagnostic labels from pictures of 12-lead electrocardiograms."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cinc_ecg._version import __version__

if TYPE_CHECKING:
    from cinc_ecg.digitization.pipeline import merge as merge
    from cinc_ecg.inference import Predictor as Predictor
    from cinc_ecg.inference import digitize as digitize
    from cinc_ecg.io.images import read_image as read_image
    from cinc_ecg.metrics.official import score_lead as score_lead
    from cinc_ecg.types import Diagnosis as Diagnosis
    from cinc_ecg.types import Digitization as Digitization
    from cinc_ecg.types import EcgImage as EcgImage
    from cinc_ecg.types import Prediction as Prediction
    from cinc_ecg.types import Signal as Signal

#: Public name -> module that defines it; imported on first use so that `import cinc_ecg` stays
#: light (PEP 562).
_LAZY = {
    "Diagnosis": "cinc_ecg.types",
    "Digitization": "cinc_ecg.types",
    "EcgImage": "cinc_ecg.types",
    "Prediction": "cinc_ecg.types",
    "Predictor": "cinc_ecg.inference",
    "Signal": "cinc_ecg.types",
    "digitize": "cinc_ecg.inference",
    "merge": "cinc_ecg.digitization.pipeline",
    "read_image": "cinc_ecg.io.images",
    "score_lead": "cinc_ecg.metrics.official",
}

__all__ = ["__version__", *sorted(_LAZY)]  # noqa: PLE0604 - all strings


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'cinc_ecg' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
