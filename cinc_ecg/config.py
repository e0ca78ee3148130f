"""Load a configuration: defaults in code, then a YAML file, then `key=value` overrides.

Each part of the package owns its own dataclass; this module only reads and merges. Unknown keys,
wrong types and impossible values are errors that name the key and what is near it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from cinc_ecg.errors import ConfigError

T = TypeVar("T")


def load_config(
    cls: type[T],
    *,
    path: Path | str | None = None,
    overrides: Sequence[str] = (),
    presets: Mapping[str, Path] | None = None,
    values: Mapping[str, Any] | None = None,
) -> T:
    """Build a configuration object.

    Args:
        cls: A dataclass with defaults for every field, nested as deep as needed.
        path: A YAML file, or a name of `presets`; None keeps the defaults.
        overrides: "dotted.name=value" each, stronger than the file; values are read as YAML.
        presets: Named files that come with the package.
        values: Nested values, as `to_plain` gives them, between defaults and file.

    Returns:
        An instance of `cls`, its parts instances of their own classes.

    Raises:
        ConfigError: a file, key or value is wrong (config).
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = OmegaConf.structured(cls, flags={"readonly": False})
    layers = [("values", dict(values))] if values else []
    layers += [] if path is None else [(str(path), _read(path, presets or {}))]
    layers += [(item, _override(item)) for item in overrides]
    for source, layer in layers:
        _check_keys(cls, layer, source)
        try:
            config = OmegaConf.merge(config, layer)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            raise ConfigError(f"{source}: {_first_line(error)}") from None
    try:
        return cast(T, OmegaConf.to_object(config))
    except ConfigError:
        raise  # a dataclass's own `__post_init__` about a combination of values
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_first_line(error)) from None


def to_plain(config: object) -> dict[str, Any]:
    """Return a configuration as nested dictionaries and lists, ready for JSON or YAML."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(config), resolve=True)
    return cast(dict[str, Any], _lists(plain))


def to_yaml(config: object) -> str:
    """Return a configuration as YAML text that `load_config` reads back."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(to_plain(config)))


def dotted_names(cls: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every leaf of a configuration class, in order."""
    hints = get_type_hints(cls)
    for entry in fields(cls):
        kind = hints[entry.name]
        if isinstance(kind, type) and is_dataclass(kind):
            yield from dotted_names(kind, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name


def _read(path: Path | str, presets: Mapping[str, Path]) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from yaml import YAMLError

    file = presets.get(str(path), Path(path))
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(file))
    except FileNotFoundError:
        raise ConfigError(_no_such(str(path), presets)) from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"{file}: is no readable YAML ({_first_line(error)})") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file}: must hold names and values, not a {type(loaded).__name__}")
    return {str(key): value for key, value in loaded.items()}


def _no_such(name: str, presets: Mapping[str, Path]) -> str:
    near = get_close_matches(name, presets, 3, 0.4) or sorted(presets)
    hint = f"; named ones are {', '.join(near)}" if near else ""
    return f"{name}: no such configuration file{hint}"


def _override(text: str) -> dict[str, Any]:
    """Turn "a.b=3" into {"a": {"b": 3}}."""
    from omegaconf import OmegaConf
    from yaml import YAMLError

    key, sign, _ = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"{text!r} is no override; write key=value, as in training.batch_size=4")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist([text]))
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{text!r}: the value cannot be read ({_first_line(error)})") from None
    return cast(dict[str, Any], values)


def _check_keys(cls: type, values: Mapping[str, Any], source: str, prefix: str = "") -> None:
    """Refuse keys that are no field, with the nearest dotted names of the whole configuration."""
    hints = get_type_hints(cls)
    known = {entry.name for entry in fields(cls)}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"{source}: unknown key {name!r}; {_near(cls, str(key), prefix)}")
        kind = hints[key]
        if isinstance(kind, type) and is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise ConfigError(
                    f"{source}: {name} is a group; set one of its keys: "
                    f"{', '.join(dotted_names(kind, name + '.'))}"
                )
            _check_keys(kind, value, source, f"{name}.")


def _near(cls: type, key: str, prefix: str) -> str:
    names = [prefix + name for name in dotted_names(cls)]
    tails = {name.rsplit(".", 1)[-1]: name for name in names}
    near = [tails[tail] for tail in get_close_matches(key, tails, 3, 0.5)]
    groups = [prefix + entry.name for entry in fields(cls)]
    near = near or get_close_matches(prefix + key, groups, 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(groups)}"


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_lists(entry) for entry in value]
    return value


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    where = next((line for line in lines if line.startswith("full_key:")), "")
    key = where.removeprefix("full_key:").strip()
    first = lines[0] if lines else type(error).__name__
    return f"{key}: {first}" if key else first
