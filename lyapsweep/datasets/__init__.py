"""DATASETS: where data come from. A member is a function of keyword settings that returns a `Series` or a `Task`."""

import json
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

from lyapsweep.datasets.adding import adding
from lyapsweep.datasets.buckets import buckets
from lyapsweep.datasets.characters import characters
from lyapsweep.datasets.copying import copying
from lyapsweep.datasets.flip_flop import flip_flop
from lyapsweep.datasets.image_rows import image_rows
from lyapsweep.datasets.recorded import recorded
from lyapsweep.datasets.recorded_task import recorded_task
from lyapsweep.datasets.sentiment import sentiment
from lyapsweep.datasets.series import BadSeries, Series
from lyapsweep.datasets.simulated import simulated
from lyapsweep.datasets.sines import sines
from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.registry import Registry

DATASETS: Registry = Registry(
    "dataset",
    {
        "simulated": simulated,
        "recorded": recorded,
        "adding": adding,
        "copying": copying,
        "flip_flop": flip_flop,
        "sines": sines,
        "image_rows": image_rows,
        "characters": characters,
        "buckets": buckets,
        "sentiment": sentiment,
        "recorded_task": recorded_task,
    },
)

__all__ = ["DATASETS", "BadSeries", "BadTask", "Series", "Task", "build", "is_task"]


def is_task(kind: str) -> bool:
    """Whether this member says that it returns a `Task`: sequences that drive a network. Else it returns a `Series`."""
    return typing.get_type_hints(DATASETS[kind]).get("return") is Task


def build(kind: str, **settings: Any) -> Any:
    """The data of a config's dataset section, made once a process: every trial of a sweep asks for the same one.

    It is shared, so it must not be written to. A file that changes on disk is read again.
    Raises `UnknownName`, `BadSeries`, `BadTask`.
    """
    DATASETS.check(kind, settings)
    path = settings.get("path") or []
    files = [Path(p) for p in (path if isinstance(path, list) else [path]) if isinstance(p, str)]
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else None for file in files)
    return once(kind, json.dumps(settings, sort_keys=True), (str(Path.cwd()), *changed) if files else ())


@lru_cache(maxsize=16)
def once(kind: str, settings: str, files: tuple[str | int | None, ...]) -> Series | Task:
    return DATASETS[kind](**json.loads(settings))
