"""What a network is made of: plain dataclasses that YAML and dotted overrides can fill."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from cinc_ecg.config import to_plain
from cinc_ecg.errors import ConfigError
from cinc_ecg.leads import LEADS

View = Literal["page", "rows", "panels", "signal"]
HeadKind = Literal["soft_argmax", "deconv", "fc", "none"]
Fusion = Literal["concat", "shared", "volume", "none"]


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """The feature extractor.

    Attributes:
        name: `scheme:name`, as `cinc-ecg backbones list` prints them.
        weights: "none" (random), "local:PATH" or "hub:ID@REVISION".
        frozen: Do not train it (batch normalisation then uses its stored statistics).
        levels: Number of feature maps asked of an image backbone.
        architecture: Filled in when built, where the name is not enough to build it again.
    """

    name: str = "cinc:small"
    weights: str = "none"
    frozen: bool = False
    levels: int = 4
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """The digitization head.

    Attributes:
        kind: "soft_argmax" (row heat maps), "deconv" (1-D decoder), "fc" (baseline) or "none".
        width: Channels of the pyramid and the decoders.
        n_rows: Trace rows on a page (views page and rows).
        heat_stride_y, heat_stride_x: Size of a heat-map cell in image pixels.
        local_px: Out of training, a column's mean reaches that far from its highest heat; 0 = all.
        fusion: How the rows of the view "rows" see each other.
        hidden: Width of the layer before the output of "fc"; 0 = none.
        max_head_params: A head with more parameters is refused.
    """

    kind: HeadKind = "soft_argmax"
    width: int = 32
    n_rows: int = 4
    heat_stride_y: int = 2
    heat_stride_x: int = 1
    local_px: float = 12.0
    fusion: Fusion = "shared"
    hidden: int = 0
    max_head_params: int = 50_000_000


@dataclass(frozen=True, slots=True)
class DxConfig:
    """The diagnosis head: one sigmoid per class; no classes, no head.

    Attributes:
        classes: Class names in output order.
        hidden: Width of the hidden layer; 0 = a linear head.
        dropout: Before each linear layer.
    """

    classes: tuple[str, ...] = ()
    hidden: int = 128
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A whole network: view, backbone, heads, and the shapes at its borders.

    Attributes:
        view: What the network looks at.
        image_size: (height, width) px of the page, of one row crop, or of one panel picture.
        n_panels: Panel pictures per record (view panels).
        n_samples, fs_hz: Length and rate of the signals it gives or takes.
        mask_channels: View signal: feed one visibility channel per lead beside the samples.
        leads: Order of the leads.
    """

    view: View = "page"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    dx: DxConfig = field(default_factory=DxConfig)
    image_size: tuple[int, int] = (512, 1024)
    n_panels: int = 12
    n_samples: int = 5000
    fs_hz: float = 500.0
    mask_channels: bool = True
    leads: tuple[str, ...] = LEADS

    @property
    def in_channels(self) -> int:
        """Channels of the backbone's input."""
        if self.view != "signal":
            return 3
        return len(self.leads) * (2 if self.mask_channels else 1)


def check(config: ModelConfig) -> None:
    """Refuse a configuration that cannot be built.

    Raises:
        ConfigError: an unknown choice, a size below 1, or nothing to predict (model_config).
    """
    choices = (
        ("view", config.view, get_args(View)),
        ("head.kind", config.head.kind, get_args(HeadKind)),
        ("head.fusion", config.head.fusion, get_args(Fusion)),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            _refuse(f"model.{name}={value!r}; choose one of {', '.join(allowed)}")
    sizes = {
        "n_samples": config.n_samples,
        "n_panels": config.n_panels,
        "head.width": config.head.width,
        "head.n_rows": config.head.n_rows,
        "head.heat_stride_y": config.head.heat_stride_y,
        "head.heat_stride_x": config.head.heat_stride_x,
        "image_size": min(config.image_size),
        "fs_hz": config.fs_hz,
    }
    for name, size in sizes.items():
        if not size > 0:
            _refuse(f"model.{name} must be positive, not {size}")
    if len(set(config.leads)) != len(config.leads) or not config.leads:
        _refuse("model.leads must be distinct names, at least one")
    if config.view == "signal" and config.head.kind != "none":
        _refuse("model.head.kind must be none for model.view=signal: the input is the signal")
    if config.head.kind == "none" and not config.dx.classes:
        _refuse("nothing to predict: model.head.kind=none and no model.dx.classes")


def _refuse(text: str) -> None:
    raise ConfigError(text, code="model_config")


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Return plain JSON values (tuples become lists)."""
    return to_plain(config)


def config_from_dict(values: dict[str, Any]) -> ModelConfig:
    """Build the configuration that `config_to_dict` wrote.

    Keys that are left out take their defaults, so that a card of an older version still loads.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind (model_config).
    """
    config: ModelConfig = _build(ModelConfig, values, "model")
    check(config)
    return config


_NESTED: dict[str, type[Any]] = {"backbone": BackboneConfig, "head": HeadConfig, "dx": DxConfig}


def _build(cls: type[Any], values: dict[str, Any], where: str) -> Any:
    if not isinstance(values, dict):
        _refuse(f"{where} must be a table, not {type(values).__name__}")
    known = {item.name for item in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        _refuse(f"{where} has unknown keys: {', '.join(unknown)}")
    arguments = {}
    for name, value in values.items():
        if cls is ModelConfig and name in _NESTED:
            arguments[name] = _build(_NESTED[name], value, f"{where}.{name}")
        else:
            arguments[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}", code="model_config") from error
