"""One-dimensional networks of the ECG literature, with their sizes as options.

ResNet-Wang and SE-ResNet: Wang, Yan, Oates 2017 in the form of Strodthoff et al., IEEE JBHI 25(5)
2021; XResNet: He et al. 2019, "Bag of tricks"; InceptionTime: Ismail Fawaz et al. 2020; squeeze
and excitation: Hu et al. 2018. Every option is written `cinc:NAME?option=value`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cinc_ecg.backbones.probe import SignalBackbone, take_options
from cinc_ecg.backbones.signal_blocks import (
    BasicBlock,
    Bottleneck,
    InceptionBlock,
    conv_norm,
)
from cinc_ecg.backbones.weights import load_weights
from cinc_ecg.plugins.providers import BackboneRequest, UnknownNameError

#: XResNet's depth -> blocks per stage, bottleneck expansion.
_XRESNET = {
    18: ((2, 2, 2, 2), 1),
    34: ((3, 4, 6, 3), 1),
    50: ((3, 4, 6, 3), 4),
    101: ((3, 4, 23, 3), 4),
    152: ((3, 8, 36, 3), 4),
}
_XRESNET_OPTIONS = {"width": 64, "kernel": 5, "stem": 32, "growth": 2.0, "se": False}


def names() -> tuple[str, ...]:
    """Return the networks' names."""
    return tuple(NETWORKS)


def build(request: BackboneRequest) -> SignalBackbone:
    """Build a network with random or local weights.

    Raises:
        PluginError: Unknown name or option, or weights that do not fit.
    """
    if request.name not in NETWORKS:
        raise UnknownNameError(request.name)
    spec = f"cinc:{request.name}"
    make, allowed = NETWORKS[request.name]
    options = take_options(request.options, allowed, spec)
    body = make(request.in_channels, **options)
    backbone = SignalBackbone(body, in_channels=request.in_channels)
    load_weights(backbone, request.weights, spec)
    return backbone


def resnet1d_wang(
    in_channels: int,
    *,
    width: int = 128,
    kernel: int = 5,
    kernel2: int = 3,
    stem_kernel: int = 7,
    stages: int = 3,
    growth: float = 2.0,
    se: bool = False,
) -> nn.Sequential:
    """Return one basic block per stage, no pooling in the stem; halves the rate from stage two."""
    layers: list[nn.Module] = [conv_norm(in_channels, width, stem_kernel, act=nn.ReLU)]
    before = width
    for k in range(stages):
        after = round(width * growth**k)
        stride = 1 if k == 0 else 2
        layers.append(BasicBlock(before, after, (kernel, kernel2), stride=stride, se=se))
        before = after
    return nn.Sequential(*layers)


def xresnet1d(
    in_channels: int,
    *,
    depth: int,
    width: int = 64,
    kernel: int = 5,
    stem: int = 32,
    growth: float = 2.0,
    se: bool = False,
) -> nn.Sequential:
    """Return an XResNet: three convolutions as stem, max pooling, four stages.

    Args:
        in_channels: Leads.
        depth: 18, 34, 50, 101 or 152.
        width: Inner channels of the first stage; outputs are `expansion` times wider.
        kernel: Kernel of the blocks, in samples.
        stem: Channels of the stem's first two convolutions.
        growth: Factor of the width from stage to stage.
        se: Squeeze and excitation in every block.
    """
    blocks, expansion = _XRESNET[depth]
    layers: list[nn.Module] = [
        conv_norm(in_channels, stem, kernel, stride=2, act=nn.ReLU),
        conv_norm(stem, stem, kernel, act=nn.ReLU),
        conv_norm(stem, width, kernel, act=nn.ReLU),
        nn.MaxPool1d(3, stride=2, padding=1),
    ]
    before = width
    for k, n_blocks in enumerate(blocks):
        inner = round(width * growth**k)
        for n in range(n_blocks):
            stride = 2 if n == 0 and k > 0 else 1
            if expansion == 1:
                block: nn.Module = BasicBlock(
                    before, inner, (kernel, kernel), stride=stride, se=se, pool_shortcut=True
                )
            else:
                block = Bottleneck(before, inner, kernel, expansion, stride=stride, se=se)
            layers.append(block)
            before = inner * expansion
    return nn.Sequential(*layers)


