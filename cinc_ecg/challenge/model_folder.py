"""The card of the Challenge's model folder: which readers and which classifier it holds."""

from __future__ import annotations

from cinc_ecg._version import __version__

CARD = "card.json"
CARD_SCHEMA = "cinc_ecg/model"
CARD_SCHEMA_VERSION = 1
#: Sub-folder of a model folder that holds a fine-tuned strip reader; its name as a strip reader.
STRIP_FOLDER = "strips"


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
