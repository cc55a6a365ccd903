"""Ids of configs: hashes that new settings, new members, renamed settings and changed defaults leave as they are.

An id is the hash of the kinds, the measures and the settings that differ from their defaults. Names and defaults are
the first ones that a setting had (`migrations`). An id is of settings alone: digests of data and of user code, which
also determine a trial, belong beside it in the record, to be compared when records are read.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lyapsweep.config.migrations import kinds_of, original
from lyapsweep.config.parsing import flatten
from lyapsweep.config.sections import FAMILIES, PLAIN, defaults_of
from lyapsweep.content_files import without_folder
from lyapsweep.datasets import is_task
from lyapsweep.measures import MEASURES, parse_entry
from lyapsweep.registry import is_from_file

SCHEMA = 2  # version 0.1 hashed all settings


def identify(sections: Mapping[str, Any]) -> str:
    """Return the id of a complete config, 12 hexadecimal digits."""
    settings, defaults = original(*settings_and_defaults(sections), kinds_of(sections))
    counted = {path: without_folder(value) for path, value in settings.items()}
    written = {path: canonical(value) for path, value in counted.items() if differs(path, value, defaults)}
    return digest({"schema": SCHEMA, "measures": measure_names(sections), "settings": written})


def legacy_ids(sections: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids that earlier versions gave to a complete config, none where they could not express it."""
    kinds, measures = kinds_of(sections), measure_names(sections)
    settings, defaults = original(*settings_and_defaults(sections), kinds)
    kept = {path: value for path, value in settings.items() if in_0_1(path, kinds)}
    added = any(differs(path, value, defaults) for path, value in settings.items() if path not in kept)
    if added or any(known_in_0_1("measures", name) is None and not is_from_file(name) for name in measures):
        return ()
    written: dict[str, Any] = {path: value for path, value in kept.items() if not path.startswith("measures/")}
    written["measures"] = [measure_in_0_1(name, kept, defaults) for name in measures]
    return (digest(flatten(written)),)


def settings_and_defaults(sections: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of a complete config by path, and the defaults of those that have one."""
    task = is_task(sections["dataset"]["kind"])
    settings, defaults = {"seed": sections["seed"]}, {"seed": defaults_of("seed", task)}
    for section, family in FAMILIES.items():
        given = sections[section]
        settings |= {f"{section}/{key}": value for key, value in given.items()}
        knobs = family.knobs(given["kind"]).items()
        defaults |= {f"{section}/{key}": knob.default for key, knob in knobs if knob.default is not knob.empty}
    for section, plain in PLAIN.items():
        default = plain(**(defaults_of(section, task) or {}))
        for key in (f.name for f in dataclasses.fields(plain)):
            settings[f"{section}/{key}"] = getattr(sections[section], key)
            defaults[f"{section}/{key}"] = getattr(default, key)
    for name, given in map(parse_entry, sections["measures"]):
        for key, knob in MEASURES.knobs(name).items():
            settings[f"measures/{name}/{key}"] = given.get(key, knob.default)
            defaults[f"measures/{name}/{key}"] = knob.default
    return settings, defaults


def measure_names(sections: Mapping[str, Any]) -> list[str]:
    return [parse_entry(measure)[0] for measure in sections["measures"]]


def differs(path: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    """Whether a setting is written into an id: it has no default, or another value."""
    return path not in defaults or json_text(canonical(value)) != json_text(canonical(defaults[path]))


def canonical(value: Any) -> Any:
    """Return a JSON value that is the same for 1 and 1.0, 0.0 and -0.0, tuples and lists. True stays apart from 1."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def json_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def digest(value: Any) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a JSON value; 1 and 1.0 differ here."""
    return hashlib.sha256(json_text(value).encode()).hexdigest()[:12]


@cache
def settings_of_0_1() -> dict[str, Any]:
    """Return the names of all settings that version 0.1 had: by section, and by member where it has a family."""
    return json.loads(Path(__file__).with_name("settings_0_1.json").read_text())


def known_in_0_1(section: str, member: str) -> list[str] | None:
    """Return the settings that a member had in version 0.1, None if it was not there."""
    return settings_of_0_1()[section].get(member)


def in_0_1(path: str, kinds: Mapping[str, str]) -> bool:
    """Whether version 0.1 had a setting; it knew all settings of a member that a file of the user defines."""
    section, _, rest = path.partition("/")
    if path in ("seed", "dataset/validation"):
        return path == "seed"
    if section in PLAIN:
        return rest in settings_of_0_1()[section]
    member, _, key = rest.rpartition("/") if section == "measures" else (kinds[section], "", rest)
    known = known_in_0_1(section, member)
    return is_from_file(member) or (known is not None and key in [*known, "kind"])


def measure_in_0_1(name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    """Return a measure as version 0.1 wrote it: its name, with all settings where one differs from its default."""
    prefix = f"measures/{name}/"
    given = {path.removeprefix(prefix): value for path, value in settings.items() if path.startswith(prefix)}
    default = {key: defaults[prefix + key] for key in given}
    return name if given == default else {"kind": name} | given
