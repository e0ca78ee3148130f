"""What the tests of all families share."""

import io
import socket
import warnings

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing here may reach for the network."""

    def refuse(*args, **options):
        raise AssertionError("network used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def onnx_difference():
    """Return a function: the largest difference between a module and its ONNX export."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

    def difference(module, inputs):
        module.eval()
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter by tracing says that it is the older one
            torch.onnx.export(module, (inputs,), file, dynamo=False, opset_version=17)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file.getvalue(), options)
        found = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
        with torch.no_grad():
            expected = module(inputs)
        expected = expected if isinstance(expected, list) else [expected]
        pairs = zip(expected, found, strict=True)
        return max(float((e - torch.from_numpy(f)).abs().max() / e.abs().max()) for e, f in pairs)

    return difference
