"""Networks that predict a series, trained under forcing and run in closed loop."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep import datasets
from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets.series import Series
from lyapsweep.datasets.validation import Split
from lyapsweep.dynamics import Spectrum
from lyapsweep.evaluation import series as evaluation
from lyapsweep.evaluation.evaluation import Evaluation, double_precision
from lyapsweep.evaluation.truth import truth_evidence
from lyapsweep.forcing import FORCINGS, Schedule
from lyapsweep.measures.evidence import Evidence
from lyapsweep.problems.interval import forcing_interval, is_automatic
from lyapsweep.problems.problem import NetworkSize, Orbits, Problem, window_generators
from lyapsweep.results.provenance import DataDescription, ForcingInterval, InputDescription
from lyapsweep.rollout import Network
from lyapsweep.training import TrainingProgress
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.windows import driving

log = logging.getLogger("lyapsweep")
FORCING_SEED = 2**40  # far from the seeds of weights and windows, so that no two streams coincide


class SeriesProblem(Problem):
    """A series that networks predict.

    Args:
        config: Any config of a pack, with a dataset that is a series.

    Raises:
        BadSeries: If the data cannot be read or cannot be learned from.
        ConfigError: If the windows do not fit the data.

    Example:
        >>> lorenz = {"kind": "simulated", "system": "lorenz63", "length": 600}
        >>> config = Config.of({"dataset": lorenz, "cell": {"kind": "vanilla"}, "windows": {"length": 20}})
        >>> SeriesProblem(config).series.train.shape[0]
        600
    """

    def __init__(self, config: Config) -> None:
        self.split, self.windows = datasets.build_split(**config.dataset), config.windows
        self.series = self.split.whole
        if not isinstance(self.series, Series):
            raise ConfigError(
                f"dataset/kind: '{config.dataset['kind']}' returns a {type(self.series).__name__} but is not annotated "
                "as a task. Add the return annotation of its function."
            )
        self.windows.check_series(max(self.series.pieces))
        self.size = NetworkSize(self.series.features, self.series.inputs, 0)
        self.description = describe(self.split)

    def check(self, config: Config) -> None:
        forcing_schedule([config], series=self.series)
        short = [n for n in self.series.pieces if n <= self.windows.steps]
        if short:
            log.warning(
                "%s: %d of %d trajectories are not trained on, their lengths %s do not exceed windows/length %d. "
                "Set windows/length lower to use them.",
                *(self.series.source, len(short), len(self.series.pieces), ", ".join(map(str, short))),
                self.windows.steps,
            )

    def objective(self, network: Network, configs: Sequence[Config], device: str = "cpu") -> ForcedWindows:
        series, placed = self.series, {"dtype": torch.get_default_dtype(), "device": device}
        values = torch.as_tensor(series.train, **placed)
        inputs = torch.as_tensor(series.train_inputs, **placed) if series.inputs else None
        schedule, generators = forcing_schedule(configs, series), window_generators(configs)
        return ForcedWindows(network, schedule, values, self.windows, generators, series.pieces, inputs)

    def evaluate(self, network: Network, progress: TrainingProgress, configs: Sequence[Config]) -> list[Evaluation]:
        return evaluation.evaluate(network, progress, self.split, configs[0])

    def truth_evidence(self, config: Config, test: bool) -> Evidence:
        return truth_evidence(self.split.test if test and self.split.test else self.split.judged)

    def spectrum(self, network: Network, config: Config) -> Spectrum:
        return evaluation.free_spectra(network, self.series, config.lyapunov)[0]

    def double_precision(self, network: Network) -> Network:
        return double_precision(network, self.series.dt)

    def orbits(self, network: Network, config: Config, most: int, steps: int) -> Orbits:
        """From states inferred from held-out observations; inputs drive the orbits where there are any."""
        _, test, inputs = evaluation.prepare(network, self.series)
        steps = min(steps, len(test) // 2) if inputs is not None else 0  # no orbit exceeds the inputs
        first = torch.linspace(0, len(test) - 1 - steps, min(most, len(test))).long()
        return Orbits(evaluation.infer(network, test[first]), driving(inputs, first[None], steps))

    def observations(self, network: Network, z: Float[Tensor, "points state"]) -> Float[Tensor, "points features"]:
        return network.readout(z[None])[0]

    def forcing_interval(self, config: Config) -> ForcingInterval | None:
        return forcing_interval(config, self.series) if is_automatic(config) else None


def describe(split: Split[Series]) -> DataDescription:
    """What records say about a series."""
    series, inputs = split.whole, None
    if series.inputs:
        moments = (tuple(moment.tolist()) for moment in (series.input_mean, series.input_std))
        inputs = InputDescription(tuple(series.input_names), *moments)
    return DataDescription(
        source=series.source,
        digest=split.digest,
        parts=split.sentence,
        dt=series.dt,
        lambda_max=series.lambda_max,
        predictability_time=series.predictability_time,
        lambda_source=series.lambda_source,
        exponents=series.exponents,
        names=tuple(series.names),
        mean=tuple(series.mean.tolist()),
        std=tuple(series.std.tolist()),
        inputs=inputs,
        remarks=series.remarks,
    )


def forcing_schedule(configs: Sequence[Config], series: Series | None = None) -> Schedule:
    """Return the forcing of every member over its training.

    Args:
        configs: Configs of equal shape, one per member.
        series: Source of automatic intervals; not needed where every config holds a number.

    Returns:
        A `Schedule` for one training run: random forcing draws from the seed of its member.
    """
    first = configs[0]
    forcings = [FORCINGS[c.forcing["kind"]](**forcing_settings(c, series)) for c in configs]
    generators = [torch.Generator().manual_seed(FORCING_SEED + c.seed) for c in configs]
    return Schedule(forcings, first.windows.steps, first.training.steps, generators)


def forcing_settings(config: Config, series: Series | None) -> dict[str, Any]:
    """The keyword arguments of a config's forcing, `interval: auto` replaced by its number."""
    settings = config.settings("forcing")
    return settings | {"interval": forcing_interval(config, series).interval} if is_automatic(config) else settings
