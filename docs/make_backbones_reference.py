"""Write docs/reference/backbones.md from the registry: `python docs/make_backbones_reference.py`.

Image networks are built on torch's meta device: shapes and counts without memory or arithmetic.
"""

from pathlib import Path

import torch

from cinc_ecg.backbones.presets import PRESETS, Preset
from cinc_ecg.plugins import build_backbone, get_manager

TARGET = Path(__file__).parent / "reference" / "backbones.md"
HEAD = """\
# Backbones

Written by `python docs/make_backbones_reference.py` from the registry; do not edit.

A backbone is named `scheme:name`, with options `scheme:name?option=value`. Any name that the
library behind a scheme knows can be used, not only those below: `cinc-ecg backbones list timm`
shows them. Weights are `none` (random), `local:PATH` or `hub:ID@REVISION`; the latter are fetched
once, where there is a network, with `cinc-ecg backbones fetch NAME`, and never at run time.
How to add your own: [register a backbone](../how-to/register-a-backbone.md).

"""
IMAGE = """\
## Image backbones

*Maps*: channels at strides, fine to coarse. *Coarsest*: height × width of the last map for a
picture of the size it was trained on. Larger pictures give larger maps; where *size* is bound, say
`image_size`.

| name | source | M parameters | px trained at | maps | coarsest | size | pre-training | weights |
|---|---|---:|---:|---|---|---|---|---|
"""
SIGNAL = """\

## Signal backbones

Random weights; every option is a size of the network.

| name | M parameters | channels | stride, samples | options with defaults |
|---|---:|---:|---:|---|
"""
_SOURCES = {
    "cinc": "this package",
    "hf": "Hugging Face",
    "timm": "timm",
    "torchvision": "torchvision",
}


def millions(module: torch.nn.Module) -> str:
    """Return the number of parameters in millions."""
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f}"


def image_row(preset: Preset) -> str:
    """Return the table row of an image preset."""
    with torch.device("meta"):
        backbone = build_backbone(preset.spec, kind="image")
    maps = ", ".join(f"{c}@{s}" for c, s in zip(backbone.channels, backbone.strides, strict=True))
    side = preset.input_px // backbone.strides[-1]
    cells = (
        f"`{preset.spec}`",
        _SOURCES[preset.spec.partition(":")[0]],
        millions(backbone),
        preset.input_px or "—",
        maps,
        f"{side} × {side}" if side else "—",
        "any" if backbone.image_size is None else "bound",
        preset.pretraining,
        f"`{preset.weights}`" if preset.weights else "—",
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def signal_row(name: str) -> str:
    """Return the table row of a signal network of this package."""
    from cinc_ecg.backbones.signal import NETWORKS

    with torch.device("meta"):
        backbone = build_backbone(f"cinc:{name}", kind="signal", in_channels=12)
    options = ", ".join(f"{key}={value}" for key, value in NETWORKS[name][1].items())
    cells = (
        f"`cinc:{name}`",
        millions(backbone),
        backbone.channels[0],
        backbone.strides[0],
        f"`{options}`",
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def text() -> str:
    """Return the whole page."""
    images = "".join(image_row(preset) for preset in PRESETS)
    signals = "".join(signal_row(name) for name in get_manager().names("cinc", "signal"))
    return HEAD + IMAGE + images + SIGNAL + signals


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
