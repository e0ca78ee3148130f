"""The one-dimensional networks keep the contract; their sizes are those of the literature."""

import pytest
import torch

from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone, get_manager
from cinc_ecg.testing import check_signal_backbone

_DEEP = ("xresnet1d101", "xresnet1d152")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in _DEEP else name
    for name in get_manager().names("cinc", "signal")
]
SMALL = {"inception1d": "?width=4&depth=3&kernel=9&bottleneck=4"}


def small(name):
    return f"cinc:{name}" + SMALL.get(name, "?width=8")


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    assert check_signal_backbone(small(name), n_samples=320)


@pytest.mark.parametrize("name", NAMES)
def test_onnx(name, onnx_difference):
    backbone = build_backbone(small(name), kind="signal", in_channels=12)
    assert onnx_difference(backbone, torch.randn(1, 12, 320)) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_any_length_and_any_number_of_leads(name):
    backbone = build_backbone(small(name), kind="signal", in_channels=3).eval()
    for n_samples in (97, 250):
        features = backbone(torch.randn(2, 3, n_samples))
        expected = -(-n_samples // backbone.strides[0])
        assert features.shape == (2, backbone.channels[0], expected)


@pytest.mark.parametrize(
    ("name", "millions", "channels", "stride"),
    [
        ("resnet1d_wang", 2.1, 512, 4),
        ("xresnet1d50", 18.5, 2048, 32),
        ("xresnet1d101", 33.0, 2048, 32),
        ("inception1d", 0.49, 128, 1),
        ("ecg_resnet1d", 1.6, 197, 16),
    ],
)
def test_published_sizes(name, millions, channels, stride):
    with torch.device("meta"):
        backbone = build_backbone(f"cinc:{name}", kind="signal", in_channels=12)
    count = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.03)
    assert (backbone.channels, backbone.strides) == ((channels,), (stride,))


def test_sizes_are_options():
    options = "?width=16&kernel=3&kernel2=5&stages=2&growth=1.5"
    backbone = build_backbone(f"cinc:resnet1d_wang{options}", kind="signal", in_channels=12)
    assert backbone.channels == (24,)
    assert backbone.strides == (2,)
    kernels = {m.kernel_size[0] for m in backbone.modules() if isinstance(m, torch.nn.Conv1d)}
    assert kernels == {7, 3, 5, 1}


def test_squeeze_and_excitation_is_an_option():
    def count(spec):
        backbone = build_backbone(spec, kind="signal", in_channels=12)
        return sum(p.numel() for p in backbone.parameters())

    plain = count("cinc:resnet1d_wang?width=8")
    assert count("cinc:se_resnet1d?width=8") == count("cinc:resnet1d_wang?width=8&se=true") > plain


@pytest.mark.parametrize(
    ("options", "message"),
    [("widht=8", "no option 'widht'"), ("width=big", "is not a int"), ("width=-1", "is not a int")],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(PluginError, match=message):
        build_backbone(f"cinc:resnet1d_wang?{options}", kind="signal", in_channels=12)


def test_a_shift_of_the_signal_shifts_the_features():
    backbone = build_backbone(small("resnet1d_wang"), kind="signal", in_channels=2).eval()
    signal = torch.zeros(1, 2, 256)
    signal[..., 100:110] = 1.0
    with torch.no_grad():
        features, later = backbone(signal), backbone(signal.roll(40, dims=-1))
    torch.testing.assert_close(features[..., 10:50], later[..., 20:60], atol=1e-5, rtol=1e-4)


def test_building_leaves_the_random_numbers_alone():
    torch.manual_seed(4)
    first = build_backbone("cinc:ecg_resnet1d?width=4", kind="signal", in_channels=2)
    after = torch.rand(1)
    torch.manual_seed(4)
    second = build_backbone("cinc:ecg_resnet1d?width=4", kind="signal", in_channels=2)
    assert torch.equal(after, torch.rand(1))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
