"""Migrations: the one table of renamed settings and changed defaults since version 0.1.

A new setting with a default, a new family member and a new measure need no entry. An entry has the version in which
the change was made, one larger than the largest before. `migrate` brings the settings of an older file up to date;
`original` goes the other way, so that ids never depend on a name or a default that was changed.

    MIGRATIONS = (
        Renamed(since=2, old="training/lr_end", new="training/final_lr"),
        DefaultChanged(since=3, path="cell/units", old=30, of="lstm"),
    )
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lyapsweep.config.parsing import set_path
from lyapsweep.config.sections import FAMILIES
from lyapsweep.datasets import DATASETS, is_task
from lyapsweep.measures import parse_entry


@dataclass(frozen=True)
class Renamed:
    """A setting that has another name since a version. `old` and `new` are paths; `of` as in `DefaultChanged`."""

    since: int
    old: str
    new: str
    of: str | None = None


@dataclass(frozen=True)
class DefaultChanged:
    """A setting whose default was `old` before a version.

    `of` names the member whose setting it is in sections of a family, and restricts the entry to "task" or "series"
    in other sections. A measure's setting has the path `measures/<measure>/<setting>`.
    """

    since: int
    path: str
    old: Any
    of: str | None = None


MIGRATIONS: tuple[Renamed | DefaultChanged, ...] = (
    DefaultChanged(since=2, path="dataset/validation", old=None),  # before, networks were judged on the test part
)


def current_version() -> int:
    """Return the version of the settings' names and defaults, which records have in their header."""
    return max((entry.since for entry in MIGRATIONS), default=1)


def migrate(content: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return the settings of a file of an older version with today's names.

    A missing setting whose default was changed later gets the default of its time.

    Args:
        content: Nested settings, as `Config.to_dict` returns them.
        version: Version of the file's settings, 1 for files of version 0.1.

    Returns:
        Settings for `Config.of`.

    Example:
        >>> migrate({"cell": {"kind": "lstm"}}, version=1)
        {'cell': {'kind': 'lstm'}}
    """
    nested = copy.deepcopy(dict(content))
    for entry in MIGRATIONS:
        if entry.since <= version:
            continue
        path = entry.path if isinstance(entry, DefaultChanged) else entry.old
        if not applies(entry.of, path, kinds_of(nested)):
            continue
        if path.startswith("measures/"):
            nested["measures"] = [migrate_measure(measure, entry) for measure in nested.get("measures", [])]
        elif isinstance(entry, DefaultChanged):
            section = path.partition("/")[0]
            if not has_path(nested, path) and (section in nested or section not in FAMILIES):
                set_path(nested, path, entry.old)
        elif has_path(nested, path):
            set_path(nested, entry.new, pop_path(nested, path))
    return nested


def original(
    settings: dict[str, Any], defaults: dict[str, Any], kinds: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and defaults by the first names of the settings, with the first value of each default."""
    for entry in reversed(MIGRATIONS):
        if isinstance(entry, DefaultChanged):
            if entry.path in defaults and applies(entry.of, entry.path, kinds):
                defaults = defaults | {entry.path: entry.old}
        elif entry.new in settings and applies(entry.of, entry.new, kinds):
            settings, defaults = (
                {entry.old if path == entry.new else path: value for path, value in flat.items()}
                for flat in (settings, defaults)
            )
    return settings, defaults


def kinds_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each family section that names one."""
    return {section: content[section]["kind"] for section in FAMILIES if "kind" in (content.get(section) or {})}


def applies(of: str | None, path: str, kinds: Mapping[str, str]) -> bool:
    """Whether an entry that is restricted to `of` concerns a config with these kinds."""
    section = path.partition("/")[0]
    if of is None:
        return True
    if section in FAMILIES:
        return kinds.get(section) == of
    dataset = kinds.get("dataset", "")
    return dataset in DATASETS and of == ("task" if is_task(dataset) else "series")


def has_path(nested: Mapping[str, Any], path: str) -> bool:
    """Whether nested mappings have a value at a path."""
    value: Any = nested
    for key in path.split("/"):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def pop_path(nested: dict[str, Any], path: str) -> Any:
    """Remove and return a value of nested dicts."""
    *parents, leaf = path.split("/")
    for parent in parents:
        nested = nested[parent]
    return nested.pop(leaf)


def migrate_measure(measure: str | dict[str, Any], entry: Renamed | DefaultChanged) -> str | dict[str, Any]:
    """Apply an entry of the table to one of the `measures`."""
    path = entry.path if isinstance(entry, DefaultChanged) else entry.old
    _, kind, setting = path.split("/")
    name, settings = parse_entry(measure)
    if name != kind:
        return measure
    if isinstance(entry, DefaultChanged):
        settings = {setting: entry.old} | settings
    elif setting in settings:
        settings[entry.new.rpartition("/")[2]] = settings.pop(setting)
    return {"kind": name} | settings if settings else name
