"""The Challenge's train_models: from a data folder to a model folder, in the time there is.

Diagnosis and strip reader go on from the weights that come with the package: the one on signals and
labels, the other on strips of the folder's pictures and of pages drawn from its signals. Whatever
goes wrong with one of them is logged and leaves the other, and the packaged parts, in place.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinc_ecg.challenge.model_folder import CARD, STRIP_FOLDER, classical_card
from cinc_ecg.errors import CincEcgError, ConfigError
from cinc_ecg.io.atomic import make_folder, write_text

if TYPE_CHECKING:
    from cinc_ecg.data.recordings import Recording

_LOG = logging.getLogger(__name__)
#: Seconds, or a number with s, m or h: how long training may take.
BUDGET_VARIABLE = "CINC_ECG_TRAIN_BUDGET"
DX_FOLDER = "dx"
#: Weights that come with the package.
PACKAGED = Path(__file__).resolve().parents[1] / "weights"
_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Seconds per record and at most, without and with a GPU.
_CPU_S, _CPU_MOST_S = 0.5, 300.0
_GPU_S, _GPU_MOST_S = 4.0, 6 * 3600.0
_LEAST_S = 4.0
#: The strip reader gets what is left when that is at least so long.
_STRIPS_LEAST_S = 10.0
#: Share of the budget for the diagnosis, and for digitizing records that have pictures only.
_DX_SHARE, _READ_SHARE = 0.5, 0.2


def train_models(data_folder: str, model_folder: str, verbose: bool) -> None:
    """Train on a Challenge folder and write a model folder that `load_models` reads.

    Survives missing signals, pictures, labels and demographics, damaged files, renamed and removed
    labels; says what it left out.

    Raises:
        RecordError: the folder holds no records (no_records).
        ConfigError: the time budget cannot be read (config).
        OutputError: the model folder cannot be written.
    """
    from cinc_ecg.data.recordings import fingerprint, read_folder
    from cinc_ecg.training import dx_tune, fine_tune  # noqa: F401 - seconds of imports do not count

    begin = time.monotonic()
    recordings, notes = read_folder(Path(data_folder))
    budget_s = training_budget_s(len(recordings))
    folder = make_folder(Path(model_folder))
    left_out = Counter(note.code for note in notes)
    _report(verbose, "%d records, %.0f s to train", len(recordings), budget_s)
    for note in notes:
        _LOG.info("[%s] %s", note.code, note.text)
    facts: dict[str, Any] = {
        "n_records": len(recordings),
        "n_signals": sum(recording.has_signal for recording in recordings),
        "n_labelled": sum(bool(recording.labels) for recording in recordings),
        "fingerprint": fingerprint(recordings),
        "left_out": dict(left_out),
        "budget_s": round(budget_s, 1),
    }
    usable = with_signals(recordings, budget_s * _READ_SHARE)
    dx = _guarded("diagnosis", lambda: _train_dx(usable, folder, begin + budget_s * _DX_SHARE))
    left_s = begin + budget_s - time.monotonic()
    strips = None
    if left_s >= _STRIPS_LEAST_S or dx is None:
        strips = _guarded("strip reader", lambda: _tune_strips(recordings, folder, left_s))
    else:
        _LOG.info("[time] %.0f s are too little to fine-tune the strip reader", left_s)
    card = classical_card(n_training_records=len(recordings)) | {
        "page_reader": "learned",
        "strip_reader": STRIP_FOLDER if strips else "learned",
        "classifier": DX_FOLDER if dx else None,
        "summary": "Learned readers of pages and strips, diagnosis from the digitized signal.",
    }
    card["task"] = "digitization+diagnosis" if dx else "digitization"
    fitted = bool(dx or (strips and strips["kept"]))
    card["training"] = {**facts, "fitted": fitted, "diagnosis": dx, "strip_reader": strips}
    for name, trained in ((DX_FOLDER, dx), (STRIP_FOLDER, strips)):
        if not trained:  # left by an earlier training: not of these data
            shutil.rmtree(folder / name, ignore_errors=True)
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")
    _report(verbose, "%s written after %.0f s", folder, time.monotonic() - begin)


def training_budget_s(n_records: int) -> float:
    """Return the seconds to train: the environment's, or a default that grows with the data.

    Raises:
        ConfigError: the variable holds no duration.
    """
    text = os.environ.get(BUDGET_VARIABLE, "").strip()
    if text:
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
        if parts is None:
            raise ConfigError(f"{BUDGET_VARIABLE}={text!r} is no duration; write 90s, 20m or 12h")
        return float(parts[1]) * _UNIT_S[parts[2]]
    from cinc_ecg.training.device import has_gpu

    per_record, most = (_GPU_S, _GPU_MOST_S) if has_gpu() else (_CPU_S, _CPU_MOST_S)
    return min(max(per_record * n_records, _LEAST_S), most)


def with_signals(recordings: Sequence[Recording], budget_s: float) -> list[Recording]:
    """Digitize labelled records that have pictures but no samples, while there is time.

    Returns:
        The records with a signal, given or digitized.
    """
    end = time.monotonic() + budget_s
    ready = [recording for recording in recordings if recording.has_signal]
    waiting = [r for r in recordings if not r.has_signal and r.images and r.labels]
    for number, recording in enumerate(waiting):
        if time.monotonic() >= end:
            _LOG.warning("[time] %d records were not digitized", len(waiting) - number)
            break
        signal = _digitized(recording)
        if signal is not None:
            ready.append(replace(recording, has_signal=True, signal=signal))
    return ready


def _digitized(recording: Recording) -> Any:
    from cinc_ecg.digitization.pipeline import DigitizeConfig
    from cinc_ecg.digitization.vector_digitize import digitize_source
    from cinc_ecg.io.images import read_image

    fs_hz = recording.header.fs_hz if recording.header else 500.0
    for path in recording.images:
        try:
            result = digitize_source(read_image(path), config=DigitizeConfig(fs_hz=fs_hz))
            return result.signal
        except CincEcgError as error:
            _LOG.warning("[%s] %s", error.reason_code, error)
        except Exception:  # noqa: BLE001 - the Challenge border: logged, never raised
            _LOG.exception("[internal] %s: unexpected error; this picture is left out", path)
    return None


def _train_dx(recordings: Sequence[Recording], folder: Path, end: float) -> dict[str, Any]:
    """Train the diagnosis and return what the card says of it."""
    from cinc_ecg.models.dx import load_dx, save_dx
    from cinc_ecg.training.dx_tune import tune_dx

    packaged = PACKAGED / DX_FOLDER
    start = load_dx(packaged) if (packaged / CARD).is_file() else None
    labelled = [recording for recording in recordings if recording.labels]
    model = tune_dx(start, labelled, budget_s=end - time.monotonic())
    card = save_dx(folder / DX_FOLDER, model)
    return {
        "n_records": card.training["n_records"],
        "steps": card.training["steps"],
        "reported": list(model.reported),
    }


def _tune_strips(recordings: Sequence[Recording], folder: Path, budget_s: float) -> dict[str, Any]:
    """Fine-tune the packaged strip reader and return what the card says of it."""
    from cinc_ecg.training.device import has_gpu
    from cinc_ecg.training.fine_tune import FineTuneConfig, fine_tune

    config = FineTuneConfig(budget_s=max(budget_s, 1.0))
    shutil.rmtree(folder / STRIP_FOLDER, ignore_errors=True)
    result = fine_tune(
        PACKAGED / STRIP_FOLDER,
        recordings,
        folder / STRIP_FOLDER,
        config,
        device="cuda" if has_gpu() else "cpu",
    )
    return {
        "steps": result.steps,
        "kept": result.kept,
        "decision": result.decision,
        "pages": result.counts,
    }


def _guarded(what: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Do one part of the training; whatever stops it is logged, and the part is left out."""
    try:
        return work()
    except CincEcgError as error:
        _LOG.warning("[%s] %s is not trained: %s", error.reason_code, what, error)
    except Exception:  # noqa: BLE001 - the Challenge border: logged, the other parts go on
        _LOG.exception("[internal] %s is not trained: unexpected error", what)
    return None


def _report(verbose: bool, text: str, *values: object) -> None:
    _LOG.log(logging.INFO if verbose else logging.DEBUG, text, *values)
