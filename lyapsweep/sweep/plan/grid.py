"""Points of a grid: every combination of its axes, and the part that `where` selects."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lyapsweep.config import Config
from lyapsweep.sweep.plan.axes import numeric
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.points import Point, apply_settings


def grid_points(sweep: Sweep, base: Config) -> Iterator[Point]:
    """Every combination of the grid's values; the last axis varies fastest."""
    grid = sweep.grid or {}
    distributions = {path: distribution([label(v) for v in values]) for path, values in grid.items()}
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values))
        params = {path: label(value) for path, value in settings.items()}
        yield Point(apply_settings(sweep, base, settings), params, distributions)


def select(points: Iterable[Point], where: Mapping[str, Any]) -> Iterator[Point]:
    """Filter points by `where`; raise `SweepError` listing the available values if none matches."""
    available, matched = {path: [] for path in where}, not where
    for point in points:
        values = {path: point.config.flat.get(path) for path in where}
        for path, value in values.items():
            available[path] += [] if value in available[path] else [value]
        if all(value in as_list(where[path]) for path, value in values.items()):
            matched = True
            yield point
    if not matched:
        raise SweepError(no_match(where, available))


def no_match(where: Mapping[str, Any], available: Mapping[str, list[Any]]) -> str:
    """The error message for a `where` that selects no point."""
    sentences = [f"where: no point of the grid has {', '.join(f'{k} = {v!r}' for k, v in where.items())}."]
    for path, values in available.items():
        if not any(value in as_list(where[path]) for value in values):
            sentences.append(f"Available {path}: {', '.join(map(repr, values))}.")
    if any(isinstance(where[path], list) and where[path] in values for path, values in available.items()):
        sentences.append("A list names several values: write [[...]] for one that is a list.")
    return " ".join(sentences)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def distribution(values: Sequence[Any]) -> BaseDistribution:
    """An axis as Optuna knows it: numbers as a range, since a categorical repeats all choices in every trial."""
    if not numeric(values):
        return CategoricalDistribution(values)
    kind = IntDistribution if all(isinstance(v, int) for v in values) else FloatDistribution
    return kind(min(values), max(values))


def label(value: Any) -> Any:
    """A grid value as Optuna stores it: sections and lists as JSON."""
    return json.dumps(value, sort_keys=True, default=repr) if isinstance(value, Mapping | list | tuple) else value
