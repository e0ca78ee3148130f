"""The backbones of this package, offered through the same hooks as anybody else's."""

from __future__ import annotations

from cinc_ecg.plugins.hookspecs import hookimpl
from cinc_ecg.plugins.providers import BackboneProvider

_BUILDERS = "cinc_ecg.backbones"


@hookimpl
def cinc_ecg_image_backbones() -> tuple[BackboneProvider, ...]:
    """Offer Hugging Face, timm, torchvision and the package's own small encoders."""
    return (
        BackboneProvider(
            "cinc",
            "image",
            "small encoders of this package, quick on a CPU",
            f"{_BUILDERS}.cinc_image:build",
            f"{_BUILDERS}.cinc_image:names",
            ("torch",),
        ),
        BackboneProvider(
            "hf",
            "image",
            "Hugging Face transformers: a model id, a model type or a local folder",
            f"{_BUILDERS}.hf_:build",
            f"{_BUILDERS}.hf_:names",
            ("torch", "transformers"),
        ),
        BackboneProvider(
            "timm",
            "image",
            "timm: every model that gives features",
            f"{_BUILDERS}.timm_:build",
            f"{_BUILDERS}.timm_:names",
            ("torch", "timm"),
        ),
        BackboneProvider(
            "torchvision",
            "image",
            "torchvision: classification models with feature maps",
            f"{_BUILDERS}.torchvision_:build",
            f"{_BUILDERS}.torchvision_:names",
            ("torch", "torchvision"),
        ),
    )


@hookimpl
def cinc_ecg_signal_backbones() -> tuple[BackboneProvider, ...]:
    """Offer the one-dimensional networks of the ECG literature."""
    return (
        BackboneProvider(
            "cinc",
            "signal",
            "one-dimensional residual and inception networks",
            f"{_BUILDERS}.signal:build",
            f"{_BUILDERS}.signal:names",
            ("torch",),
        ),
    )
