"""`cinc-ecg train dx`: a diagnosis model from recordings with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


def train_dx(
    *,
    data: Path | None,
    out: Path,
    overrides: Sequence[str],
    budget_s: float,
    device: str,
    resume: bool,
    dry_run: bool,
    watch: Callable[[int, int, str], None] | None,
) -> str:
    """Train a diagnosis model, write it to a folder, and return one line about it.

    Args:
        data: Folder of WFDB records; their headers, or the table `source.table`, hold the labels.
        out: Model folder.
        overrides: "key=value" of `cinc_ecg.training.dx.DxTrainConfig`.
        budget_s: Not supported: 0.
        device: "auto" or "cpu"; the networks are small.
        resume: Keep the networks found in `out`; fit shares, temperature, thresholds anew.
        dry_run: Return the resolved configuration and train nothing.
        watch: Told about every epoch.

    Raises:
        ConfigError: a setting is wrong, or an option is given that this training lacks.
    """
    from cinc_ecg.config import to_yaml
    from cinc_ecg.errors import ConfigError
    from cinc_ecg.models.card import CARD_FILE
    from cinc_ecg.models.dx import load_dx, save_dx
    from cinc_ecg.training.dx import choose_recordings, load_dx_config
    from cinc_ecg.training.dx import train_dx as run

    config = load_dx_config(None, overrides)
    if dry_run:
        return to_yaml(config)
    if data is None:
        raise ConfigError("--data is needed: a folder of WFDB records with labels")
    if budget_s:
        raise ConfigError("train dx has no --budget; set strip.epochs and beat.epochs")
    if device not in ("auto", "cpu"):
        raise ConfigError(f"train dx runs on the CPU, not on {device!r}")
    trained = load_dx(out).members if resume and (out / CARD_FILE).is_file() else ()
    card = save_dx(out, run(config, choose_recordings(config, data), watch, trained))
    figures = card.metrics["held out"]
    low, high = figures["macro_auc_superclasses_95"]
    return (
        f"{card.training['n_records']} records, {len(card.files)} networks; held out: "
        f"macro AUC {figures['macro_auc_superclasses']:.3f} (95 % {low:.3f}-{high:.3f}) over "
        f"the superclasses, macro F {figures['macro_f_reported_same_records']:.3f} over "
        f"{len(card.thresholds)} labels; model in {out}"
    )
