"""Points of a region: helpers for define-by-run spaces, and drawing distinct valid points from a sweep."""

import itertools
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lyapsweep.config import FAMILIES, Config, ConfigError
from lyapsweep.sweep.plan.definition import Sweep, SweepError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

SHORT = 200  # draws from one study
TRIES = 50  # draws for every point wanted, before a space is held to be exhausted


@dataclass(frozen=True)
class Point:
    """A config and the Optuna parameters that lead to it."""

    config: Config
    params: dict[str, Any]
    distributions: "dict[str, BaseDistribution]"


def cell(trial: "optuna.Trial", cells: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Draw `cell/kind`. Where `cells` maps kinds to settings, the returned section is for the space to return."""
    return kind(trial, "cell", cells)


def kind(
    trial: "optuna.Trial", section: str, members: Sequence[str] | Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Draw the member of any family: `return kind(trial, "forcing", {"none": {}, "sparse": {"interval": 8}})`."""
    drawn = trial.suggest_categorical(f"{section}/kind", list(members))
    return {section: {"kind": drawn, **members[drawn]}} if isinstance(members, Mapping) else {}


def log_int(trial: "optuna.Trial", path: str, low: int, high: int) -> int:
    """An integer that is as likely in every octave between `low` and `high`, both included."""
    return trial.suggest_int(path, low, high, log=True)


def log_float(trial: "optuna.Trial", path: str, low: float, high: float) -> float:
    return trial.suggest_float(path, low, high, log=True)


def points(low: float, high: float, n: int) -> list[float]:
    """`n` values of a grid between `low` and `high`, both included, evenly spaced."""
    if n < 2 or not low < high:
        raise SweepError(f"points: low < high and n >= 2 must hold, but got (low={low}, high={high}, n={n}).")
    return short([low + (high - low) * i / (n - 1) for i in range(n)], (high - low) / (n - 1))


def log_points(low: float, high: float, n: int) -> list[float]:
    """`n` values of a grid between `low` and `high`, both included, evenly spaced in their logarithms."""
    if n < 2 or not 0 < low < high:
        raise SweepError(f"log_points: 0 < low < high and n >= 2 must hold, but got (low={low}, high={high}, n={n}).")
    ratio = (high / low) ** (1 / (n - 1))
    return [short([value], value * min(1, ratio - 1))[0] for value in (low * ratio**i for i in range(n))]


def short(values: Sequence[float], step: float) -> list[float]:
    """Values as people write them: rounded to a hundredth of the step between them or less."""
    decimals = 2 - math.floor(math.log10(step))
    return [round(float(value), decimals) for value in values]


def seed(trial: "optuna.Trial", count: int) -> int:
    """One of the seeds 0 ... count - 1."""
    return trial.suggest_int("seed", 0, count - 1)


def point(sweep: Sweep, base: Config, trial: "optuna.Trial") -> Point:
    """What the sweep's space makes of one Optuna trial; `SweepError` where that is no valid config."""
    assert sweep.space is not None
    follows = sweep.space(trial) or {}
    if not isinstance(follows, Mapping):
        raise SweepError(f"{sweep.name or 'sweep'}: space must return {{path: value}} or nothing, but got {follows!r}.")
    return Point(applied(sweep, base, {**trial.params, **follows}), dict(trial.params), dict(trial.distributions))


def applied(sweep: Sweep, base: Config, changes: Mapping[str, Any]) -> Config:
    """`base` with a point's values: whole sections first, single settings on top of them."""
    whole = {k: v for k, v in changes.items() if "/" not in k and isinstance(v, Mapping)}
    single = {k: v for k, v in changes.items() if k not in whole and not (k.endswith("/kind") and k[:-5] in whole)}
    try:
        return (base.changed(whole) if whole else base).changed(single)
    except ConfigError as error:
        raise SweepError(f"{sweep.name or 'sweep'}: {changes} is not a valid point: {error}") from error


def draw(sweep: Sweep, n: int | None = None, seed: int = 0, base: Config | None = None) -> list[Point]:
    """The first `n` distinct points: a grid in its order, a space by a scrambled Sobol sequence (`QMCSampler`).

    The same sweep and seed give the same points. A space in which some parameters depend on others is only partly
    quasi-random: parameters that its first point lacks are drawn independently and uniformly. Fewer points than `n`
    come back where the space holds fewer.
    """
    base = base or sweep.config()
    stream = (
        on_grid(sweep, base) if sweep.grid is not None else sobol(sweep, base, seed, TRIES * (n or sweep.trials or 1))
    )
    wanted = n if n is not None else (sweep.trials if sweep.grid is None else None)
    distinct: dict[str, Point] = {}
    for drawn in chosen(with_seeds(stream, sweep.seeds), sweep.where):
        distinct.setdefault(drawn.config.id, drawn)
        if wanted is not None and len(distinct) >= wanted:
            break
    return list(distinct.values())


def readable(points: list[Point]) -> list[Point]:
    """The same points, once their files are read and fit them: each data set with one point, before any work starts.

    What comes from equations cannot be missing; it is left to the workers.
    """
    from lyapsweep.problems import check_config

    for config in {json.dumps(p.config.dataset): p.config for p in points if "path" in p.config.dataset}.values():
        check_config(config)
    return points


def on_grid(sweep: Sweep, base: Config) -> Iterator[Point]:
    grid = sweep.grid or {}
    labels = {path: [label(v) for v in values] for path, values in grid.items()}
    distributions = {path: along(values) for path, values in labels.items()}
    for values in itertools.product(*grid.values()):
        changes = dict(zip(grid, values))
        yield Point(applied(sweep, base, changes), {k: label(v) for k, v in changes.items()}, distributions)


def chosen(points: Iterable[Point], where: Mapping[str, Any]) -> Iterator[Point]:
    """Those that have what is asked; `SweepError` where none has, with what there is instead."""
    there, kept = {path: [] for path in where}, not where
    for drawn in points:
        has = {path: drawn.config.flat.get(path) for path in where}
        for path, value in has.items():
            there[path] += [] if value in there[path] else [value]
        if all(value in among(where[path]) for path, value in has.items()):
            kept = True
            yield drawn
    if not kept:
        raise SweepError(nowhere(where, there))


def along(values: Sequence[Any]) -> "BaseDistribution":
    """An axis of the grid as Optuna knows it: numbers as a range, for each trial of a study repeats what it holds."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not numeric(values):
        return CategoricalDistribution(values)
    whole = all(isinstance(v, int) for v in values)
    return IntDistribution(min(values), max(values)) if whole else FloatDistribution(min(values), max(values))


def nowhere(where: Mapping[str, Any], there: Mapping[str, list[Any]]) -> str:
    """No point is `where` one asks; what is `there` instead."""
    said = [f"No point of the grid has {', '.join(f'{k} = {v!r}' for k, v in where.items())}."]
    for path, values in there.items():
        if not any(value in among(where[path]) for value in values):
            said.append(f"Its {path}: {', '.join(map(repr, values))}.")
    if any(isinstance(where[path], list) and where[path] in values for path, values in there.items()):
        said.append("A list names several values: write [[...]] for one that is a list.")
    return " ".join(said)


def numeric(values: Sequence[Any]) -> bool:
    """Whether all values of an axis are numbers."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def among(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def label(value: Any) -> Any:
    """A grid value as Optuna stores it: sections and lists as JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping | list | tuple) else value


def sobol(sweep: Sweep, base: Config, seed: int, tries: int) -> Iterator[Point]:
    """The draws of one `QMCSampler`, from one short study after another: it looks at every trial of its study at each
    draw, of which it needs the first and its own count."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
    first, counts = [], {}
    for done in range(0, tries, SHORT):
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(sampler=sampler, storage=storage, study_name="draws")
        study.add_trials(first)
        for key, count in counts.items():
            storage.set_study_system_attr(storage.get_study_id_from_name("draws"), key, count)
        for _ in range(min(SHORT, tries - done)):
            trial = study.ask()
            yield point(sweep, base, trial)
            study.tell(trial, 0.0)
        first = study.get_trials(deepcopy=False)[:1]
        counts = storage.get_study_system_attrs(storage.get_study_id_from_name("draws"))


def with_seeds(points: Iterable[Point], seeds: int) -> Iterator[Point]:
    """Every point from `seeds` seeds, counted up from its own."""
    from optuna.distributions import IntDistribution

    for drawn in points:
        if seeds == 1:
            yield drawn
            continue
        if "seed" in drawn.params:
            raise SweepError(f"The seed is varied twice: by seeds={seeds} and by the space or grid. Leave one out.")
        first = drawn.config.seed
        for s in range(first, first + seeds):
            varied = {"seed": IntDistribution(first, first + seeds - 1)}
            yield Point(drawn.config.changed({"seed": s}), drawn.params | {"seed": s}, drawn.distributions | varied)


def varied(configs: Sequence[Config]) -> list[str]:
    """The paths that tell these configs apart, kinds first.

    A setting that follows from its section's kind (units where every cell has its own) tells nothing and is left out.
    """
    paths = list(dict.fromkeys(path for c in configs for path in c.flat))
    telling = []
    for path in paths:
        section = path.partition("/")[0]
        groups: dict[Any, set[str]] = {}
        for c in configs:
            of = c.sections[section]["kind"] if section in FAMILIES and not path.endswith("/kind") else None
            groups.setdefault(of, set()).add(json.dumps(c.flat[path], default=str) if path in c.flat else "")
        if any(len(values) > 1 for values in groups.values()):
            telling.append(path)
    return sorted(telling, key=lambda path: (not path.endswith("/kind"), path == "seed"))
