"""How a config is written: YAML with the floats that everybody expects, and paths such as `forcing/interval`."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml


class ConfigError(ValueError):
    """A setting that cannot be: the message names the place, the value and the remedy."""


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def digest(flat: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(flat, sort_keys=True, default=str).encode()).hexdigest()[:12]


def parse_value(text: str) -> Any:
    """The value of `--set path=VALUE`, read as YAML reads it."""
    return yaml.load(text, Loader=Loader)


class Loader(yaml.SafeLoader):
    """YAML 1.2 floats: `1e-3` is a number, as everybody expects."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)
