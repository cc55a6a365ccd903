"""The definition of a sweep: what is varied, how far, and by which measure trials are compared."""

import dataclasses
import importlib.util
from collections.abc import Callable, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lyapsweep import packaged
from lyapsweep.config import Config, ConfigError
from lyapsweep.measures import MEASURES, chosen
from lyapsweep.registry import unknown
from lyapsweep.results.constraints import LAMBDA_MAX, Constraint
from lyapsweep.results.description import SweepOptions
from lyapsweep.results.experiment import is_experiment_name
from lyapsweep.setting_types import as_plain, is_finite
from lyapsweep.sweep.plan.errors import SweepError
from lyapsweep.sweep.plan.halving import Halving
from lyapsweep.sweep.plan.hunt_settings import DYNAMICS, check_confirmation, check_hunt, measure_of, parse_constraints
from lyapsweep.user_code import described, in_this_folder, user_place

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

    Space = Callable[[optuna.Trial], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A region of settings around a base config, as a grid or as a space to draw from.

    Args:
        base: Config of everything that is not varied: a file, relative to the current folder, the sweep file's folder
            or a folder above it; or nested settings, or a `Config`.
        objective: Name of a measure, a `Measure`, or a function of `Evidence` (the less, the better); a measure's
            direction says whether the smallest or the largest value is best. Of a hunt also a list: Optuna then looks
            for the Pareto front, and the first one decides the best trial.
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
        halving: How a hunt stops bad trials: a `Halving`, True for its defaults, None or False to train all to the end.
        scheduler: A scheduler of Ray Tune for a hunt, which stops whole packs by their best member, instead of halving.
        sampler: What chooses the points of a hunt: "tpe", "gp", "cmaes", "nsga2", "qmc" or "random", or a sampler of
            Optuna. Of these, gp, cmaes and qmc draw parameters at random that only some trials have.
        constraints: Bounds on scores of a hunt's trials, such as ["D_stsp <= 0.5", "lambda_max >= 0"]: Optuna's
            samplers prefer trials that keep them, and only these can be the best. Scores are named as in records, or
            by the title of their measure, and kept by name.
        further: The objectives after the first.
        confirm: Number of fresh seeds from which the best settings are trained again, whole, after the search; the
            median over them decides which setting wins. 0 confirms none.
        candidates: Number of settings that are confirmed.
        criteria: Bounds on scores of confirmed networks, in the form of `constraints`, by default those of `DYNAMICS`:
            settings of which a network violates one rank behind those without. A bound on a measure that has no value
            on these data, as for want of `dataset/lambda_max`, decides nothing.
        name: Name of results folder, Optuna study and MLflow experiment; by default the sweep file's.
        question: What is asked; by default the sweep file's docstring.
        options: What the command line said of the points; kept in sweep.json, for `--resume`.

    Raises:
        UnknownName: If `objective` is no measure.
        SweepError: If the arguments contradict each other.

    Example:
        >>> sweep = Sweep(base="configs/lorenz63.yaml", objective="loss", grid={"training/lr": [1e-3, 1e-2]}, seeds=3)
        >>> sweep.direction
        'minimise'
    """

    base: Path | str | Mapping[str, Any] | Config
    objective: str  # or a measure or function, whose name remains, or a list, of which the first remains
    intent: str = "map"
    grid: Mapping[str, Sequence[Any]] | None = None
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: "Space | None" = None
    trials: int | None = None
    seeds: int = 1
    threshold: float | None = None
    pack: int | None = None
    halving: Halving | bool | None = True
    scheduler: Any = None  # of Ray Tune, which planning does not import
    sampler: "str | BaseSampler" = "tpe"
    constraints: Sequence[str] = ()
    further: Sequence[str] = ()
    confirm: int = 0
    candidates: int = 5
    criteria: Sequence[str] = DYNAMICS
    name: str | None = None
    question: str | None = None
    options: SweepOptions | None = None
    bounds: tuple[Constraint, ...] = dataclasses.field(init=False, default=(), repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.objective, list | tuple) and self.objective:
            object.__setattr__(self, "further", tuple(self.objective[1:]))
            object.__setattr__(self, "objective", self.objective[0])
        object.__setattr__(self, "objective", MEASURES.full_name(as_plain(self.objective)))
        object.__setattr__(self, "further", tuple(MEASURES.full_name(as_plain(name)) for name in self.further))
        for objective in self.objectives:
            if objective not in MEASURES:
                raise unknown("measure", objective, list(MEASURES), "objective")
        if self.intent not in ("map", "hunt"):
            raise SweepError(f"intent: 'map' or 'hunt' is needed, but got {self.intent!r}.")
        if (self.grid is None) == (self.space is None):
            raise SweepError("Sweep: either grid={path: values} or space=function is needed, and not both.")
        if self.name is not None and not (isinstance(self.name, str) and is_experiment_name(self.name)):
            raise SweepError(
                f"name: only letters, digits, '_', '-' and '.' are allowed, with no '.' first, but got {self.name!r}."
            )
        for what in ("trials", "seeds", "pack", "threshold", "confirm", "candidates"):
            object.__setattr__(self, what, as_plain(getattr(self, what)))
        for what, least in (("trials", 1), ("seeds", 1), ("pack", 1), ("confirm", 0), ("candidates", 1)):
            value = getattr(self, what)
            if value is not None and (not isinstance(value, int) or value < least):
                raise SweepError(f"{what}: {what} >= {least} must hold, a whole number, but got {value!r}.")
        if self.threshold is not None and not is_finite(self.threshold):
            raise SweepError(f"threshold: a finite number is needed, but got {self.threshold}.")
        object.__setattr__(self, "where", as_plain(self.where))
        check_hunt(self)
        check_confirmation(self)
        object.__setattr__(self, "bounds", parse_constraints(self.constraints))
        object.__setattr__(self, "constraints", tuple(bound.text for bound in self.bounds))
        criteria = parse_constraints(self.criteria, "criteria")
        object.__setattr__(self, "criteria", tuple(bound.text for bound in criteria))
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
    def halving_settings(self) -> Halving | None:
        """How trials are halved; None if a scheduler of Ray stops packs, and if all train to their end.

        With several objectives all do.
        """
        if self.intent == "map" or not self.halving or self.scheduler is not None or self.further:
            return None
        return self.halving if isinstance(self.halving, Halving) else Halving()

    @property
    def objectives(self) -> tuple[str, ...]:
        """All objectives, the first of which decides the best trial."""
        return (self.objective, *self.further)

    @property
    def directions(self) -> tuple[Literal["minimise", "maximise"], ...]:
        return tuple(MEASURES[objective].direction for objective in self.objectives)

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores beside the objective that the sampler needs."""
        return tuple(dict.fromkeys([*self.further, *(constraint.score for constraint in self.bounds)]))

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
        measured = list(chosen(base.measures))
        for objective in self.objectives:
            if objective not in measured:
                raise SweepError(
                    f"{self.place}: the objective '{objective}' is not among its measures ({', '.join(measured)}). "
                    "Add it to measures."
                )
        for bound in self.bounds:
            if (needed := measure_of(bound.score)) not in (*measured, LAMBDA_MAX):
                raise SweepError(
                    f"{self.place}: the constraint '{bound.text}' needs {needed}, which is not among its measures "
                    f"({', '.join(measured)}). Add it to measures."
                )
        if (self.halving_settings or self.scheduler) and base.training.report_every is None:
            raise SweepError(
                f"{self.place}: a hunt stops bad trials at their reports. Set training/report_every, "
                "or halving=None in the sweep."
            )
        return base


def load(path: Path | str) -> Sweep:
    """Load the `SWEEP` of a Python file; its name and question default to the file's name and docstring.

    Only the process that starts a sweep reads its file; workers get points.

    Args:
        path: A Python file that defines `SWEEP = Sweep(...)`, or the name of a packaged one (`lyapsweep list sweeps`).

    Returns:
        The sweep, with `base` located relative to the file.

    Raises:
        SweepError: If the file is missing, raises an error (the message names its line), or defines no sweep.
        ConfigError: If the base config is missing.

    Example:
        >>> load("forcing_interval").name
        'forcing_interval'
    """
    found = packaged.find_file("sweeps", path)
    if found is None:
        raise SweepError(packaged.missing_file("sweeps", path))
    path = found
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
    """`base` relative to the current folder, to the sweep file's folder or one above it, or a packaged config."""
    for folder in (Path(), *sweep.resolve().parents):
        if (folder / base).is_file():
            return folder / base
    if found := packaged.find_file("configs", base):
        return found
    raise ConfigError(
        f"{sweep}: no config {base} in the current folder, beside or above the sweep file, and none of this name is "
        "packaged (`lyapsweep list configs`). Check base=."
    )
