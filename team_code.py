"""The Challenge's team code: everything lives in the package `cinc_ecg`."""

from cinc_ecg.challenge.adapter import load_models, run_models, train_models

__all__ = ["load_models", "run_models", "train_models"]
