"""DATASETS: sources of data. A member is a function of keyword settings that returns a `Series` or a `Task`."""

import inspect
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
from lyapsweep.datasets.recorded import further_rows, recorded
from lyapsweep.datasets.recorded_task import recorded_task
from lyapsweep.datasets.sentiment import sentiment
from lyapsweep.datasets.sequences import sequences
from lyapsweep.datasets.series import BadSeries, Series
from lyapsweep.datasets.simulated import simulated
from lyapsweep.datasets.sines import sines
from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.datasets.validation import AUTO, Split, check_validation, split
from lyapsweep.registry import Registry, readable

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
        "sequences": sequences,
    },
    shared=(
        inspect.Parameter("validation", inspect.Parameter.KEYWORD_ONLY, default=AUTO, annotation=float | str | None),
    ),
)

__all__ = [
    "DATASETS",
    "BadSeries",
    "BadTask",
    "Series",
    "Split",
    "Task",
    "build",
    "build_split",
    "check_validation",
    "is_task",
]


def is_task(kind: str) -> bool:
    """Tell whether a member is annotated to return a `Task`; otherwise it returns a `Series`.

    Args:
        kind: A name of `DATASETS`, or `path/to/file.py:name`.

    Returns:
        True for tasks; False for code that is not trusted (`lyapsweep.trust`).

    Example:
        >>> is_task("adding"), is_task("simulated")
        (True, False)
    """
    return readable(kind) and typing.get_type_hints(DATASETS[kind]).get("return") is Task


def build(kind: str, **settings: Any) -> Any:
    """Make the data of a config's dataset section, once per process.

    The result is cached and shared by all trials, so it must not be modified. A file that changes on disk is read
    again.

    Args:
        kind: A name of `DATASETS`, or `path/to/file.py:name`.
        **settings: Settings of the member. `validation` divides the held-out part (`build_split`) and changes nothing
            here.

    Returns:
        A `Series` or a `Task`, its held-out part undivided.

    Raises:
        UnknownName: If the member or a setting is unknown.
        BadSeries: If a series is not usable.
        BadTask: If a task is not usable.

    Example:
        >>> build("adding", length=10, train=4, test=2).train_inputs.shape
        (4, 10, 2)
    """
    DATASETS.check(kind, settings)
    settings = {name: value for name, value in settings.items() if name != "validation"}
    path = settings.get("path") or []
    files = [Path(p) for p in (path if isinstance(path, list) else [path]) if isinstance(p, str)]
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else None for file in files)
    return cached(kind, json.dumps(settings, sort_keys=True), (str(Path.cwd()), *changed) if files else ())


def build_split(kind: str, validation: float | str | None = AUTO, **settings: Any) -> Split:
    """Make the data of a config's dataset section, and divide their held-out part.

    Args:
        kind: A name of `DATASETS`, or `path/to/file.py:name`.
        validation: A share of the held-out part, "auto" (the default), None, or for `recorded` a file; see
            `lyapsweep.datasets.validation.split`.
        **settings: Settings of the member.

    Returns:
        A `Split`.

    Raises:
        UnknownName: If the member or a setting is unknown.
        BadSeries: If a series, or its validation part, is not usable.
        BadTask: If a task, or its validation part, is not usable.

    Example:
        >>> build_split("adding", length=10, train=4, test=40, validation=0.25).rows
        (10, 30)
    """
    data = build(kind=kind, **settings)
    if isinstance(validation, str) and validation != AUTO:
        return Split(data, further_rows(validation, data, **settings), data, file=validation)
    return split(data, validation)


@lru_cache(maxsize=16)
def cached(kind: str, settings: str, files: tuple[str | int | None, ...]) -> Series | Task:
    return DATASETS[kind](**json.loads(settings))
