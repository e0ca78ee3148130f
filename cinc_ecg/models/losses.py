"""The total loss: weighted terms over whatever the network gives and the batch knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from cinc_ecg.errors import ConfigError
from cinc_ecg.models.dx_losses import asymmetric_loss, bce_loss, focal_loss
from cinc_ecg.models.network import NetworkOutput
from cinc_ecg.models.signal_losses import (
    asci_loss,
    column_ce,
    ks_loss,
    mae_loss,
    mse_loss,
    rmse_loss,
    row_visible_target,
    row_y_loss,
    snr_loss,
    soft_dtw_loss,
)

__all__ = [
    "LossConfig",
    "LossWeights",
    "TotalLoss",
    "asci_loss",
    "asymmetric_loss",
    "bce_loss",
    "column_ce",
    "focal_loss",
    "ks_loss",
    "mae_loss",
    "mse_loss",
    "rmse_loss",
    "row_y_loss",
    "snr_loss",
    "soft_dtw_loss",
]

Weighting = Literal["fixed", "uncertainty"]
DxKind = Literal["bce", "focal", "asymmetric"]
Batch = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weight of each term; 0 leaves it out. A term without its target in the batch is left out too.

    The terms differ in size by orders: dB for `snr`, about 0.01 for `ks`.

    Attributes:
        snr, soft_dtw, mae, rmse, mse, ks, asci: On the signal in mV.
        column_ce: On the heat maps.
        row_y: On the rows' y, per pixel.
        visible: On the visibility of rows, or of leads where there are no rows.
        dx: On the class logits.
    """

    snr: float = 0.05
    soft_dtw: float = 0.0
    mae: float = 1.0
    rmse: float = 0.0
    mse: float = 0.0
    ks: float = 0.0
    asci: float = 0.0
    column_ce: float = 1.0
    row_y: float = 0.02
    visible: float = 0.2
    dx: float = 1.0


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The terms and their constants.

    Attributes:
        weights: Of the terms.
        weighting: "fixed", or "uncertainty": each term gets a learned log variance s and counts
            weight * (exp(-s) L + log(1 + exp(s))), which stays above 0 for L >= 0 (Liebel and
            Koerner, arXiv 1805.06334, after Kendall et al., arXiv 1705.07115); `snr` enters as
            what is missing to its cap.
        snr_cap_db: Where the SNR stops rewarding.
        dtw_gamma_mv2, dtw_band, dtw_max_samples: Of soft-DTW.
        asci_beta, asci_sharpness: Of the soft ASCI at the end of training.
        asci_beta_start: Tolerance at the start; falls geometrically with `TotalLoss.progress`.
        heat_sigma_px: Width of the heat maps' target.
        dx: Which classification loss.
        pos_weight: Per class for "bce"; empty = 1.
        focal_gamma, focal_alpha: Of the focal loss.
        gamma_pos, gamma_neg, clip: Of the asymmetric loss.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    weighting: Weighting = "fixed"
    snr_cap_db: float = 30.0
    dtw_gamma_mv2: float = 0.01
    dtw_band: int = 25
    dtw_max_samples: int = 1000
    asci_beta: float = 0.05
    asci_beta_start: float = 1.0
    asci_sharpness: float = 1.0
    heat_sigma_px: float = 1.0
    dx: DxKind = "bce"
    pos_weight: tuple[float, ...] = ()
    focal_gamma: float = 2.0
    focal_alpha: float | None = None
    gamma_pos: float = 0.0
    gamma_neg: float = 4.0
    clip: float = 0.05


