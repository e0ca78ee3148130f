"""Find plugins, keep broken ones out, and build backbones by name."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
from collections.abc import Callable, Collection, Iterable
from functools import cache
from importlib import metadata
from typing import Any, Protocol

import pluggy

from cinc_ecg.errors import CincEcgError, PluginError
from cinc_ecg.plugins import builtin, hookspecs
from cinc_ecg.plugins.providers import (
    KINDS,
    BackboneProvider,
    BackboneRequest,
    Kind,
    UnknownNameError,
    check_provider,
    resolve,
    split_spec,
)

#: Entry-point group of third-party packages.
GROUP = "cinc_ecg"
#: Names of plugins to leave out, separated by commas.
DISABLE_VARIABLE = "CINC_ECG_DISABLE_PLUGINS"
_BUILTIN = "builtin"
#: So many names are listed whole in a message.
_FEW = 12
_CONTRACT = ("channels", "strides", "min_multiple")

logger = logging.getLogger(__name__)


class EntryPoint(Protocol):
    """What is used of `importlib.metadata.EntryPoint`."""

    @property
    def name(self) -> str:
        """The plugin's name."""

    def load(self) -> Any:
        """Import the plugin."""


class BackboneManager:
    """All backbone providers, by kind and scheme.

    Args:
        strict: Raise on a broken plugin instead of skipping it.
        disabled: Names of plugins not to load, built-in ones ("builtin") included.
        entry_points: Plugins to load; those installed in group `cinc_ecg` by default.

    Raises:
        PluginError: In strict mode, for a broken plugin; always, for two plugins with one scheme.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        disabled: Collection[str] = (),
        entry_points: Iterable[EntryPoint] | None = None,
    ) -> None:
        self.strict = strict
        self.disabled = frozenset(disabled)
        #: Name of each skipped plugin and why.
        self.broken: dict[str, str] = {}
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._providers: dict[tuple[Kind, str], BackboneProvider] = {}
        self._owners: dict[tuple[Kind, str], str] = {}
        if _BUILTIN not in self.disabled:
            self.register(builtin, _BUILTIN)
        found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for entry in sorted(found, key=lambda e: e.name):
            if entry.name not in self.disabled:
                self._attempt(entry.name, entry.load)

    def register(self, plugin: object, name: str) -> None:
        """Add one plugin: a module or object with hook functions.

        Raises:
            PluginError: It has misspelt hooks, gives no valid providers, or repeats a scheme.
        """
        _check_spelling(plugin, name)
        try:
            self._hooks.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"plugin {name!r} cannot be registered: {error}") from error
        try:
            offered = [p for kind in KINDS for p in self._offers(plugin, name, kind)]
        except BaseException:
            self._hooks.unregister(plugin)
            raise
        clash = [p for p in offered if (p.kind, p.scheme) in self._providers]
        keys = [(p.kind, p.scheme) for p in offered]
        if clash or len(set(keys)) < len(keys):
            self._hooks.unregister(plugin)
            scheme = (clash or offered)[0]
            owner = self._owners.get((scheme.kind, scheme.scheme), name)
            raise DuplicateSchemeError(
                f"plugins {owner!r} and {name!r} both offer {scheme.kind} backbones "
                f"{scheme.scheme}:...; set {DISABLE_VARIABLE}={name} or uninstall one"
            )
        for provider in offered:
            self._providers[provider.kind, provider.scheme] = provider
            self._owners[provider.kind, provider.scheme] = name

    def providers(self, kind: Kind | None = None) -> tuple[BackboneProvider, ...]:
        """Return what is offered, of one kind or of both, in alphabetical order."""
        chosen = (p for p in self._providers.values() if kind in (None, p.kind))
        return tuple(sorted(chosen, key=lambda p: (p.kind, p.scheme)))

    def owner(self, provider: BackboneProvider) -> str:
        """Return the name of the plugin a provider comes from."""
        return self._owners[provider.kind, provider.scheme]

    def provider(self, scheme: str, kind: Kind) -> BackboneProvider:
        """Return the provider of a scheme.

        Raises:
            PluginError: There is none; names the nearest, or the broken plugins.
        """
        found = self._providers.get((kind, scheme))
        if found is None:
            known = [p.scheme for p in self.providers(kind)]
            others = [k for k in KINDS if (k, scheme) in self._providers]
            hint = _near(scheme, known) or f"known: {', '.join(known)}"
            if others:
                hint = f"{scheme}: has {others[0]} backbones only; {hint}"
            skipped = f"; skipped plugins: {', '.join(self.broken)}" if self.broken else ""
            raise PluginError(
                f"no {kind} backbones {scheme}:...; {hint}{skipped}", code="backbone_unknown"
            )
        return found

    def names(self, scheme: str, kind: Kind) -> tuple[str, ...]:
        """Return the names a scheme can build; imports its package."""
        provider = self.provider(scheme, kind)
        _check_installed(provider)
        return tuple(self._load(provider, "names")())

    def build(
        self,
        spec: str,
        *,
        kind: Kind,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        weights: str = "none",
        levels: int = 4,
        architecture: str = "",
    ) -> Any:
        """Build a backbone; see `build_backbone`."""
        scheme, name, options = split_spec(spec)
        provider = self.provider(scheme, kind)
        _check_installed(provider)
        build = self._load(provider, "build")
        size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
        request = BackboneRequest(name, in_channels, size, weights, levels, options, architecture)
        try:
            backbone = build(request)
        except UnknownNameError as error:
            raise self._unknown_name(scheme, name, kind, error.hint) from error
        except CincEcgError:
            raise
        except Exception as error:
            # A builder that knows no better fails in its own way on a name it does not have.
            if name not in self.names(scheme, kind):
                raise self._unknown_name(scheme, name, kind) from error
            raise PluginError(
                f"{spec} cannot be built: {type(error).__name__}: {_first_line(error)}"
            ) from error
        lacking = [a for a in _CONTRACT if not hasattr(backbone, a)]
        if lacking:
            raise PluginError(
                f"{spec} (plugin {self.owner(provider)!r}) gives a backbone without "
                f"{', '.join(lacking)}; `cinc-ecg backbones check {spec}` tells more"
            )
        return backbone

    def _unknown_name(self, scheme: str, name: str, kind: Kind, hint: str = "") -> PluginError:
        known = self.names(scheme, kind)
        near = _near(name, known)
        if not near and len(known) <= _FEW:
            near = f"known: {', '.join(known)}"
        others = [k for k in KINDS if k != kind and (k, scheme) in self._providers]
        if others and name in self.names(scheme, others[0]):
            near = f"it is a backbone for a {others[0]}"
        near = near or f"`cinc-ecg backbones list {scheme}` shows the known ones"
        parts = "; ".join(part for part in (near, hint) if part)
        return PluginError(f"no {kind} backbone {scheme}:{name}; {parts}", code="backbone_unknown")

    def _load(self, provider: BackboneProvider, which: str) -> Callable[..., Any]:
        target = getattr(provider, which)
        try:
            return resolve(target)
        except Exception as error:
            raise PluginError(
                f"plugin {self.owner(provider)!r}: {target} cannot be imported: "
                f"{type(error).__name__}: {_first_line(error)}"
            ) from error

    def _offers(self, plugin: object, name: str, kind: Kind) -> list[BackboneProvider]:
        caller = getattr(self._hooks.hook, f"cinc_ecg_{kind}_backbones")
        own = [i for i in caller.get_hookimpls() if i.plugin is plugin]
        try:
            return [check_provider(p, kind) for impl in own for p in impl.function()]
        except PluginError as error:
            raise PluginError(f"plugin {name!r}: {error}") from error

    def _attempt(self, name: str, load: Callable[[], Any]) -> None:
        try:
            self.register(load(), name)
        except DuplicateSchemeError:
            raise  # which of the two is meant cannot be guessed
        except Exception as error:
            reason = f"{type(error).__name__}: {_first_line(error)}"
            if isinstance(error, PluginError):
                reason = _first_line(error)
            if self.strict:
                raise PluginError(f"plugin {name!r} is broken: {reason}") from error
            self.broken[name] = reason
            logger.warning("plugin %r is skipped: %s", name, reason)


class DuplicateSchemeError(PluginError):
    """Two plugins offer the same scheme."""


@cache
def get_manager() -> BackboneManager:
    """Return the manager of this process, made on first use from what is installed."""
    names = os.environ.get(DISABLE_VARIABLE, "").split(",")
    return BackboneManager(disabled={name.strip() for name in names if name.strip()})


def build_backbone(
    spec: str,
    *,
    kind: Kind,
    in_channels: int = 3,
    image_size: tuple[int, int] | None = None,
    weights: str = "none",
    levels: int = 4,
    architecture: str = "",
) -> Any:
    """Build a backbone by name; never uses the network.

    Args:
        spec: "scheme:name" or "scheme:name?option=value", as in `timm:convnextv2_nano`.
        kind: "image" or "signal".
        in_channels: Channels of the picture, or leads of the signal.
        image_size: (height, width) in px that will be fed; needed by backbones whose size is
            fixed when they are built (swin).
        weights: "none", "local:PATH" or "hub:ID@REVISION" (fetched before, see
            `cinc-ecg backbones fetch`).
        levels: How many feature maps, the coarsest ones (image).
        architecture: The `.architecture` of a backbone built before from files that lay beside
            its weights: builds the same one without them.

    Returns:
        A torch module with `.channels`, `.strides`, `.min_multiple` and, for pictures, `.mean`
        and `.std` of RGB in 0..1. Image: (B, C, H, W) normalized -> list of (B, C', H', W'),
        fine to coarse. Signal: (B, C, T) -> (B, C', T').

    Raises:
        PluginError: Unknown name (with close matches), missing package, weights that are not
            there or do not fit.
    """
    return get_manager().build(
        spec,
        kind=kind,
        in_channels=in_channels,
        image_size=image_size,
        weights=weights,
        levels=levels,
        architecture=architecture,
    )


def _check_installed(provider: BackboneProvider) -> None:
    missing = provider.missing()
    if missing:
        what = f'"cinc-ecg[{provider.extra}]"' if provider.extra else " ".join(missing)
        raise PluginError(
            f"{provider.scheme}: backbones need {', '.join(missing)}: pip install {what}",
            code="package_missing",
        )


def _check_spelling(plugin: object, name: str) -> None:
    """Refuse functions that look like hooks but are none: a misspelt hook is never called."""
    known = {n for n in vars(hookspecs) if n.startswith("cinc_ecg_")}
    marked = f"{hookspecs.PROJECT}_impl"
    found = 0
    for attribute in dir(plugin):
        function = inspect.getattr_static(plugin, attribute)
        is_hook = hasattr(function, marked)
        if not (is_hook or (attribute.startswith("cinc_ecg_") and callable(function))):
            continue
        if attribute not in known:
            hint = _near(attribute, known) or f"known: {', '.join(sorted(known))}"
            raise PluginError(f"plugin {name!r}: there is no hook {attribute}; {hint}")
        if not is_hook:
            raise PluginError(f"plugin {name!r}: {attribute} lacks the decorator @hookimpl")
        found += 1
    if not found:
        raise PluginError(f"plugin {name!r} has no hooks; known: {', '.join(sorted(known))}")


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
