"""A small U-Net that looks at a whole page once: what is where, and which way up it lies.

Per pair of pixels: ink of a trace. Per cell of 4 x 4 pixels: which lead's name is printed there if
any, calibration pulse, tick between columns, paper, and the phase of the 5 mm lattice as a vector
whose length says how sure it is (no grid, no length). Per page: the orientation, a vote of all
places. The network sees colour alone: a page has no scale before its grid is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cinc_ecg.leads import LEADS
from cinc_ecg.models.unet import UNet

#: Quarter turns (as in `np.rot90`) that turn the picture upright, without and with mirroring first:
#: class = turns + 4 * mirrored.
N_ORIENTATIONS = 8
#: Class 0 is "no lead name", class 1 + k is `leads.LEADS[k]`.
N_NAMES = 1 + len(LEADS)
#: Traces are told at this many places per cell and axis.
TRACE_PER_CELL = 2
#: The stem begins on squares of this many pixels.
_FINE = 2
_PAPER, _SPREAD = 0.85, 0.25
_COLOURS = 3
_PHASES = 4
_MASKS = ("page", "pulse", "separator")


@dataclass(frozen=True, slots=True)
class PageNetConfig:
    """Size of the network.

    Attributes:
        cell: Side in pixels of one position of the first level.
        fine_channels: Features of the stem, at half the picture's resolution.
        channels: Features per level; each has half the resolution of the one before.
        long_side_px: Pictures are brought to this long side: a capital of 2.5 mm on a full page is
            then about 10 pixels high.
    """

    cell: int = 4
    fine_channels: int = 24
    channels: tuple[int, ...] = (48, 64, 96, 128)
    long_side_px: int = 1152

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))


@dataclass(frozen=True, slots=True)
class PageReading:
    """What the network says about pages of H x W pixels, h = H / 4, w = W / 4.

    Attributes:
        trace_logit: (B, 2 h, 2 w).
        name_logit: (B, N_NAMES, h, w), softmax over the classes.
        page_logit, pulse_logit, separator_logit: (B, h, w).
        phase: (B, 4, h, w) cos 2 pi u, sin 2 pi u, cos 2 pi v, sin 2 pi v in units of 5 mm, u
            growing to the right of the picture and v downwards.
        orientation_logit: (B, N_ORIENTATIONS).
    """

    trace_logit: Tensor
    name_logit: Tensor
    page_logit: Tensor
    pulse_logit: Tensor
    separator_logit: Tensor
    phase: Tensor
    orientation_logit: Tensor


class PageNet(UNet):
    """U-Net over a page; see the module's text."""

    def __init__(self, config: PageNetConfig = PageNetConfig()) -> None:
        widths, cell = config.channels, config.cell
        # Glyphs are ten pixels high: squares of 4 pixels, fit for strokes, would have to learn each
        # of them sixteen times, once for every place within a square.
        fine = _FINE * _FINE * _COLOURS
        super().__init__(fine, widths, _stem(fine, config.fine_channels, widths[0], cell // _FINE))
        self.config = config
        self.marks = nn.Conv2d(widths[0], N_NAMES + len(_MASKS) + _PHASES, 1)
        self.trace = nn.Conv2d(widths[0], TRACE_PER_CELL**2, 1)
        self.turn = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 1), nn.ReLU(), nn.Conv2d(widths[-1], 9, 1)
        )

    @property
    def multiple(self) -> int:
        """Height and width are padded to multiples of this."""
        return int(self.config.cell * 2 ** (len(self.config.channels) - 1))

    def forward(self, pixels: Tensor) -> PageReading:
        """Read pages.

        Args:
            pixels: (B, 3, H, W) RGB in 0..1; sides that are no multiple are padded by their edge.
        """
        height, width = pixels.shape[-2:]
        cell = self.config.cell
        x = (pixels - _PAPER) / _SPREAD
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        x = F.pixel_unshuffle(F.pad(x, pad, mode="replicate"), _FINE)
        features, deepest = self.features(x.contiguous(memory_format=torch.channels_last))
        h, w = -(-height // cell), -(-width // cell)
        marks = self.marks(features)[..., :h, :w].float()
        names, masks, phase = marks.split([N_NAMES, len(_MASKS), _PHASES], 1)
        trace = F.pixel_shuffle(self.trace(features), TRACE_PER_CELL)[:, 0].float()
        votes = self.turn(deepest).float()
        deep = self.multiple
        votes = votes[..., : -(-height // deep), : -(-width // deep)].flatten(2)
        # The last vote says how much a place knows about the matter.
        weight = votes[:, -1:].sigmoid() + 1e-3
        turn = (votes[:, :-1] * weight).sum(2) / weight.sum(2)
        page, pulse, separator = masks.unbind(1)
        trace = trace[:, : TRACE_PER_CELL * h, : TRACE_PER_CELL * w]
        return PageReading(trace, names, page, pulse, separator, phase, turn)


def _stem(n_in: int, fine: int, n_out: int, stride: int) -> nn.Sequential:
    """Return three convolutions, of which the second shrinks the map by `stride`."""
    layers: list[nn.Module] = []
    for a, b, step in ((n_in, fine, 1), (fine, n_out, stride), (n_out, n_out, 1)):
        layers += [
            nn.Conv2d(a, b, 3, step, padding=1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
