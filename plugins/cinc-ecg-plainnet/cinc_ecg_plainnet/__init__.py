"""Plain strided convolutions as an image backbone: what is offered."""

from cinc_ecg.plugins import BackboneProvider, hookimpl


@hookimpl
def cinc_ecg_image_backbones() -> tuple[BackboneProvider, ...]:
    """Offer `plainnet:narrow` and `plainnet:wide`."""
    return (
        BackboneProvider(
            scheme="plainnet",
            kind="image",
            summary="plain strided 3x3 convolutions",
            build="cinc_ecg_plainnet.network:build",
            names="cinc_ecg_plainnet.network:names",
            requires=("torch",),
        ),
    )
