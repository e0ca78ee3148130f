"""What a plugin offers and what its builder is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl

from cinc_ecg.errors import PluginError

Kind = Literal["image", "signal"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class BackboneProvider:
    """A family of backbones under one scheme, named by strings so that nothing heavy is imported.

    Attributes:
        scheme: What stands before the colon: "timm" in `timm:resnet34`.
        kind: "image" or "signal".
        summary: One line for listings.
        build: "package.module:function"; called with a `BackboneRequest`, returns the backbone.
        names: "package.module:function"; called with nothing, returns the names it can build.
        requires: Importable packages to look for before `build` or `names` is imported.
        extra: The extra of this package that installs them; "" for `pip install PACKAGE`.
    """

    scheme: str
    kind: Kind
    summary: str
    build: str
    names: str
    requires: tuple[str, ...] = ()
    extra: str = ""

    def missing(self) -> tuple[str, ...]:
        """Return the required packages that are not installed; imports none of them."""
        return tuple(name for name in self.requires if not _is_installed(name))


@dataclass(frozen=True, slots=True)
class BackboneRequest:
    """One backbone, as a builder needs to know it.

    Attributes:
        name: What stands after the colon, without options.
        in_channels: Channels of a picture, or leads of a signal.
        image_size: (height, width) in px that will be fed, where it is fixed; None otherwise.
        weights: "none" (random), "local:PATH" or "hub:ID@REVISION".
        levels: How many feature maps, the coarsest ones (image).
        options: Parameters of the architecture: `cinc:resnet1d_wang?width=64`.
        architecture: What an earlier backbone of this name gave as its `.architecture`; "" else.
    """

    name: str
    in_channels: int = 3
    image_size: tuple[int, int] | None = None
    weights: str = "none"
    levels: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    architecture: str = ""


class UnknownNameError(PluginError):
    """Raised by a builder for a name it does not have; the manager adds close matches.

    Args:
        name: The name.
        hint: What else could be done about it.
    """

    code = "backbone_unknown"

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(f"no backbone {name}{f'; {hint}' if hint else ''}")
        self.hint = hint


def split_spec(spec: str) -> tuple[str, str, dict[str, Any]]:
    """Split "scheme:name?key=value&..." into scheme, name and options.

    Raises:
        PluginError: There is no colon, or an option has no value.
    """
    scheme, colon, rest = spec.partition(":")
    if not (colon and scheme and rest):
        raise PluginError(
            f"{spec!r} does not name a backbone: write scheme:name, as in timm:resnet18",
            code="backbone_unknown",
        )
    name, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        raise PluginError(
            f"{spec!r}: options are written ?key=value&key=value", code="backbone_unknown"
        ) from None
    return scheme, name, {key: _value(text) for key, text in pairs}


def resolve(target: str) -> Callable[..., Any]:
    """Import "package.module:function" and return the function."""
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def check_provider(provider: object, kind: Kind) -> BackboneProvider:
    """Return `provider` if a manager can use it.

    Raises:
        PluginError: It is no provider, of another kind, or a field has the wrong form.
    """
    if not isinstance(provider, BackboneProvider):
        raise PluginError(f"{provider!r} is no BackboneProvider")
    if provider.kind != kind:
        raise PluginError(
            f"scheme {provider.scheme!r} is of kind {provider.kind!r} but comes from the hook "
            f"for {kind!r}"
        )
    texts = {f.name for f in fields(BackboneProvider)} - {"requires"}
    for name in sorted(texts):
        if not isinstance(getattr(provider, name), str):
            raise PluginError(f"scheme {provider.scheme!r}: {name} is no string")
    if not provider.scheme.isidentifier():
        raise PluginError(f"{provider.scheme!r} is no scheme: letters, digits and _ only")
    for name in ("build", "names"):
        module, _, attribute = getattr(provider, name).partition(":")
        if not (module and attribute.isidentifier()):
            raise PluginError(
                f"scheme {provider.scheme!r}: {name} is {getattr(provider, name)!r}, "
                'expected "package.module:function"'
            )
    if isinstance(provider.requires, str):
        raise PluginError(f"scheme {provider.scheme!r}: requires is a string, expected a tuple")
    return provider


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # a parent package is missing, or a half-imported module
        return False


def _value(text: str) -> Any:
    """Read an option's text as bool, int, float or, failing these, text."""
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
