"""DATASETS: where series come from. Each member is a function of keyword settings that returns a `Series`."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from lyapsweep.datasets.recorded import recorded
from lyapsweep.datasets.series import BadSeries, Series
from lyapsweep.datasets.simulated import simulated
from lyapsweep.registry import Registry

DATASETS: Registry = Registry("dataset", {"simulated": simulated, "recorded": recorded})

__all__ = ["DATASETS", "BadSeries", "Series", "build"]


def build(kind: str, **settings: Any) -> Series:
    """The series of a config's dataset section, made once a process: every trial of a sweep asks for the same one.

    It is shared, so it must not be written to. A file that changes on disk is read again.
    Raises `UnknownName`, `BadSeries`.
    """
    DATASETS.check(kind, settings)
    path = settings.get("path") or []
    files = [Path(p) for p in (path if isinstance(path, list) else [path])]
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else None for file in files)
    return once(kind, json.dumps(settings, sort_keys=True), (str(Path.cwd()), *changed) if files else ())


@lru_cache(maxsize=16)
def once(kind: str, settings: str, files: tuple[str | int | None, ...]) -> Series:
    return DATASETS[kind](**json.loads(settings))
