"""The main functions behind `train_model.py` and `run_model.py`, flag for flag as the
organizers'."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cinc_ecg.challenge import helpers

TrainModels = Callable[[str, str, bool], None]
LoadModels = Callable[[str, bool], tuple[Any, Any]]
RunModels = Callable[[str, Any, Any, bool], tuple[Any, Any]]


def train_main(train_models: TrainModels, arguments: Sequence[str] | None = None) -> None:
    """Train on a data folder: -d DATA -m MODEL [-v]."""
    parser = argparse.ArgumentParser(description="Train the Challenge models.")
    parser.add_argument("-d", "--data_folder", required=True, help="folder with training data")
    parser.add_argument("-m", "--model_folder", required=True, help="folder for the model")
    parser.add_argument("-v", "--verbose", action="store_true")
    chosen = parser.parse_args(arguments)
    _show_log(chosen.verbose)
    train_models(chosen.data_folder, chosen.model_folder, chosen.verbose)


def run_main(
    load_models: LoadModels, run_models: RunModels, arguments: Sequence[str] | None = None
) -> None:
    """Run the models on a data folder: -d DATA -m MODEL -o OUTPUT [-v] [-f]."""
    parser = argparse.ArgumentParser(description="Run the trained Challenge models.")
    parser.add_argument("-d", "--data_folder", required=True, help="folder with the data")
    parser.add_argument("-m", "--model_folder", required=True, help="folder with the model")
    parser.add_argument("-o", "--output_folder", required=True, help="folder for the outputs")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument(
        "-f", "--allow_failures", action="store_true", help="go on when a record fails"
    )
    chosen = parser.parse_args(arguments)
    say = _say if chosen.verbose else _keep_quiet
    _show_log(chosen.verbose)

    say("Loading the Challenge model...")
    digitization_model, classification_model = load_models(chosen.model_folder, chosen.verbose)
    say("Finding the Challenge data...")
    records = helpers.find_records(chosen.data_folder)
    if not records:
        raise Exception("No data were provided.")
    Path(chosen.output_folder).mkdir(parents=True, exist_ok=True)
    say("Running the Challenge model(s) on the Challenge data...")
    width = len(str(len(records)))
    for number, record in enumerate(records, start=1):
        say(f"- {number:>{width}}/{len(records)}: {record}...")
        source = str(Path(chosen.data_folder) / record)
        try:
            signals, labels = run_models(
                source, digitization_model, classification_model, chosen.verbose
            )
        except Exception:
            if not chosen.allow_failures:
                raise
            say("... failed.")
            signals, labels = None, None
        _save(source, Path(chosen.output_folder) / record, signals, labels)
    say("Done.")


def _save(source: str, target: Path, signals: Any, labels: Any) -> None:
    """Copy the record's header, then add what there is of signals and labels."""
    target.parent.mkdir(parents=True, exist_ok=True)
    header = helpers.load_header(source)
    helpers.save_header(str(target), header)
    if signals is not None:
        comments = [line for line in header.splitlines() if line.startswith("#")]
        helpers.save_signals(str(target), signals, comments)
    if labels is not None:
        helpers.save_labels(str(target), labels)


def _show_log(verbose: bool) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _keep_quiet(text: str) -> None:
    """Say nothing."""
