"""A sweep is a region: what is varied, how far, and by which measure it is judged."""

import dataclasses
import importlib.util
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lyapsweep.config import Config, ConfigError
from lyapsweep.measures import MEASURES, chosen
from lyapsweep.registry import unknown

if TYPE_CHECKING:
    import optuna

    Space = Callable[[optuna.Trial], Mapping[str, Any] | None]


class SweepError(ValueError):
    """A sweep that cannot be run; the message names the place, the value and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A region around `base`, as a grid or as a space to draw from, judged by the measure `objective`.

    base       the config that everything not varied is taken from; beside the current folder or the sweep file's
    objective  a measure; its direction says what is best
    intent     "map": every point is trained to its end, the sample is space-filling; correlations and atlases may be
               drawn from it. "hunt": a sampler looks for one good network and stops bad ones early
    grid       {path: values}, every combination in this order. A value may be a whole section, as in
               {"cell": [{"kind": "lstm", "units": 30}, {"kind": "vanilla", "units": 60}]}
    where      {path: value, or a list of values} that points of the grid must have: only they are trained
    space      a function of an Optuna trial whose parameters are paths, `trial.suggest_int("forcing/interval", 1, 64)`;
               it may return further {path: value} that follow from what was drawn
    trials     how many distinct points of the space to train; a grid knows its own number
    seeds      train each point from this many seeds, counted up from the base's
    threshold  of the objective: trials on either side of it are told apart where a map is refined
    pack       members trained side by side in one process, at most
    name       of results folder, Optuna study and MLflow experiment; the sweep file's name where not given
    question   what is asked; the sweep file's docstring where not given
    """

    base: Path | str
    objective: str
    intent: str = "map"
    grid: Mapping[str, Sequence[Any]] | None = None
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: "Space | None" = None
    trials: int | None = None
    seeds: int = 1
    threshold: float | None = None
    pack: int | None = None
    name: str | None = None
    question: str | None = None

    def __post_init__(self) -> None:
        if self.objective not in MEASURES:
            raise unknown("measure", self.objective, list(MEASURES), "objective")
        if self.intent not in ("map", "hunt"):
            raise SweepError(f"intent must be 'map' or 'hunt', but got {self.intent!r}.")
        if (self.grid is None) == (self.space is None):
            raise SweepError("A sweep needs either grid={path: values} or space=function, and not both.")
        if self.name is not None and not re.fullmatch(r"[\w.-]+", self.name):
            raise SweepError(f"name may hold letters, digits, '_', '-' and '.', but got {self.name!r}.")
        for what, value in (("trials", self.trials), ("seeds", self.seeds), ("pack", self.pack)):
            if value is not None and value < 1:
                raise SweepError(f"{what} >= 1 must hold, but got {value}.")
        self.check_grid() if self.grid is not None else self.check_space()

    def check_grid(self) -> None:
        if self.intent == "hunt":
            raise SweepError("A hunt draws from a space; a grid is trained whole. Use intent='map' or give a space.")
        if self.trials is not None:
            raise SweepError(f"trials={self.trials} says nothing about a grid, which is trained whole. Leave it out.")
        for path, values in (self.grid or {}).items():
            if not isinstance(values, Sequence) or isinstance(values, str) or not values:
                raise SweepError(f"grid: '{path}' needs a list of values, but got {values!r}.")

    def check_space(self) -> None:
        if not callable(self.space):
            raise SweepError(f"space must be a function of an Optuna trial, but got {self.space!r}.")
        if self.where:
            raise SweepError(f"where={dict(self.where)} chooses from a grid, but this sweep draws from a space.")
        if self.trials is None:
            raise SweepError("A space has no number of points of its own: say trials=....")
        if self.intent == "hunt" and self.seeds > 1:
            raise SweepError(f"A hunt judges single networks: seeds=1 must hold, but got {self.seeds}.")

    @property
    def direction(self) -> Literal["minimise", "maximise"]:
        return MEASURES[self.objective].direction

    def config(self, changes: Mapping[str, Any] | None = None) -> Config:
        """The base point, with `changes` made to it. Raises `ConfigError` or `SweepError`."""
        base = Config.load(self.base, changes)
        if self.objective not in chosen(base.measures):
            raise SweepError(
                f"objective '{self.objective}' is not measured: {self.base} lists {', '.join(chosen(base.measures))}. "
                "Add it to measures."
            )
        if self.intent == "hunt" and base.training.report_every is None:
            raise SweepError(f"A hunt stops bad trials at their reports: set training/report_every in {self.base}.")
        return base


def load(path: Path | str) -> Sweep:
    """The `SWEEP` of a Python file, named after the file and asking what its docstring asks.

    Raises `SweepError` where there is no such file, an error inside it (with its line), no SWEEP, or another thing of
    that name. Only the process that starts the sweep reads this file; workers get points.
    """
    path = Path(path)
    if not path.is_file():
        near = ", ".join(sorted(str(p) for p in path.parent.glob("*.py"))) or "none"
        raise SweepError(f"There is no sweep at {path}. Python files there: {near}.")
    spec = importlib.util.spec_from_file_location(f"sweep_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SweepError(f"{path} is not a Python file; a sweep's name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SweepError(f"{path}, line {line_of(error, path)}: {type(error).__name__}: {error}") from error
    sweep = getattr(module, "SWEEP", None)
    if not isinstance(sweep, Sweep):
        found = "defines none" if sweep is None else f"has a {type(sweep).__name__}"
        raise SweepError(f"{path} needs SWEEP = Sweep(...), but {found}.")
    question = sweep.question or (module.__doc__ or "").strip() or None
    return dataclasses.replace(sweep, base=locate(sweep.base, path), name=sweep.name or path.stem, question=question)


def line_of(error: Exception, path: Path) -> int | str:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path.resolve()]
    return frames[-1].lineno or "?" if frames else "?"


def locate(base: Path | str, sweep: Path) -> Path:
    """`base` seen from the current folder, else from the sweep file's folder or one above it."""
    for folder in (Path(), *sweep.resolve().parents):
        if (folder / base).is_file():
            return folder / base
    raise ConfigError(f"{sweep}: there is no config {base}, neither here nor beside or above the sweep file.")
