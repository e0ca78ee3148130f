"""Backbones by name, from this package and from others: hooks, providers, manager.

Standard library and pluggy only: neither NumPy nor torch is loaded before a backbone is built.
"""

from __future__ import annotations

from cinc_ecg.plugins.hookspecs import hookimpl
from cinc_ecg.plugins.manager import BackboneManager, build_backbone, get_manager
from cinc_ecg.plugins.providers import BackboneProvider, BackboneRequest, UnknownNameError

__all__ = [
    "BackboneManager",
    "BackboneProvider",
    "BackboneRequest",
    "UnknownNameError",
    "build_backbone",
    "get_manager",
    "hookimpl",
]
