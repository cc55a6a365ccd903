"""The definition of a sweep: what is varied, how far, and by which measure trials are compared."""

import dataclasses
import importlib.util
from collections.abc import Callable, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lyapsweep.config import Config, ConfigError
from lyapsweep.measures import MEASURES, chosen
from lyapsweep.registry import unknown
from lyapsweep.results.experiment import is_experiment_name
from lyapsweep.setting_types import as_plain, is_finite
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.user_code import described, in_this_folder, user_place

if TYPE_CHECKING:
    import optuna

    Space = Callable[[optuna.Trial], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A region of settings around a base config, as a grid or as a space to draw from.

    Args:
        base: Config of everything that is not varied: a file, relative to the current folder, the sweep file's folder
            or a folder above it; or nested settings, or a `Config`.
        objective: Name of a measure, a `Measure`, or a function of `Evidence` (the less, the better); a measure's
            direction says whether the smallest or the largest value is best.
        intent: "map" trains every point to its end, so that correlations and atlases may be drawn from it; "hunt" lets
            a sampler look for one good network and stops bad trials early.
        grid: {path: values}, every combination in this order; values are a list, a range or an array. A value may be a
            whole section, as in {"cell": [{"kind": "lstm", "units": 30}, {"kind": "vanilla", "units": 60}]}.
        where: {path: value, or a list of values} that points of the grid must have: only these are trained.
        space: Function of an Optuna trial whose parameters are paths, as in
            `trial.suggest_int("forcing/interval", 1, 64)`; it may return further {path: value} that follow from them.
        trials: Number of distinct points of the space to train; not for a grid, which is trained whole.
        seeds: Number of seeds that each point is trained from, counted up from the base's.
        threshold: Value of the objective that separates trials where a map is refined.
        pack: Largest number of trials trained side by side in one process.
        name: Name of results folder, Optuna study and MLflow experiment; by default the sweep file's.
        question: What is asked; by default the sweep file's docstring.

    Raises:
        UnknownName: If `objective` is no measure.
        SweepError: If the arguments contradict each other.

    Example:
        >>> sweep = Sweep(base="configs/lorenz63.yaml", objective="loss", grid={"training/lr": [1e-3, 1e-2]}, seeds=3)
        >>> sweep.direction
        'minimise'
    """

    base: Path | str | Mapping[str, Any] | Config
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
        object.__setattr__(self, "objective", MEASURES.full_name(as_plain(self.objective)))
        if self.objective not in MEASURES:
            raise unknown("measure", self.objective, list(MEASURES), "objective")
        if self.intent not in ("map", "hunt"):
            raise SweepError(f"intent: 'map' or 'hunt' is needed, but got {self.intent!r}.")
        if (self.grid is None) == (self.space is None):
            raise SweepError("Sweep: either grid={path: values} or space=function is needed, and not both.")
        if self.name is not None and not (isinstance(self.name, str) and is_experiment_name(self.name)):
            raise SweepError(
                f"name: only letters, digits, '_', '-' and '.' are allowed, with no '.' first, but got {self.name!r}."
            )
        for what in ("trials", "seeds", "pack", "threshold"):
            object.__setattr__(self, what, as_plain(getattr(self, what)))
        for what, value in (("trials", self.trials), ("seeds", self.seeds), ("pack", self.pack)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise SweepError(f"{what}: {what} >= 1 must hold, a whole number, but got {value!r}.")
        if self.threshold is not None and not is_finite(self.threshold):
            raise SweepError(f"threshold: a finite number is needed, but got {self.threshold}.")
        object.__setattr__(self, "where", as_plain(self.where))
        self.check_grid() if self.grid is not None else self.check_space()

    def check_grid(self) -> None:
        if self.intent == "hunt":
            raise SweepError(
                "intent: a hunt draws from a space, but the sweep has a grid. Use intent='map' or give a space."
            )
        if self.trials is not None:
            raise SweepError(f"trials: a grid is trained whole, but got trials={self.trials}. Leave it out.")
        if not isinstance(self.grid, Mapping):
            raise SweepError(f"grid: {{path: values}} is needed, but got {self.grid!r}.")
        grid = {path: as_plain(values_of(v)) for path, v in self.grid.items()}
        for path, values in grid.items():
            if not isinstance(path, str):
                raise SweepError(f"grid: a path must be text, such as 'training/lr', but got {path!r}.")
            if not isinstance(values, list) or not values:
                raise SweepError(f"grid: '{path}' needs a list of values, but got {values!r}.")
        object.__setattr__(self, "grid", grid)

    def check_space(self) -> None:
        if not callable(self.space):
            raise SweepError(f"space: a function of an Optuna trial is needed, but got {self.space!r}.")
        if self.where:
            raise SweepError(
                f"where: only a grid has parts, but the sweep draws from a space; got {dict(self.where)}. Leave it out."
            )
        if self.trials is None:
            raise SweepError("trials: a space needs the number of points to draw. Pass trials=...")
        if self.intent == "hunt" and self.seeds > 1:
            raise SweepError(f"seeds: a hunt needs seeds=1, but got {self.seeds}. Leave it out.")

    @property
    def place(self) -> str:
        """The base config in messages: its file, if it is one."""
        return str(self.base) if isinstance(self.base, Path | str) else f"the base config of {self.name or 'the sweep'}"

    @property
    def direction(self) -> Literal["minimise", "maximise"]:
        return MEASURES[self.objective].direction

    def config(self, changes: Mapping[str, Any] | None = None) -> Config:
        """The base config with `changes`; raises `ConfigError`, or `SweepError` if it does not fit the sweep."""
        base = Config.load(self.base, changes)
        if self.objective not in chosen(base.measures):
            raise SweepError(
                f"{self.place}: the objective '{self.objective}' is not among its measures "
                f"({', '.join(chosen(base.measures))}). Add it to measures."
            )
        if self.intent == "hunt" and base.training.report_every is None:
            raise SweepError(f"{self.place}: a hunt stops bad trials at their reports. Set training/report_every.")
        return base


def load(path: Path | str) -> Sweep:
    """Load the `SWEEP` of a Python file; its name and question default to the file's name and docstring.

    Only the process that starts a sweep reads its file; workers get points.

    Args:
        path: A Python file that defines `SWEEP = Sweep(...)`.

    Returns:
        The sweep, with `base` located relative to the file.

    Raises:
        SweepError: If the file is missing, raises an error (the message names its line), or defines no sweep.
        ConfigError: If the base config is missing.

    Example:
        >>> import pathlib, lyapsweep
        >>> root = pathlib.Path(lyapsweep.__file__).parent.parent
        >>> load(root / "sweeps" / "forcing_interval.py").name
        'forcing_interval'
    """
    path = Path(path)
    if not path.is_file():
        near = ", ".join(sorted(str(p) for p in path.parent.glob("*.py"))) or "none"
        raise SweepError(f"{path}: there is no such sweep file. Python files there: {near}.")
    spec = importlib.util.spec_from_file_location(f"sweep_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SweepError(f"{path}: this is not a Python file. Give a sweep file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        with in_this_folder():
            spec.loader.exec_module(module)
    except SystemExit as error:
        raise SweepError(f"{described(error).rstrip('.')}. A sweep file must not exit; remove the call.") from error
    except Exception as error:
        raise SweepError(described(error) if user_place(error) else f"{path}: {described(error)}") from error
    sweep = getattr(module, "SWEEP", None)
    if not isinstance(sweep, Sweep):
        found = "defines none" if sweep is None else f"has a {type(sweep).__name__}"
        raise SweepError(f"{path}: SWEEP = Sweep(...) is needed, but the file {found}. Define it.")
    question = sweep.question or (module.__doc__ or "").strip() or None
    base = locate(sweep.base, path) if isinstance(sweep.base, Path | str) else sweep.base
    return dataclasses.replace(sweep, base=base, name=sweep.name or path.stem, question=question)


def values_of(values: Any) -> Any:
    """The values of an axis as a list: of any sequence or array; anything else is returned as it is, to be refused."""
    if hasattr(values, "tolist"):  # of NumPy, pandas, torch
        return values.tolist()
    return (
        list(values) if isinstance(values, Sequence | ValuesView | KeysView) and not isinstance(values, str) else values
    )


def locate(base: Path | str, sweep: Path) -> Path:
    """`base` relative to the current folder, else to the sweep file's folder or one above it."""
    for folder in (Path(), *sweep.resolve().parents):
        if (folder / base).is_file():
            return folder / base
    raise ConfigError(f"{sweep}: no config {base} in the current folder, beside or above the sweep file. Check base=.")
