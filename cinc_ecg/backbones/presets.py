"""Named image backbones to start from: where they come from and what they are made of.

Architectures of Hugging Face models are written down here, so that a random model of that name is
built without a network. Sources: the models' configuration files on the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_IN1K, _IN22K = "ImageNet-1k", "ImageNet-22k, 1k"


@dataclass(frozen=True, slots=True)
class Preset:
    """A backbone's name with facts about its published weights.

    Attributes:
        spec: "scheme:name".
        weights: Id and revision to fetch, as in `hub:ID@REVISION`; "" where none are published.
        input_px: Side of the pictures it was trained on.
        pretraining: Data it was trained on.
        model_type: Hugging Face's type; "" for the other libraries.
        config: Hugging Face's configuration, as far as it differs from the type's defaults.
    """

    spec: str
    weights: str
    input_px: int
    pretraining: str
    model_type: str = ""
    config: dict[str, Any] = field(default_factory=dict)


def _convnext(size: str, data: str, px: int, depth: int, width: int) -> Preset:
    name = f"facebook/convnextv2-{size}-{data}-{px}"
    config = {
        "depths": [3 if depth > 8 else 2, 3 if depth > 8 else 2, depth, 3 if depth > 8 else 2],
        "hidden_sizes": [width, 2 * width, 4 * width, 8 * width],
        "image_size": px,
    }
    taught = _IN1K if data == "1k" else _IN22K
    return Preset(f"hf:{name}", f"{name}@main", px, taught, "convnextv2", config)


def _swin(name: str, px: int, width: int, depth: int, window: int) -> Preset:
    config = {
        "embed_dim": width,
        "depths": [2, 2, depth, 2],
        "num_heads": [width // 32, width // 16, width // 8, width // 4],
        "window_size": window,
        "image_size": px,
    }
    if "to" in name:
        config["pretrained_window_sizes"] = [12, 12, 12, 6]
    full = f"microsoft/swinv2-{name}"
    taught = _IN22K if "22k" in name else _IN1K
    return Preset(f"hf:{full}", f"{full}@main", px, taught, "swinv2", config)


def _resnet(size: int, depths: list[int], widths: list[int], layer: str) -> Preset:
    name = f"microsoft/resnet-{size}"
    config = {"depths": depths, "hidden_sizes": widths, "layer_type": layer}
    return Preset(f"hf:{name}", f"{name}@main", 224, _IN1K, "resnet", config)


_FINE_TUNED = "-patch4-window12to{}-192to{}-22kto1k-ft"

PRESETS: tuple[Preset, ...] = (
    Preset("cinc:tiny", "", 0, "none"),
    Preset("cinc:small", "", 0, "none"),
    _resnet(18, [2, 2, 2, 2], [64, 128, 256, 512], "basic"),
    _resnet(34, [3, 4, 6, 3], [64, 128, 256, 512], "basic"),
    _resnet(50, [3, 4, 6, 3], [256, 512, 1024, 2048], "bottleneck"),
    _convnext("atto", "1k", 224, 6, 40),
    _convnext("femto", "1k", 224, 6, 48),
    _convnext("pico", "1k", 224, 6, 64),
    _convnext("nano", "22k", 384, 8, 80),
    _convnext("tiny", "22k", 384, 9, 96),
    _convnext("base", "22k", 384, 27, 128),
    _convnext("large", "22k", 384, 27, 192),
    _convnext("huge", "22k", 512, 27, 352),
    _swin("tiny-patch4-window16-256", 256, 96, 6, 16),
    _swin("small-patch4-window16-256", 256, 96, 18, 16),
    _swin("base" + _FINE_TUNED.format(24, 384), 384, 128, 18, 24),
    _swin("large" + _FINE_TUNED.format(24, 384), 384, 192, 18, 24),
    Preset("timm:resnet18", "timm/resnet18.a1_in1k@main", 224, _IN1K),
    Preset("timm:resnet34", "timm/resnet34.a1_in1k@main", 224, _IN1K),
    Preset("timm:convnextv2_atto", "timm/convnextv2_atto.fcmae_ft_in1k@main", 224, _IN1K),
    Preset(
        "timm:convnextv2_nano", "timm/convnextv2_nano.fcmae_ft_in22k_in1k_384@main", 384, _IN22K
    ),
    Preset(
        "timm:convnext_tiny", "timm/convnext_tiny.in12k_ft_in1k_384@main", 384, "ImageNet-12k, 1k"
    ),
    Preset("timm:efficientnet_b0", "timm/efficientnet_b0.ra_in1k@main", 224, _IN1K),
    Preset("timm:swinv2_tiny_window8_256", "timm/swinv2_tiny_window8_256.ms_in1k@main", 256, _IN1K),
    Preset("torchvision:resnet18", "torchvision/resnet18@IMAGENET1K_V1", 224, _IN1K),
    Preset("torchvision:convnext_tiny", "torchvision/convnext_tiny@IMAGENET1K_V1", 224, _IN1K),
    Preset("torchvision:efficientnet_b0", "torchvision/efficientnet_b0@IMAGENET1K_V1", 224, _IN1K),
    Preset("torchvision:swin_v2_t", "torchvision/swin_v2_t@IMAGENET1K_V1", 256, _IN1K),
)


def preset(spec: str) -> Preset | None:
    """Return the preset of a spec, or None."""
    return next((p for p in PRESETS if p.spec == spec), None)
