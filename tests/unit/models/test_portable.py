import importlib.util

import pytest
import torch
from model_stubs import TinyImage, TinySignal
from test_network import HEADS, SIZES, batch_of, config_of

from cinc_ecg.models.network import build_network
from cinc_ecg.models.portable import TensorFunction, export_onnx

CASES = [(view, kind) for view in SIZES for kind in HEADS] + [("signal", "none")]


def example(view, kind):
    torch.manual_seed(0)
    config = config_of(view, kind)
    stub = TinySignal(config.in_channels) if view == "signal" else TinyImage()
    batch = {key: value[:1] for key, value in batch_of(view).items()}
    return build_network(config, backbone=stub).eval(), batch


@pytest.mark.parametrize(("view", "kind"), CASES)
def test_onnx_of_every_view_and_head(view, kind, tmp_path):
    network, batch = example(view, kind)
    function = export_onnx(network, batch, tmp_path / "x.onnx")
    assert not network.training
    data = (tmp_path / "x.onnx").read_bytes()
    for name in (*function.input_names, *function.output_names):
        assert name.encode() in data
    assert ("heat" in function.output_names) == (kind == "soft_argmax")
    expected = function(*function.inputs_of(batch))
    for value, name in zip(expected, function.output_names, strict=True):
        torch.testing.assert_close(value, getattr(network(batch), name))
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        feed = {name: batch[name].numpy() for name in function.input_names}
        for value, found in zip(expected, session.run(None, feed), strict=True):
            torch.testing.assert_close(torch.tensor(found), value, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("view", "kind"), CASES)
def test_torch_export_of_every_view_and_head(view, kind):
    network, batch = example(view, kind)
    function = TensorFunction(network, batch)
    program = torch.export.export(function, function.inputs_of(batch)).module()
    other = {
        key: value.flip(-1) if value.is_floating_point() else value for key, value in batch.items()
    }
    for a, b in zip(
        program(*function.inputs_of(other)), function(*function.inputs_of(other)), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
