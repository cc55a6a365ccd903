"""Points of a define-by-run space: drawn by a scrambled Sobol sequence, or rebuilt from recorded values."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from scipy.stats import qmc

from lyapsweep.config import Config
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.points import Point, apply_settings
from lyapsweep.user_code import described

DIMENSIONS = 64  # parameters that a space may have
BLOCK = 256  # Sobol points generated at a time; a power of 2 keeps their balance


class ValueSampler(BaseSampler):
    """An Optuna sampler that only answers for single parameters."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}


class SobolSampler(ValueSampler):
    """Scrambled Sobol points (Owen 1998); each parameter owns one dimension, numbered in order of first appearance.

    Parameters of a branch keep their dimension while other branches are drawn, so every branch of a conditional space
    is covered evenly too.
    """

    def __init__(self, seed: int):
        self.sequence = qmc.Sobol(DIMENSIONS, scramble=True, rng=seed)
        self.dimensions: dict[str, int] = {}
        self.coordinates = np.zeros(DIMENSIONS)

    def points(self) -> Iterator[np.ndarray]:
        """Points of the unit cube, without end."""
        while True:
            yield from self.sequence.random(BLOCK)

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: BaseDistribution) -> Any:
        dimension = self.dimensions.setdefault(name, len(self.dimensions))
        if dimension >= DIMENSIONS:
            raise SweepError(f"space: more than {DIMENSIONS} parameters, the next is '{name}'. Vary fewer settings.")
        return value_at(distribution, float(self.coordinates[dimension]))


class MissingValue(Exception):
    """A parameter of a space that has no recorded value."""


class ReplaySampler(ValueSampler):
    """Returns recorded values; raises `MissingValue` for a parameter without one, or with one that is no choice."""

    def __init__(self, values: Mapping[str, Any]):
        self.values = values

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: BaseDistribution) -> Any:
        value = self.values.get(name)
        chosen = isinstance(distribution, CategoricalDistribution)
        if name not in self.values or (chosen and value not in distribution.choices):
            raise MissingValue(name)
        return value


def value_at(distribution: BaseDistribution, u: float) -> Any:
    """The value at the quantile `u` in [0, 1) of a parameter's uniform (or log-uniform) distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log and isinstance(distribution, IntDistribution):  # every integer owns the interval around it
        low, high = low - 0.5, high + 0.5
        return min(max(round(low * (high / low) ** u), distribution.low), distribution.high)
    if distribution.log:
        return min(math.exp(math.log(low) + u * (math.log(high) - math.log(low))), high)
    if distribution.step is None:
        return low + u * (high - low)
    steps = round((high - low) / distribution.step) + 1
    return low + distribution.step * int(u * steps)


def evaluate_space(sweep: Sweep, base: Config, trial: optuna.Trial) -> Point:
    """The point that the sweep's space makes of one Optuna trial; `SweepError` if that is no valid config."""
    assert sweep.space is not None
    try:
        further = sweep.space(trial) or {}
    except (SweepError, MissingValue):
        raise
    except (Exception, SystemExit) as error:
        text, name = described(error).rstrip("."), sweep.name or "sweep"
        raise SweepError(f"{text}. Mend the space of {name}.") from error
    if not isinstance(further, Mapping) or not all(isinstance(path, str) for path in further):
        raise SweepError(f"{sweep.name or 'sweep'}: space must return {{path: value}} or nothing, but got {further!r}.")
    config = apply_settings(sweep, base, {**trial.params, **further})
    return Point(config, dict(trial.params), dict(trial.distributions))


def sobol_points(sweep: Sweep, base: Config, seed: int) -> Iterator[Point]:
    """Points of the space along a scrambled Sobol sequence, without end; they may repeat."""
    sampler = SobolSampler(seed)
    for coordinates in sampler.points():
        sampler.coordinates = coordinates
        yield evaluate_space(sweep, base, ask_once(sampler))


def replay(sweep: Sweep, base: Config, values: Mapping[str, Any]) -> Point | None:
    """The point with these values of the space's parameters; None if the space asks for one that is missing."""
    try:
        return evaluate_space(sweep, base, ask_once(ReplaySampler(values)))
    except MissingValue:
        return None


def ask_once(sampler: BaseSampler) -> optuna.Trial:
    """The first trial of a new study in memory: the cost of a trial does not grow with the number of trials."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler).ask()
    finally:
        optuna.logging.set_verbosity(verbosity)
