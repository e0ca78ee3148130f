"""A recurrent network as a signal backbone: what is offered."""

from cinc_ecg.plugins import BackboneProvider, hookimpl


@hookimpl
def cinc_ecg_signal_backbones() -> tuple[BackboneProvider, ...]:
    """Offer `gru:bidirectional`, with the option `width`."""
    return (
        BackboneProvider(
            scheme="gru",
            kind="signal",
            summary="strided convolutions and recurrent units in both directions",
            build="cinc_ecg_gru.network:build",
            names="cinc_ecg_gru.network:names",
            requires=("torch",),
        ),
    )
