"""A tiny backbone of each kind, so that these tests need no plugin."""

import torch
from torch import nn


class TinyImage(nn.Module):
    """Two strided convolutions: strides 4 and 8."""

    channels = (8, 12)
    strides = (4, 8)
    min_multiple = 8
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.BatchNorm2d(8), nn.GELU())
        self.second = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.GELU())

    def forward(self, x):
        fine = self.first(x)
        return [fine, self.second(fine)]


class TinySignal(nn.Module):
    """One strided convolution along time."""

    channels = (10,)
    strides = (4,)
    min_multiple = 4

    def __init__(self, in_channels=24):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, 10, 9, 4, 4)

    def forward(self, x):
        return torch.relu(self.conv(x))
