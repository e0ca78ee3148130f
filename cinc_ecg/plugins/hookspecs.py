"""The whole plugin surface: two hooks, each returning `BackboneProvider`s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pluggy

from cinc_ecg.plugins.providers import BackboneProvider

PROJECT = "cinc_ecg"

hookspec = pluggy.HookspecMarker(PROJECT)
#: Marks the functions of a plugin that implement a hook.
hookimpl: Any = pluggy.HookimplMarker(PROJECT)


@hookspec
def cinc_ecg_image_backbones() -> Iterable[BackboneProvider]:
    """Offer backbones that turn pictures into feature maps."""
    return cast("Iterable[BackboneProvider]", ())


@hookspec
def cinc_ecg_signal_backbones() -> Iterable[BackboneProvider]:
    """Offer backbones that turn 12-lead signals into feature sequences."""
    return cast("Iterable[BackboneProvider]", ())