def ecg_resnet1d(
    in_channels: int,
    *,
    width: int = 48,
    blocks: int = 2,
    stages: int = 4,
    kernel: int = 7,
    stem_kernel: int = 15,
    dropout: float = 0.1,
    growth: float = 1.6,
    se: bool = False,
) -> nn.Sequential:
    """Return a residual network with GELU; the stem and every later stage halve the rate."""
    layers: list[nn.Module] = [conv_norm(in_channels, width, stem_kernel, stride=2, act=nn.GELU)]
    before = width
    for k in range(stages):
        after = round(width * growth**k)
        for n in range(blocks):
            stride = 2 if n == 0 and k > 0 else 1
            layers.append(
                BasicBlock(
                    before,
                    after,
                    (kernel, kernel),
                    stride=stride,
                    se=se,
                    act=nn.GELU,
                    dropout=dropout,
                )
            )
            before = after
    return nn.Sequential(*layers)


class InceptionTime(nn.Module):
    """Inception blocks with a residual connection over every `residual_every` of them.

    Args:
        in_channels: Leads.
        width: Filters per kernel; a block gives four times as many channels.
        depth: Blocks.
        kernel: Largest kernel in samples; the others are a half and a quarter of it.
        bottleneck: Channels that the kernels see.
        residual_every: Blocks spanned by a residual connection.
        se: Squeeze and excitation in every block.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: int = 32,
        depth: int = 6,
        kernel: int = 40,
        bottleneck: int = 32,
        residual_every: int = 3,
        se: bool = True,
    ) -> None:
        super().__init__()
        self.residual_every = residual_every
        self.blocks = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        after = 4 * width
        for k in range(depth):
            before = in_channels if k == 0 else after
            self.blocks.append(InceptionBlock(before, width, kernel, bottleneck, se=se))
            if (k + 1) % residual_every == 0:
                start = in_channels if k + 1 == residual_every else after
                self.shortcuts.append(conv_norm(start, after, 1))

    def forward(self, signal: Tensor) -> Tensor:
        """Return (B, 4 * width, T) of (B, C, T)."""
        features = skipped = signal
        for k, block in enumerate(self.blocks):
            features = block(features)
            if (k + 1) % self.residual_every == 0:
                shortcut = self.shortcuts[k // self.residual_every]
                features = torch.relu(features + shortcut(skipped))
                skipped = features
        return features


def _xresnet(depth: int) -> Callable[..., nn.Module]:
    return lambda in_channels, **options: xresnet1d(in_channels, depth=depth, **options)


_WANG_OPTIONS = {
    "width": 128,
    "kernel": 5,
    "kernel2": 3,
    "stem_kernel": 7,
    "stages": 3,
    "growth": 2.0,
    "se": False,
}

#: Name -> function of (in_channels, **options), options with their defaults.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    "resnet1d_wang": (resnet1d_wang, _WANG_OPTIONS),
    "se_resnet1d": (resnet1d_wang, _WANG_OPTIONS | {"se": True}),
    **{f"xresnet1d{depth}": (_xresnet(depth), dict(_XRESNET_OPTIONS)) for depth in _XRESNET},
    "inception1d": (
        InceptionTime,
        {
            "width": 32,
            "depth": 6,
            "kernel": 40,
            "bottleneck": 32,
            "residual_every": 3,
            "se": True,
        },
    ),
    "ecg_resnet1d": (
        ecg_resnet1d,
        {
            "width": 48,
            "blocks": 2,
            "stages": 4,
            "kernel": 7,
            "stem_kernel": 15,
            "dropout": 0.1,
            "growth": 1.6,
            "se": False,
        },
    ),
}
