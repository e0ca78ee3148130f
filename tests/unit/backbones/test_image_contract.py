"""The package's own encoders, the wrapper that probes, and weights."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cinc_ecg.backbones.probe import ImageBackbone
from cinc_ecg.backbones.weights import hub_folder
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins import build_backbone
from cinc_ecg.testing import check_image_backbone


def tiny(**options):
    return build_backbone("cinc:tiny", kind="image", **options)


@pytest.mark.parametrize(("name", "millions"), [("tiny", 0.1), ("small", 0.7)])
def test_contract_and_size(name, millions):
    backbone = build_backbone(f"cinc:{name}", kind="image")
    assert check_image_backbone(backbone)
    count = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.2)


def test_onnx(onnx_difference):
    assert onnx_difference(tiny(), torch.randn(1, 3, 64, 128)) < 1e-4


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_levels_are_the_coarsest_ones(levels):
    backbone = tiny(levels=levels, in_channels=1)
    assert backbone.strides == (2, 4, 8, 16, 32)[-levels:]
    assert check_image_backbone(backbone, in_channels=1)


def test_scale_multiplies_the_widths():
    widths = build_backbone("cinc:tiny?scale=2.0", kind="image").channels
    assert widths == tuple(2 * c for c in tiny().channels)


class Body(nn.Module):
    def __init__(self, strides, channels_last=False, ragged=False):
        super().__init__()
        self.strides, self.channels_last, self.ragged = strides, channels_last, ragged
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, image):
        maps = []
        for k, stride in enumerate(self.strides):
            size = (image.shape[2] // stride - self.ragged, image.shape[3] // stride)
            m = nn.functional.adaptive_avg_pool2d(image, size)
            m = m.repeat(1, k + 1, 1, 1) * self.gain
            maps.append(m.permute(0, 2, 3, 1) if self.channels_last else m)
        return maps


@pytest.mark.parametrize("channels_last", [False, True])
def test_channels_and_strides_are_probed(channels_last):
    body = Body((2, 4, 8, 32), channels_last)
    backbone = ImageBackbone(body, in_channels=3, levels=4, channels_last=channels_last)
    assert backbone.strides == (4, 8, 32)  # a stride-2 map is left out
    assert backbone.channels == (6, 9, 12)
    assert backbone.min_multiple == 32
    assert check_image_backbone(backbone)


def test_maps_that_lie_at_no_whole_stride_are_refused():
    with pytest.raises(PluginError, match="no whole stride"):
        ImageBackbone(Body((4, 8), ragged=True), in_channels=3, levels=2)
    with pytest.raises(PluginError, match="where a map"):
        ImageBackbone(nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), in_channels=3, levels=1)


def test_a_bound_size_is_said():
    backbone = ImageBackbone(Body((4,)), in_channels=3, levels=1, image_size=(32, 64))
    with pytest.raises(PluginError, match="built for pictures of 32x64 px, not 64x64"):
        backbone(torch.zeros(1, 3, 64, 64))


def test_mean_and_std_follow_the_channels():
    assert len(tiny().mean) == 3
    (value,) = tiny(in_channels=1).std
    assert 0 < value < 1


def test_probing_changes_neither_statistics_nor_mode():
    norm = nn.BatchNorm2d(3)
    body = nn.Sequential(nn.AvgPool2d(4), norm)

    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body

        def forward(self, image):
            return [self.body(image)]

    ImageBackbone(Listed(), in_channels=3, levels=1)
    assert norm.training
    assert int(norm.num_batches_tracked) == 0


def save(module, path):
    state = {k: v.contiguous() for k, v in module.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    return f"local:{path}"


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_local_weights_give_the_same_outputs(tmp_path, name):
    image = torch.randn(1, 3, 64, 64)
    trained = tiny().eval()
    loaded = tiny(weights=save(trained, tmp_path / name)).eval()
    for a, b in zip(trained(image), loaded(image), strict=True):
        assert torch.equal(a, b)


def test_fetched_weights_are_found_by_id_and_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("CINC_ECG_WEIGHTS", str(tmp_path))
    folder = hub_folder("team/net", "v1")
    folder.mkdir()
    trained = tiny()
    save(trained, folder / "model.safetensors")
    loaded = tiny(weights="hub:team/net@v1")
    assert torch.equal(next(loaded.parameters()), next(trained.parameters()))
    with pytest.raises(PluginError, match=r"backbones fetch cinc:tiny.*team--net@v2"):
        tiny(weights="hub:team/net@v2")


def test_weights_lie_in_the_cache_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.delenv("CINC_ECG_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub_folder("a/b", "c") == tmp_path / "cinc_ecg" / "weights" / "a--b@c"


def test_weights_of_another_shape_name_the_tensors(tmp_path):
    weights = save(tiny(in_channels=1), tmp_path / "w.safetensors")
    with pytest.raises(
        PluginError, match=r"body\.stages\.0\.0\.weight is 8x1x3x3, expected 8x3x3x3"
    ) as e:
        tiny(weights=weights)
    assert e.value.reason_code == "weights_shape"
    with pytest.raises(PluginError, match=r"tensors missing: body\.stages\.2\.4"):
        build_backbone("cinc:small", kind="image", weights=save(tiny(), tmp_path / "t.safetensors"))


def test_what_is_no_weight_file_is_said(tmp_path):
    for name, content in (("a.safetensors", b"junk"), ("b.pth", b"junk"), ("c.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PluginError, match=name) as caught:
            tiny(weights=f"local:{tmp_path / name}")
        assert caught.value.reason_code == "weights_missing"
    for weights, part in (
        (f"local:{tmp_path / 'nothing'}", "check the path"),
        ("pretrained", "write none, local:PATH or hub:ID@REVISION"),
        ("local:", "write none"),
    ):
        with pytest.raises(PluginError, match=part):
            tiny(weights=weights)


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(PluginError, match="no weights that can be read"):
        tiny(weights=f"local:{tmp_path / 'evil.pth'}")