class TotalLoss(nn.Module):
    """Sum the terms that a network's output and a batch allow.

    With uncertainty weighting its parameters belong into the optimizer.

    Args:
        config: Terms and constants.
        heat_cell: (y, x) picture pixels per heat cell (`ModelConfig.head`).

    Raises:
        ConfigError: an unknown choice (loss_config).
    """

    pos_weight: Tensor | None

    def __init__(self, config: LossConfig, *, heat_cell: tuple[int, int] = (2, 1)) -> None:
        super().__init__()
        for name, value, allowed in (
            ("weighting", config.weighting, get_args(Weighting)),
            ("dx", config.dx, get_args(DxKind)),
        ):
            if value not in allowed:
                raise ConfigError(
                    f"loss.{name}={value!r}; choose one of {', '.join(allowed)}", code="loss_config"
                )
        self.config, self.heat_cell = config, heat_cell
        #: Share of the training that is done, 0..1; anneals the ASCI's tolerance.
        self.progress = 1.0
        weights = torch.tensor(config.pos_weight) if config.pos_weight else None
        self.register_buffer("pos_weight", weights, persistent=False)
        terms = {**self._signal_terms(), **self._row_terms(), "dx": self._dx}
        self.terms: dict[str, Callable[[NetworkOutput, Batch], Tensor | None]] = {
            name: term for name, term in terms.items() if getattr(config.weights, name) > 0
        }
        self.log_variance = nn.ParameterDict()
        if config.weighting == "uncertainty":
            self.log_variance.update({name: nn.Parameter(torch.zeros(())) for name in self.terms})

    def forward(self, output: NetworkOutput, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the total and every term as it is before weighting, "total" among them.

        Raises:
            ConfigError: no term applies: nothing would be learned (loss_config).
        """
        found = {name: term(output, batch) for name, term in self.terms.items()}
        present = {name: value for name, value in found.items() if value is not None}
        if not present:
            raise ConfigError(
                f"no loss term applies: weights for {', '.join(self.terms) or 'nothing'}, "
                f"batch has {', '.join(sorted(batch))}; add targets or weights",
                code="loss_config",
            )
        parts = [self._weigh(name, value) for name, value in present.items()]
        total = torch.stack(parts).sum()
        logged = {name: float(value.detach()) for name, value in present.items()}
        return total, {**logged, "total": float(total.detach())}

    def _weigh(self, name: str, value: Tensor) -> Tensor:
        weight = float(getattr(self.config.weights, name))
        if name not in self.log_variance:
            return weight * value
        log_variance = self.log_variance[name]
        missing = value + self.config.snr_cap_db if name == "snr" else value
        return weight * (torch.exp(-log_variance) * missing + functional.softplus(log_variance))

    def _signal_terms(self) -> dict[str, Callable[[NetworkOutput, Batch], Tensor | None]]:
        config = self.config
        losses: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
            "snr": lambda x, y, m: snr_loss(x, y, m, cap_db=config.snr_cap_db),
            "soft_dtw": lambda x, y, m: soft_dtw_loss(
                x,
                y,
                m,
                gamma=config.dtw_gamma_mv2,
                band=config.dtw_band,
                max_samples=config.dtw_max_samples,
            ),
            "mae": mae_loss,
            "rmse": rmse_loss,
            "mse": mse_loss,
            "ks": ks_loss,
            "asci": lambda x, y, m: asci_loss(
                x, y, m, beta=self._beta(), sharpness=config.asci_sharpness
            ),
        }
        return {name: _on_signal(loss) for name, loss in losses.items()}

    def _beta(self) -> float:
        start, end = self.config.asci_beta_start, self.config.asci_beta
        return start * (end / start) ** min(max(self.progress, 0.0), 1.0)

    def _row_terms(self) -> dict[str, Callable[[NetworkOutput, Batch], Tensor | None]]:
        return {"column_ce": self._column_ce, "row_y": self._row_y, "visible": self._visible}

    def _column_ce(self, output: NetworkOutput, batch: Batch) -> Tensor | None:
        if output.heat is None or "row_y" not in batch:
            return None
        return column_ce(
            output.heat,
            batch["row_y"],
            batch["row_visible"],
            cell=self.heat_cell,
            sigma_px=self.config.heat_sigma_px,
        )

    def _row_y(self, output: NetworkOutput, batch: Batch) -> Tensor | None:
        if output.row_y_px is None or "row_y" not in batch:
            return None
        return row_y_loss(
            output.row_y_px, batch["row_y"], batch["row_visible"], cell_x=self.heat_cell[1]
        )

    def _visible(self, output: NetworkOutput, batch: Batch) -> Tensor | None:
        if output.row_visible_logit is not None and "row_visible" in batch:
            logit = output.row_visible_logit
            target = row_visible_target(
                batch["row_visible"], cell_x=self.heat_cell[1], n_columns=logit.shape[-1]
            )
        elif output.row_visible_logit is None and output.visible_logit is not None:
            if "visible" not in batch:
                return None
            logit, target = output.visible_logit, batch["visible"].float()
        else:
            return None
        return functional.binary_cross_entropy_with_logits(logit.float(), target)

    def _dx(self, output: NetworkOutput, batch: Batch) -> Tensor | None:
        if output.logits is None or "labels" not in batch:
            return None
        labels, config = batch["labels"], self.config
        mask = batch.get("label_mask")
        given = output.logits, labels, torch.ones_like(labels) if mask is None else mask
        if config.dx == "focal":
            return focal_loss(*given, gamma=config.focal_gamma, alpha=config.focal_alpha)
        if config.dx == "asymmetric":
            return asymmetric_loss(
                *given, gamma_pos=config.gamma_pos, gamma_neg=config.gamma_neg, clip=config.clip
            )
        return bce_loss(*given, pos_weight=self.pos_weight)


def _on_signal(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[NetworkOutput, Batch], Tensor | None]:
    def term(output: NetworkOutput, batch: Batch) -> Tensor | None:
        if output.signal_mv is None or "signal_mv" not in batch:
            return None
        target = batch["signal_mv"]
        mask = batch["visible"].bool() if "visible" in batch else torch.ones_like(target).bool()
        return loss(output.signal_mv, target, mask & torch.isfinite(target))

    return term
