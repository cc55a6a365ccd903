"""Axes that change a sweep: values of a grid, and parameters of a space written as text, `log(1e-4,1e-1)`."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from lyapsweep.config.command import format_value
from lyapsweep.config.parsing import parse_value
from lyapsweep.config.yaml_text import reason
from lyapsweep.registry import unknown
from lyapsweep.setting_types import cut, is_finite
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.grid import label

if TYPE_CHECKING:
    import optuna

EXAMPLES = {
    "uniform": "uniform(0.5,2)",
    "log": "log(1e-4,1e-1)",
    "int": "int(1,64)",
    "logint": "logint(1,64)",
    "choice": "choice(gru,lstm)",
}


@dataclass(frozen=True)
class SpaceAxis:
    """One parameter of a space.

    Args:
        kind: `uniform`, `log` (log-uniform), `int`, `logint` (an integer, equally likely in every octave), `choice`.
        values: Lowest and highest value; of `choice` the values.

    Example:
        >>> SpaceAxis.parse("logint(1, 64)")
        SpaceAxis(kind='logint', values=(1, 64))
    """

    kind: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str, place: str = "space") -> "SpaceAxis":
        """Read an axis as `text` writes it; `place` begins the message of a `SweepError`."""
        written = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text, re.DOTALL)
        if written is None:
            forms = ", ".join(EXAMPLES.values())
            raise SweepError(f"{place}: '{cut(text)}' is no distribution. Write one of {forms}.")
        kind, inner = written.groups()
        if kind not in EXAMPLES:
            raise unknown("distribution", kind, list(EXAMPLES), place)
        axis = cls(kind, tuple(parse_values(inner, place)))
        if kind != "choice":
            axis.check_ends(place)
        return axis

    def check_ends(self, place: str) -> None:
        """Raise `SweepError` unless the values are the two ends of a range."""
        example, whole, logarithmic = EXAMPLES[self.kind], "int" in self.kind, "log" in self.kind
        numbers = all(is_finite(v) and (isinstance(v, int) or not whole) for v in self.values)
        if len(self.values) != 2 or not numbers:
            kind = "whole" if whole else "finite"
            raise SweepError(f"{place}: two {kind} numbers are needed, but got {self}. Write it as in {example}.")
        low, high = self.values
        if not low < high or (logarithmic and low <= 0):
            least = "0 < " if logarithmic else ""
            raise SweepError(f"{place}: {least}low < high must hold, but got {self}. Write it as in {example}.")

    def __str__(self) -> str:
        return f"{self.kind}({','.join(map(format_value, self.values))})"

    def suggest(self, trial: "optuna.Trial", path: str) -> Any:
        """Suggest the parameter `path` and return its value."""
        if self.kind == "choice":
            labels = [label(value) for value in self.values]
            return self.values[labels.index(trial.suggest_categorical(path, labels))]
        low, high = self.values
        suggest = trial.suggest_int if "int" in self.kind else trial.suggest_float
        return suggest(path, low, high, log="log" in self.kind)


def parse_values(text: str, place: str) -> list[Any]:
    """Read `a,b,c` as a list of YAML values; commas in braces, brackets and quotes are parts of values.

    Example:
        >>> parse_values("{kind: gru, units: 30},plrnn,1e-3", "--grid")
        [{'kind': 'gru', 'units': 30}, 'plrnn', 0.001]
    """
    try:
        values = parse_value(f"[{text}\n]")
    except yaml.YAMLError as error:
        raise SweepError(f"{place}: '{cut(text)}': {reason(error)}. Write a,b,c.") from error
    if len(values) == 1 and isinstance(values[0], list):  # written as a list already
        values = values[0]
    if not values:
        raise SweepError(f"{place}: there is no value. Write a,b,c.")
    return values


def with_grid(sweep: Sweep, grid: Mapping[str, Sequence[Any]], added: Mapping[str, Sequence[Any]]) -> Sweep:
    """Replace or add axes of a grid, and add values to axes.

    `cell/kind` and the whole section `cell` are one axis: the one replaces the other, and a kind that is added to an
    axis of sections becomes a section.

    Args:
        sweep: A sweep with a grid.
        grid: {path: values} of axes that replace those of the sweep, or come last.
        added: {path: values} to be added to axes that there are.

    Returns:
        The sweep with the new grid.

    Raises:
        SweepError: If the sweep draws from a space, or an axis to add to is missing.
    """
    if not grid and not added:
        return sweep
    name = sweep.name or "sweep"
    if sweep.grid is None:
        raise SweepError(f"{name}: the sweep draws from a space, not from a grid. Use --space path=choice(a,b).")
    axes = {path: list(values) for path, values in sweep.grid.items()}
    for path, values in grid.items():
        twin = path.removesuffix("/kind") if path.endswith("/kind") else f"{path}/kind"
        place = twin if twin in axes and path not in axes else path
        axes = {path if p == place else p: v for p, v in axes.items()} | {path: list(values)}
    for path, values in added.items():
        section = path.removesuffix("/kind")
        axis = path if path in axes else section
        if axis not in axes:
            known = ", ".join(axes) or "none"
            raise SweepError(f"{name}: there is no axis {path} to add to (its axes: {known}). Write {path}=... first.")
        new = [{"kind": v} if axis != path else v for v in values]
        axes[axis] += [value for value in new if value not in axes[axis]]
    return dataclasses.replace(sweep, grid=axes)


def with_space(sweep: Sweep, axes: Mapping[str, SpaceAxis]) -> Sweep:
    """Replace or add parameters of a space; `SweepError` for a sweep with a grid."""
    if not axes:
        return sweep
    if sweep.space is None:
        raise SweepError(f"{sweep.name or 'sweep'}: the sweep has a grid, not a space. Use --grid path=a,b,c.")
    return dataclasses.replace(sweep, space=space_of(axes, sweep.space))


def space_of(axes: Mapping[str, SpaceAxis], before: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """The space of these axes; `before` is a space whose parameters of the same names they replace."""

    def space(trial: "optuna.Trial") -> dict[str, Any]:
        further = before(ReplacingTrial(trial, axes)) if before else None
        return {**(further or {}), **{path: axis.suggest(trial, path) for path, axis in axes.items()}}

    return space


class ReplacingTrial:
    """An Optuna trial that suggests the parameters in `axes` by these."""

    def __init__(self, trial: "optuna.Trial", axes: Mapping[str, SpaceAxis]):
        self.trial, self.axes = trial, axes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.trial, name)
        if not name.startswith("suggest_"):
            return method
        return lambda path, *args, **kwargs: (
            self.axes[path].suggest(self.trial, path) if path in self.axes else method(path, *args, **kwargs)
        )
