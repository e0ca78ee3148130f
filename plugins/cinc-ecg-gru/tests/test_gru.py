"""The backbone keeps the contract."""

from cinc_ecg.plugins import build_backbone
from cinc_ecg.testing import check_signal_backbone


def test_contract():
    assert check_signal_backbone("gru:bidirectional")


def test_width_is_an_option():
    backbone = build_backbone("gru:bidirectional?width=6", kind="signal", in_channels=12)
    assert backbone.channels == (12,)
    assert check_signal_backbone(backbone, n_samples=250)
