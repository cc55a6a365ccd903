"""How one trial of a sweep is run on its own: as a command where the sweep's base is known, else as a config file."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from lyapsweep.config import Config
from lyapsweep.config.parsing import flatten, parse_value


def command(config: Config, path: str, base: Mapping[str, Any]) -> str:
    """`lyapsweep run PATH --set ...`: what makes the config at `path`, whose sections are `base`, into this one."""
    words = [f"--set {shlex.quote(f'{at}={spelt(value)}')}" for at, value in changes(config.to_dict(), base)]
    return " ".join(["lyapsweep run", shlex.quote(path), *words])


def changes(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(path, value) where two configs differ; a section that has other settings is given whole."""
    found: list[tuple[str, Any]] = []
    for section, value in wanted.items():
        before = base.get(section)
        if value == before:
            continue
        new, old = ({section: v} for v in (value, before))
        if isinstance(value, Mapping) and isinstance(before, Mapping) and flatten(new).keys() == flatten(old).keys():
            held = flatten(old)
            found += [(path, v) for path, v in flatten(new).items() if v != held[path]]
        else:
            found.append((section, value))
    return found


def spelt(value: Any) -> str:
    """A value as YAML reads it back."""
    if isinstance(value, str) and parse_value(value) == value:
        return value
    return json.dumps(value)


def written(config: Config) -> str:
    """The whole config as YAML, a section a line."""
    return "\n".join(f"{section}: {spelt(value)}" for section, value in config.to_dict().items())
