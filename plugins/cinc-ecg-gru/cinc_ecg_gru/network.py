"""A recurrent network: how it is built."""

from torch import Tensor, nn

from cinc_ecg.plugins import BackboneRequest, UnknownNameError

_NAME = "bidirectional"
_WIDTH = 32
_STRIDE = 8


class Recurrent(nn.Module):
    """Three strided convolutions, then gated recurrent units in both directions.

    Args:
        in_channels: Leads.
        width: Half of the channels of the output.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (in_channels, width, width):
            layers += [nn.Conv1d(before, width, 5, stride=2, padding=2), nn.GELU()]
        self.reduce = nn.Sequential(*layers)
        self.recurrent = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.channels = (2 * width,)
        self.strides = (_STRIDE,)
        self.min_multiple = _STRIDE

    def forward(self, signal: Tensor) -> Tensor:
        """Return (B, 2 * width, T / 8) of (B, C, T)."""
        features, _ = self.recurrent(self.reduce(signal).transpose(1, 2))
        return features.transpose(1, 2)


def names() -> tuple[str, ...]:
    """Return what can stand after `gru:`."""
    return (_NAME,)


def build(request: BackboneRequest) -> Recurrent:
    """Build a network with random weights."""
    if request.name != _NAME:
        raise UnknownNameError(request.name)
    return Recurrent(request.in_channels, int(request.options.get("width", _WIDTH)))
