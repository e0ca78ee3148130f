"""A network as a plain function of tensors, and as an ONNX file.

Exporters trace functions of tensors with fixed shapes; a network takes a dictionary and leaves out
what it does not have. `TensorFunction` stands between the two.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from cinc_ecg.io.atomic import write_bytes
from cinc_ecg.models.network import EcgNetwork, NetworkOutput
from cinc_ecg.models.readout import KEYS

#: What each view reads of a batch beside the print geometry; `row_mask` may be absent.
INPUTS = {
    "page": ("image",),
    "rows": ("rows", "row_mask"),
    "panels": ("panels", "panel_mask", "panel_lead"),
    "signal": ("signal", "signal_mask"),
}
_OPSET = 18


class TensorFunction(nn.Module):
    """Call a network with tensors in a fixed order, and get those outputs that it has.

    Args:
        network: In evaluation mode.
        batch: An example; its keys, and which outputs they lead to, are fixed by it.
    """

    def __init__(self, network: EcgNetwork, batch: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        # a fresh module says "training", and an exporter would pass that on
        self.train(network.training)
        config = network.config
        wanted = INPUTS[config.view] + (KEYS if config.head.kind == "soft_argmax" else ())
        self.input_names = tuple(key for key in wanted if key in batch)
        with torch.no_grad():
            output = network(batch)
        self.output_names = tuple(
            name for name in NetworkOutput._fields if getattr(output, name) is not None
        )

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs named by `output_names` for the inputs named by `input_names`."""
        output = self.network(dict(zip(self.input_names, inputs, strict=True)))
        return tuple(getattr(output, name) for name in self.output_names)

    def inputs_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Pick the inputs out of a batch, in order."""
        return tuple(batch[name] for name in self.input_names)


def export_onnx(network: EcgNetwork, batch: dict[str, Tensor], path: Path) -> TensorFunction:
    """Write a network as ONNX, for batches of exactly the example's shapes.

    torch's tracing exporter is used because it needs no package beside torch.

    Args:
        network: Left in evaluation mode.
        batch: An example batch.
        path: File to write.

    Returns:
        The exported function, with the names of its inputs and outputs.

    Raises:
        OutputError: the file cannot be written.
    """
    function = TensorFunction(network.eval(), batch)
    program = _trace(function, function.inputs_of(batch))
    write_bytes(path, program)
    return function


def _trace(function: TensorFunction, inputs: tuple[Tensor, ...]) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    with warnings.catch_warnings():
        # torch announces its other exporter, and that traced shapes are constants, as they shall be
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            function,
            inputs,
            buffer,  # type: ignore[arg-type]
            input_names=list(function.input_names),
            output_names=list(function.output_names),
            opset_version=_OPSET,
            dynamo=False,
        )
    return buffer.getvalue()
