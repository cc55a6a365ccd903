"""How one trial of a sweep is run on its own: a command where the sweep's base config is known, else a config file."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from lyapsweep.config import Config
from lyapsweep.config.parsing import flatten, parse_value


def run_command(config: Config, path: str, base: Mapping[str, Any]) -> str:
    """Return the `lyapsweep run PATH --set ...` that changes the config at `path` (`base`) into this one."""
    options = [f"--set {shlex.quote(f'{key}={as_yaml(value)}')}" for key, value in changes(config.to_dict(), base)]
    return " ".join(["lyapsweep run", shlex.quote(path), *options])


def changes(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return (path, value) where two configs differ; a section with other settings is given whole."""
    found: list[tuple[str, Any]] = []
    for section, value in wanted.items():
        new, old = flatten({section: value}), flatten({section: base.get(section)})
        same_settings = new.keys() == old.keys()
        found += [(path, v) for path, v in new.items() if v != old[path]] if same_settings else [(section, value)]
    return found


def as_yaml(value: Any) -> str:
    """Write a value as YAML reads it back."""
    if isinstance(value, str) and parse_value(value) == value:
        return value
    return json.dumps(value)


def config_file(config: Config) -> str:
    """Write the whole config as YAML, one line per section."""
    return "\n".join(f"{section}: {as_yaml(value)}" for section, value in config.to_dict().items())
