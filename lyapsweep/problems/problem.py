"""The interface between a trial and its data: objective, evaluation, spectra, sizes, description."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.config import Config
from lyapsweep.dynamics import Spectrum
from lyapsweep.evaluation.evaluation import Evaluation
from lyapsweep.maps import States
from lyapsweep.measures import chosen
from lyapsweep.measures.bounds import Bounds
from lyapsweep.measures.evidence import Evidence
from lyapsweep.results.provenance import DataDescription, ForcingInterval, commit, package_versions
from lyapsweep.rollout import Network
from lyapsweep.training import Objective, TrainingProgress
from lyapsweep.training.checkpoint import CheckpointConditions


class NetworkSize(NamedTuple):
    """The sizes of a network that follow from the data.

    Args:
        outputs: Numbers that the readout returns.
        inputs: Numbers that drive the cell at each time step.
        steps: Time steps of a sequence, for readouts of whole sequences; 0 for a series.

    Example:
        >>> NetworkSize(outputs=3, inputs=0, steps=0).outputs
        3
    """

    outputs: int
    inputs: int
    steps: int


class Orbits(NamedTuple):
    """First states of orbits, and what drives them: None for networks that run freely."""

    start: States
    inputs: Float[Tensor, "time population orbits inputs"] | None


class Problem(ABC):
    """The data of a config, and everything that a trial does with them.

    A problem is made once per pack (`problem_of`). Code that has one need not know whether the data are a series or
    a task.

    Args:
        config: Any config of the pack: its members share the dataset and the windows.

    Example:
        >>> from lyapsweep.problems import problem_of
        >>> lorenz = {"kind": "simulated", "system": "lorenz63", "length": 600}
        >>> problem = problem_of(Config.of({"dataset": lorenz, "cell": {"kind": "vanilla"}, "windows": {"length": 20}}))
        >>> isinstance(problem, Problem), problem.size.inputs
        (True, 0)
    """

    size: NetworkSize
    description: DataDescription
    head: str = "step"  # or "last": whether a network answers at every step or once

    @abstractmethod
    def __init__(self, config: Config) -> None: ...

    @abstractmethod
    def check(self, config: Config) -> None:
        """Raise `ConfigError` for settings of one member that do not fit the data."""

    @abstractmethod
    def objective(self, network: Network, configs: Sequence[Config], device: str = "cpu") -> Objective:
        """Return the training loss of a pack; the windows of each member are drawn from its own seed."""

    @abstractmethod
    def evaluate(self, network: Network, progress: TrainingProgress, configs: Sequence[Config]) -> list[Evaluation]:
        """Return spectra and evidence of each member, measured on the held-out part in double precision."""

    @abstractmethod
    def spectrum(self, network: Network, config: Config) -> Spectrum:
        """Return the Lyapunov spectrum of a population of one on the held-out part."""

    @abstractmethod
    def double_precision(self, network: Network) -> Network:
        """Return a copy in double precision whose time step is that of the data."""

    @abstractmethod
    def orbits(self, network: Network, config: Config, most: int, steps: int) -> Orbits:
        """Return the starts of at most `most` orbits of about `steps` steps along the held-out part.

        `network` is a population of one in double precision.
        """

    @abstractmethod
    def observations(self, network: Network, z: Float[Tensor, "points state"]) -> Float[Tensor, "points features"]:
        """Return what the states are in the space of the data; no rows where states are no observations."""

    def forcing_interval(self, config: Config) -> ForcingInterval | None:
        """Return the interval that `forcing/interval: auto` stands for; None if the config holds a number."""
        return None

    def truth_evidence(self, config: Config, test: bool) -> Evidence | None:
        """Return evidence without a network: the truth in its place; None for data whose measures have no floor."""
        return None

    def bounds(self, config: Config, test: bool = False) -> Bounds:
        """Return floors, saturations and scores of surrogates on the judged part, or on the test part.

        They are computed once per process, data set and measures.
        """
        key = f"{self.description.digest} {self.description.parts} {test}"
        evidence = self.truth_evidence(config, test)
        return Bounds() if evidence is None else data_bounds(DataKey(key, json.dumps(config.measures), evidence))

    def conditions(self, network: Network) -> CheckpointConditions:
        """Return what must be equal for training to resume from a checkpoint."""
        weights = dict(network.named_parameters())
        first = next(iter(weights.values()))
        return CheckpointConditions(
            versions=package_versions(),
            commit=commit(),
            device=first.device.type,
            dtype=str(first.dtype),
            data=self.description.digest,
            weights={name: list(weight.shape[1:]) for name, weight in weights.items()},
        )


@dataclass(frozen=True)
class DataKey:
    """A part of some data, and the measures whose bounds are wanted on it."""

    data: str
    measures: str
    evidence: Evidence = field(compare=False)


@lru_cache(maxsize=8)
def data_bounds(key: DataKey) -> Bounds:
    """The bounds of the measures on these data."""
    return Bounds.of(chosen(json.loads(key.measures)), key.evidence)


def window_generators(configs: Sequence[Config]) -> list[torch.Generator]:
    """One generator per member for its training windows."""
    return [torch.Generator().manual_seed(2 * c.seed + 1) for c in configs]
