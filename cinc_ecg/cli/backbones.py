"""`cinc-ecg backbones`: what can be built by name, and from which weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cinc_ecg.plugins import BackboneManager
    from cinc_ecg.plugins.providers import Kind

backbones = typer.Typer(
    help="Backbones by name: list, show, fetch weights, check.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="scheme:name, as in timm:resnet18.")]
KindOption = Annotated[
    str, typer.Option("--kind", help="image or signal; found from the name if not given.")
]
SizeOption = Annotated[
    str, typer.Option("--image-size", help="HEIGHTxWIDTH in px for backbones bound to one size.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@backbones.command("list")
def list_(
    scheme: Annotated[
        str, typer.Argument(help="All names of one scheme; schemes and presets if not given.")
    ] = "",
    match: Annotated[str, typer.Option("--match", help="Only names that hold this text.")] = "",
    kind: KindOption = "",
    as_json: JsonOption = False,
) -> None:
    """List schemes, who offers them, and presets; or all names of one scheme."""
    from cinc_ecg.plugins import get_manager

    manager = get_manager()
    wanted = _kinds(kind)
    if scheme:
        known = [k for k in wanted if any(p.scheme == scheme for p in manager.providers(k))]
        names = {k: manager.names(scheme, k) for k in known or wanted[:1]}
        found = [(k, f"{scheme}:{n}") for k, ns in names.items() for n in ns if match in n]
        if as_json:
            print(json.dumps([{"kind": k, "name": n} for k, n in found], indent=2))
        else:
            print("\n".join(f"{n}  ({k})" if len(names) > 1 else n for k, n in found))
        return
    _print_overview(manager, wanted, match, as_json)


@backbones.command("show")
def show(
    name: Name,
    weights: Annotated[
        str, typer.Option("--weights", help="none, local:PATH or hub:ID@REVISION.")
    ] = "none",
    kind: KindOption = "",
    image_size: SizeOption = "",
    as_json: JsonOption = False,
) -> None:
    """Build a backbone and print its maps, size and source."""
    from cinc_ecg.backbones.presets import preset
    from cinc_ecg.plugins import get_manager

    manager = get_manager()
    which = _kind_of(manager, name, kind)
    module = manager.build(
        name,
        kind=which,
        in_channels=3 if which == "image" else 12,
        image_size=_size(image_size),
        weights=weights,
    )
    provider = manager.provider(name.partition(":")[0], which)
    known = preset(name)
    facts: dict[str, Any] = {
        "name": name,
        "kind": which,
        "plugin": manager.owner(provider),
        "parameters": sum(p.numel() for p in module.parameters()),
        "channels": list(module.channels),
        "strides": list(module.strides),
        "min_multiple": module.min_multiple,
    }
    if which == "image":
        facts["image_size"] = getattr(module, "image_size", None)
        facts |= {"mean": list(module.mean), "std": list(module.std)}
    if known is not None and known.weights:
        facts |= {"published_weights": f"hub:{known.weights}", "pretraining": known.pretraining}
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        for key, value in facts.items():
            print(f"{key:18} {_plain(value)}")


@backbones.command("fetch")
def fetch(
    name: Name,
    weights: Annotated[
        str, typer.Option("--weights", help="ID@REVISION; the published ones if not given.")
    ] = "",
) -> None:
    """Download configuration and weights, for use without a network later."""
    from cinc_ecg.backbones.fetch import fetch as download

    written, folder = download(name, weights)
    print(f"{folder}\nuse it with: weights={written}")


@backbones.command("check")
def check(
    name: Name,
    kind: KindOption = "",
    image_size: SizeOption = "",
) -> None:
    """Check a backbone against the contract: shapes, gradients, determinism, saving."""
    from cinc_ecg.plugins import get_manager
    from cinc_ecg.testing import check_image_backbone, check_signal_backbone

    if _kind_of(get_manager(), name, kind) == "image":
        lines = check_image_backbone(name, image_size=_size(image_size))
    else:
        lines = check_signal_backbone(name)
    print("\n".join(f"ok  {line}" for line in lines))


def _print_overview(
    manager: BackboneManager, kinds: tuple[Kind, ...], match: str, as_json: bool
) -> None:
    from cinc_ecg.backbones.presets import PRESETS

    providers = [p for k in kinds for p in manager.providers(k)]
    presets = [p for p in PRESETS if "image" in kinds and match in p.spec]
    if as_json:
        offers = [
            asdict(p) | {"plugin": manager.owner(p), "missing": p.missing()} for p in providers
        ]
        known = [{"name": p.spec, "weights": p.weights} for p in presets]
        document = {"schemes": offers, "presets": known, "broken": manager.broken}
        print(json.dumps(document, indent=2))
        return
    for provider in providers:
        lack = provider.missing()
        state = f"  [missing: {', '.join(lack)}]" if lack else ""
        title = f"{provider.scheme}: ({provider.kind}, {manager.owner(provider)})"
        print(f"{title:34} {provider.summary}{state}")
    for name, reason in manager.broken.items():
        print(f"{name}: skipped, {reason}")
    if presets:
        print("\nPresets (any other name of a scheme works too: cinc-ecg backbones list SCHEME)")
        print("\n".join(f"  {p.spec:68} {p.pretraining}" for p in presets))


def _kind_of(manager: BackboneManager, spec: str, wanted: str) -> Kind:
    """Return the kind that was asked for, or the one that knows the name; image if both."""
    from cinc_ecg.plugins.providers import split_spec

    kinds = _kinds(wanted)
    scheme, name, _ = split_spec(spec)
    offering = [k for k in kinds if any(p.scheme == scheme for p in manager.providers(k))]
    if len(offering) > 1:
        offering = [k for k in offering if name in manager.names(scheme, k)] or offering
    return (offering or list(kinds))[0]


def _kinds(wanted: str) -> tuple[Kind, ...]:
    from cinc_ecg.plugins.providers import KINDS

    if wanted and wanted not in KINDS:
        raise typer.BadParameter(f"--kind is {wanted!r}, expected image or signal")
    return tuple(k for k in KINDS if wanted in ("", k))


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise typer.BadParameter(f"--image-size is {text!r}, expected HEIGHTxWIDTH as in 512x1600")
    return int(height), int(width)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
