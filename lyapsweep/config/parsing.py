"""Parsing of configs: YAML, and paths such as `forcing/interval`."""

from collections.abc import Mapping
from typing import Any

from lyapsweep.config.yaml_text import parse_yaml


class ConfigError(ValueError):
    """A config that cannot be used; the message names the setting, its value and what to do."""


def parse_value(text: str) -> Any:
    """Parse the value of `--set path=VALUE` as YAML.

    Args:
        text: A YAML scalar, list or mapping.

    Returns:
        The Python value.

    Raises:
        yaml.YAMLError: If the text is not YAML.

    Example:
        >>> parse_value("[1e-3, 8, adam]")
        [0.001, 8, 'adam']
    """
    return parse_yaml(text)


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
