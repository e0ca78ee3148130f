"""Fetch published weights once, where there is a network: for image builds, never at run time."""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors.torch import save_file

from cinc_ecg.backbones.presets import preset
from cinc_ecg.backbones.weights import Source, hub_folder, parse_source, read_state
from cinc_ecg.errors import PluginError
from cinc_ecg.plugins.providers import split_spec

_PATTERNS = ["config.json", "preprocessor_config.json", "*.safetensors"]
_OLD_FORMAT = "pytorch_model.bin"
_NAME = "model.safetensors"

logger = logging.getLogger(__name__)


def fetch(spec: str, weights: str = "") -> tuple[str, Path]:
    """Download a backbone's configuration and weights to where `hub:` looks for them.

    Args:
        spec: "scheme:name".
        weights: "ID@REVISION"; the preset's, or the name's own on the hub, if empty.

    Returns:
        The weights as to be written in a configuration, and the folder.

    Raises:
        PluginError: Nothing is published under that name, or the download fails.
    """
    source = source_of(spec, weights)
    folder = hub_folder(source.place, source.revision)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if source.place.startswith("torchvision/"):
            _from_torchvision(source, folder)
        else:
            _from_hub(source, folder)
    except PluginError:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    return f"hub:{source.place}@{source.revision}", folder


def source_of(spec: str, weights: str = "") -> Source:
    """Return which published weights belong to a backbone.

    Raises:
        PluginError: None are known.
    """
    if weights:
        return parse_source(f"hub:{weights.removeprefix('hub:')}")
    scheme, name, _ = split_spec(spec)
    known = preset(f"{scheme}:{name}")
    if known is not None and known.weights:
        return parse_source(f"hub:{known.weights}")
    if scheme == "hf":
        return parse_source(f"hub:{name}")
    if scheme == "timm":
        return parse_source(f"hub:{_timm_id(name)}")
    if scheme == "torchvision":
        return parse_source(f"hub:torchvision/{name}@DEFAULT")
    raise PluginError(
        f"{spec} has no published weights that are known; name them: --weights ID@REVISION",
        code="weights_fetch",
    )


def _timm_id(name: str) -> str:
    import timm

    settings = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if settings is None or not settings.hf_hub_id:
        raise PluginError(f"timm has no weights for {name}", code="weights_fetch")
    identity = str(settings.hf_hub_id)
    tagged = f"{settings.architecture}.{settings.tag}" if settings.tag else name
    return identity + tagged if identity.endswith("/") else identity


def _from_hub(source: Source, folder: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    def download(patterns: list[str]) -> None:
        huggingface_hub.snapshot_download(
            source.place,
            revision=source.revision,
            local_dir=folder,
            allow_patterns=patterns,
        )

    try:
        download(_PATTERNS)
        if not any(folder.glob("*.safetensors")):
            download([_OLD_FORMAT])
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        raise _failed(source, error) from error
    old = folder / _OLD_FORMAT
    if old.exists():
        state = read_state(old, source.place)
        save_file({key: value.contiguous().clone() for key, value in state.items()}, folder / _NAME)
        old.unlink()
    if not any(folder.glob("*.safetensors")):
        raise PluginError(
            f"{source.place}@{source.revision} holds no weights in a safe format",
            code="weights_fetch",
        )


def _from_torchvision(source: Source, folder: Path) -> None:
    from torchvision import models

    name = source.place.partition("/")[2]
    try:
        entry = models.get_model_weights(name)[source.revision]
    except (ValueError, KeyError) as error:
        raise PluginError(
            f"torchvision has no weights {source.revision} for {name}", code="weights_fetch"
        ) from error
    try:
        state = entry.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the checksum differs
        raise _failed(source, error) from error
    save_file({key: value.contiguous().clone() for key, value in state.items()}, folder / _NAME)


def _failed(source: Source, error: Exception) -> PluginError:
    lines = str(error).strip().splitlines()
    return PluginError(
        f"{source.place}@{source.revision} cannot be fetched "
        f"({lines[0] if lines else type(error).__name__}); check the name and the network",
        code="weights_fetch",
    )
