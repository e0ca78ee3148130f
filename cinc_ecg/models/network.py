"""Build a network from its configuration.

A batch is a dictionary of tensors; a view reads the keys it needs and leaves the others alone.

Inputs: "image" (B, 3, H, W); "rows" (B, R, 3, h, W) and "row_mask" (B, R); "panels"
(B, P, 3, h, w), "panel_mask" (B, P), "panel_lead" (B, P); pictures are RGB in 0..1. "signal"
(B, leads, T) mV and "signal_mask". `readout.KEYS`, each (B, leads), say where leads are printed.

Targets, read by the losses only: "signal_mv" and "visible" (B, leads, T); "row_y" (B, R, W) px and
"row_visible" (B, R, W); "labels" and "label_mask" (B, classes).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Self

from torch import Tensor, nn

from cinc_ecg.errors import ConfigError
from cinc_ecg.models.config import ModelConfig, check
from cinc_ecg.models.neck import padded_size
from cinc_ecg.models.views import VIEWS, NetworkOutput
from cinc_ecg.plugins import build_backbone

__all__ = ["EcgNetwork", "NetworkOutput", "build_network"]
#: Pixels per cell of the coarsest map of all known backbones.
_COARSEST = 32


class EcgNetwork(nn.Module):
    """A view with its backbone and heads.

    Args:
        config: What it was built from.
        view: The module that does the work.
    """

    def __init__(self, config: ModelConfig, view: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.view = view
        if config.backbone.frozen:
            self.backbone.requires_grad_(False)

    @property
    def backbone(self) -> nn.Module:
        """The feature extractor."""
        backbone = self.view.backbone
        assert isinstance(backbone, nn.Module)
        return backbone

    def train(self, mode: bool = True) -> Self:
        """Switch to training; a frozen backbone stays in evaluation, its statistics as stored."""
        super().train(mode)
        if self.config.backbone.frozen:
            self.backbone.eval()
        return self

    def forward(self, batch: dict[str, Tensor]) -> NetworkOutput:
        """Run the view.

        Raises:
            KeyError: the batch lacks an input of the view.
        """
        output: NetworkOutput = self.view(batch)
        return output


def build_network(config: ModelConfig, *, backbone: nn.Module | None = None) -> EcgNetwork:
    """Build a network with fresh heads.

    Args:
        config: View, backbone, heads and shapes.
        backbone: Used instead of the configured name (same contract).

    Raises:
        ConfigError: the configuration cannot be built (model_config, head_too_large).
        PluginError: the backbone is unknown or its package is missing.
    """
    check(config)
    image = config.view != "signal"
    # a backbone that is tied to one size gets one that it and the heat maps can divide
    multiple = math.lcm(_COARSEST, config.head.heat_stride_y, config.head.heat_stride_x)
    size = padded_size(config.image_size, multiple)
    if backbone is None:
        backbone = build_backbone(
            config.backbone.name,
            kind="image" if image else "signal",
            in_channels=config.in_channels,
            image_size=size if image else None,
            weights=config.backbone.weights,
            levels=config.backbone.levels,
            architecture=config.backbone.architecture,
        )
        described = replace(config.backbone, architecture=getattr(backbone, "architecture", ""))
        config = replace(config, backbone=described)
    missing = [name for name in ("channels", "strides") if not hasattr(backbone, name)]
    if missing:
        raise ConfigError(
            f"backbone {config.backbone.name} has no {' or '.join(missing)}; "
            "see the backbone contract in cinc_ecg.testing",
            code="model_config",
        )
    network = EcgNetwork(config, VIEWS[config.view](config, backbone))
    return network.train(network.training)
