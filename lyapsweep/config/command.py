"""Configs as command lines: the `lyapsweep run` that trains one config, and values as `--set` reads them."""

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lyapsweep.config.config import Config
from lyapsweep.config.parsing import flatten, parse_value


def run_command(config: Config, path: Path | str, base: Mapping[str, Any]) -> str:
    """Write the command that trains a config on its own.

    Args:
        config: The config to train.
        path: The YAML file to start from.
        base: The sections of that file, complete, as `Config.to_dict` returns them.

    Returns:
        `lyapsweep run PATH --set ...`, quoted for a shell.

    Example:
        >>> base = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> run_command(base.changed({"training/lr": 1e-5}), "my base.yaml", base.to_dict())
        "lyapsweep run 'my base.yaml' --set training/lr=1e-05"
    """
    words = ["lyapsweep", "run", str(path)]
    for setting, value in differences(config, base):
        words += ["--set", f"{setting}={format_value(value)}"]
    return shlex.join(words)


def differences(config: Config, base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Paths and values where a config differs from `base`; a section that has other settings is given whole."""
    found: list[tuple[str, Any]] = []
    for section, value in config.to_dict().items():
        new, old = flatten({section: value}), flatten({section: base.get(section)})
        if new.keys() == old.keys():
            found += [(setting, v) for setting, v in new.items() if v != old[setting]]
        else:
            found.append((section, value))
    return found


def format_value(value: Any) -> str:
    """Write a value so that `parse_value` reads it back: a word as it is, unless it would be read as something else.

    Example:
        >>> [format_value(value) for value in ("adam", "8", 1e-5, float("inf"), ["a, b", None], {"gain": 2.0})]
        ['adam', '"8"', '1e-05', '.inf', '["a, b", null]', '{"gain": 2.0}']
    """
    if isinstance(value, str) and is_plain(value):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, list | tuple):
        return f"[{', '.join(json.dumps(v) if isinstance(v, str) else format_value(v) for v in value)}]"
    if isinstance(value, Mapping):
        items = ((key, json.dumps(v) if isinstance(v, str) else format_value(v)) for key, v in value.items())
        return f"{{{', '.join(f'{json.dumps(key)}: {text}' for key, text in items)}}}"
    return json.dumps(value)


def is_plain(text: str) -> bool:
    """Whether YAML reads a text as itself."""
    try:
        return parse_value(text) == text
    except yaml.YAMLError:
        return False


def format_config(config: Config) -> str:
    """Write a whole config as YAML, one section per line."""
    return "\n".join(f"{section}: {format_value(value)}" for section, value in config.to_dict().items())
