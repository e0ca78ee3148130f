"""Blocks of the one-dimensional networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SE_REDUCTION = 8


def same_padding(kernel: int) -> int:
    """Return the padding that keeps the length for an odd kernel."""
    return kernel // 2


def odd(kernel: int) -> int:
    """Return the kernel itself if odd, else one less, at least 1."""
    return max(1, kernel - (kernel + 1) % 2)


def conv_norm(
    before: int,
    after: int,
    kernel: int,
    *,
    stride: int = 1,
    act: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Return a convolution with batch normalization and, if given, an activation."""
    kernel = odd(kernel)
    layers: list[nn.Module] = [
        nn.Conv1d(before, after, kernel, stride=stride, padding=same_padding(kernel), bias=False),
        nn.BatchNorm1d(after),
    ]
    if act is not None:
        layers.append(act())
    return nn.Sequential(*layers)


class SqueezeExcite(nn.Module):
    """Weigh channels by what all of the record shows (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(4, channels // _SE_REDUCTION)
        self.gate = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape (B, C, T)."""
        return features * self.gate(features.mean(dim=-1)).unsqueeze(-1)


class Shortcut(nn.Module):
    """The identity, brought to another width or rate where needed.

    Args:
        before: Channels in.
        after: Channels out.
        stride: Reduction of the rate.
        pool: Average before the 1x1 convolution instead of dropping samples (ResNet-D).
    """

    def __init__(self, before: int, after: int, stride: int, *, pool: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if stride > 1 and pool:
            layers.append(nn.AvgPool1d(stride, ceil_mode=True, count_include_pad=False))
        if before != after or (stride > 1 and not pool):
            layers.append(conv_norm(before, after, 1, stride=1 if pool else stride))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, ceil(T / stride)) of (B, before, T)."""
        out: Tensor = self.layers(features)
        return out


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut.

    Args:
        before: Channels in.
        after: Channels out.
        kernels: Kernels of the two convolutions, in samples.
        stride: Reduction of the rate.
        se: Squeeze and excitation before the sum.
        pool_shortcut: Average in the shortcut (ResNet-D).
        act: Activation.
        dropout: Probability to drop a feature between the convolutions.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernels: tuple[int, int],
        *,
        stride: int = 1,
        se: bool = False,
        pool_shortcut: bool = False,
        act: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv1 = conv_norm(before, after, kernels[0], stride=stride, act=act)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv_norm(after, after, kernels[1])
        self.se = SqueezeExcite(after) if se else nn.Identity()
        self.shortcut = Shortcut(before, after, stride, pool=pool_shortcut)
        self.act = act()

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, ceil(T / stride)) of (B, before, T)."""
        inner = self.se(self.conv2(self.dropout(self.conv1(features))))
        out: Tensor = self.act(inner + self.shortcut(features))
        return out


class Bottleneck(nn.Module):
    """1x1, k, 1x1 convolutions and a ResNet-D shortcut; gives `inner * expansion` channels."""

    def __init__(
        self,
        before: int,
        inner: int,
        kernel: int,
        expansion: int,
        *,
        stride: int = 1,
        se: bool = False,
    ) -> None:
        super().__init__()
        after = inner * expansion
        self.layers = nn.Sequential(
            conv_norm(before, inner, 1, act=nn.ReLU),
            conv_norm(inner, inner, kernel, stride=stride, act=nn.ReLU),
            conv_norm(inner, after, 1),
            SqueezeExcite(after) if se else nn.Identity(),
        )
        self.shortcut = Shortcut(before, after, stride, pool=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, inner * expansion, ceil(T / stride)) of (B, before, T)."""
        return torch.relu(self.layers(features) + self.shortcut(features))


class InceptionBlock(nn.Module):
    """Kernels k, k/2, k/4 on a bottleneck beside a pooled branch; gives 4 * width channels."""

    def __init__(
        self, before: int, width: int, kernel: int, bottleneck: int, *, se: bool = False
    ) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(before, bottleneck, 1, bias=False)
        kernels = [odd(kernel // divisor) for divisor in (1, 2, 4)]
        self.branches = nn.ModuleList(
            nn.Conv1d(bottleneck, width, k, padding=same_padding(k), bias=False) for k in kernels
        )
        self.pooled = nn.Sequential(
            nn.MaxPool1d(3, stride=1, padding=1), nn.Conv1d(before, width, 1, bias=False)
        )
        self.norm = nn.BatchNorm1d(4 * width)
        self.se = SqueezeExcite(4 * width) if se else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 4 * width, T) of (B, before, T)."""
        narrow = self.bottleneck(features)
        parts = [*(branch(narrow) for branch in self.branches), self.pooled(features)]
        out: Tensor = self.se(torch.relu(self.norm(torch.cat(parts, dim=1))))
        return out
