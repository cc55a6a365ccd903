"""Which network a final record holds: the last one, or the best one at a report (`training/keep`)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lyapsweep.config import Config
from lyapsweep.config.sections import LAST
from lyapsweep.datasets import is_task
from lyapsweep.evaluation.evaluation import Evaluation
from lyapsweep.measures import MEASURES, chosen
from lyapsweep.problems.problem import Problem
from lyapsweep.rollout import Network
from lyapsweep.training import TrainingProgress
from lyapsweep.training.trainer import State


@dataclass(frozen=True)
class EvaluatedNetworks:
    """The networks of a report.

    Args:
        progress: The training, whose state holds what is kept, too.
        network: The population that the report shows.
        evaluations: One per member.
        steps: Number of updates of each network that is not the last one; None for the last one.
    """

    progress: TrainingProgress
    network: Network
    evaluations: list[Evaluation]
    steps: Sequence[int | None]


class KeptNetworks:
    """The best network of each member so far, by its score on the part of the data by which networks are judged.

    At the last report those members whose best network is an earlier one are shown with that, evaluated anew: spectra
    of full length and scores on the test part. A member that diverged keeps its last finite network.

    Args:
        network: The population, as it is in training.
        problem: Its data.
        configs: Its configs, which share `training/keep`.
        state: State of a checkpoint; empty for a training that begins.
    """

    def __init__(self, network: Network, problem: Problem, configs: Sequence[Config], state: State):
        self.network, self.problem, name = network, problem, configs[0].training.keep
        self.measure = None if name == LAST else chosen(configs[0].measures)[name]
        weights = {name: w.detach() for name, w in network.named_parameters() if w.numel()} if self.measure else {}
        new = {"kept/score": torch.full((len(configs),), torch.inf, dtype=torch.float64)}
        new |= {"kept/step": torch.zeros(len(configs), dtype=torch.long)}
        new |= {f"kept/{name}": w.cpu().clone() for name, w in weights.items()}
        self.state = {key: state.get(key, value).clone() for key, value in new.items()} if self.measure else {}

    def evaluate(self, progress: TrainingProgress, configs: Sequence[Config]) -> EvaluatedNetworks:
        """Evaluate a report, and what is kept at the last one."""
        evaluations, none = self.problem.evaluate(self.network, progress, configs), [None] * len(configs)
        if self.measure is None:
            return EvaluatedNetworks(progress, self.network, evaluations, none)
        self.note(progress, evaluations)
        progress = replace(progress, state=lambda inner=progress.state: {**inner(), **self.state})
        earlier = (self.state["kept/step"] < progress.step) & progress.alive.cpu()
        if progress.step < configs[0].training.steps or not earlier.any():
            return EvaluatedNetworks(progress, self.network, evaluations, none)
        network = copy.deepcopy(self.network)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if weight.numel():
                    weight[earlier] = self.state[f"kept/{name}"][earlier].to(weight)
        steps = [int(step) if old else None for step, old in zip(self.state["kept/step"], earlier)]
        return EvaluatedNetworks(progress, network, self.problem.evaluate(network, progress, configs), steps)

    def note(self, progress: TrainingProgress, evaluations: Sequence[Evaluation]) -> None:
        """Keep the networks that score better than those kept so far."""
        assert self.measure is not None
        sign = 1 if self.measure.direction == "minimise" else -1
        scores = torch.tensor([sign * self.measure(each.evidence) for each in evaluations], dtype=torch.float64)
        better = (scores < self.state["kept/score"]) & progress.alive.cpu()
        self.state["kept/score"][better] = scores[better]
        self.state["kept/step"][better] = progress.step
        for name, weight in self.network.named_parameters():
            if weight.numel():
                self.state[f"kept/{name}"][better] = weight.detach().cpu()[better]


def with_measures(configs: Sequence[Config], further: Sequence[str]) -> Sequence[Config]:
    """The configs with further measures, of those that apply to their data."""
    have, data = chosen(configs[0].measures), "task" if is_task(configs[0].dataset["kind"]) else "series"
    new = [name for name in further if name not in have and data in MEASURES[name].data]
    return [c.changed({"measures": [*c.measures, *new]}) for c in configs] if new else configs
