"""Parsing of configs: YAML, and paths such as `forcing/interval`."""

import re
from collections.abc import Mapping
from typing import Any

import yaml


class ConfigError(ValueError):
    """A config that cannot be used; the message names the setting, its value and what to do."""


class Loader(yaml.SafeLoader):
    """YAML 1.1 with the floats of YAML 1.2: `1e-3` is a number."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def parse_value(text: str) -> Any:
    """Parse the value of `--set path=VALUE` as YAML.

    Args:
        text: A YAML scalar, list or mapping.

    Returns:
        The Python value.

    Example:
        >>> parse_value("[1e-3, 8, adam]")
        [0.001, 8, 'adam']
    """
    return yaml.load(text, Loader=Loader)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to one of paths, e.g. `{"forcing/interval": 16}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def set_path(nested: dict[str, Any], path: str, value: Any) -> None:
    """Set a value in nested dicts. Raises `ConfigError` where the path runs through a value."""
    *parents, leaf = path.split("/")
    for parent in parents:
        nested = nested.setdefault(parent, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"{path}: '{parent}' is a value, not a section. Leave out what follows it.")
    nested[leaf] = value
