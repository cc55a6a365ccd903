"""What networks learn: a series that they predict, or a task that they solve, behind one interface."""

import logging
from collections.abc import Collection

from lyapsweep.config import Config
from lyapsweep.datasets import is_task
from lyapsweep.measures import MEASURES, chosen
from lyapsweep.problems.memory import check_memory
from lyapsweep.problems.network import build_network, load_weights, read_weights
from lyapsweep.problems.problem import NetworkSize, Problem
from lyapsweep.problems.series import SeriesProblem
from lyapsweep.problems.task import TaskProblem

log = logging.getLogger("lyapsweep")

__all__ = ["NetworkSize", "Problem", "SeriesProblem", "TaskProblem", "blind_measures", "check_config", "problem_of"]


def problem_of(config: Config) -> Problem:
    """Load the data of a config and check the config against them.

    Args:
        config: A complete config. All configs of a pack have the same problem.

    Returns:
        A `SeriesProblem` or a `TaskProblem`, as the return annotation of the dataset function says.

    Raises:
        BadSeries: If the data of a series cannot be read or cannot be learned from.
        BadTask: If the data of a task cannot be learned from.
        ConfigError: If windows or readout do not fit the data.

    Example:
        >>> adding = {"kind": "adding", "length": 12, "train": 4, "test": 2}
        >>> problem_of(Config.of({"dataset": adding, "cell": {"kind": "gru"}})).size
        NetworkSize(outputs=1, inputs=2, steps=12)
    """
    return (TaskProblem if is_task(config.dataset["kind"]) else SeriesProblem)(config)


def blind_measures(config: Config, names: Collection[str] = ()) -> dict[str, str]:
    """Find the measures that cannot tell simple surrogates from the truth on the data of a config.

    Args:
        config: A complete config.
        names: The measures to look at; all of the config by default.

    Returns:
        Measure to a sentence that says what it cannot tell from the truth; empty if there is none.

    Raises:
        ValueError: As `problem_of`.

    Example:
        >>> lorenz = {"kind": "simulated", "system": "lorenz63", "length": 800}
        >>> measures = ["loss", "power_spectrum"]
        >>> blind_measures(Config.of({"dataset": lorenz, "cell": {"kind": "gru"}, "measures": measures}))
        {'power_spectrum': 'blind on simulated: lorenz63: it cannot tell a sine or a random walk from the attractor'}
    """
    problem, found = problem_of(config), {}
    bounds = problem.bounds(config)
    for name in names or chosen(config.measures):
        if alike := bounds.alike(name, MEASURES[name].direction):
            what, source = " or ".join(alike), problem.description.source
            found[name] = f"blind on {source}: it cannot tell {what} from the attractor"
    return found


def check_config(config: Config) -> None:
    """Raise the error that would end a trial before its first update; log how data were understood, or are unused.

    Args:
        config: A complete config.

    Raises:
        ValueError: As `problem_of`, or if no network of this config can be built.

    Example:
        >>> adding = {"kind": "adding", "length": 12, "train": 4, "test": 2}
        >>> check_config(Config.of({"dataset": adding, "cell": {"kind": "gru"}}))
    """
    check_memory(config)
    problem = problem_of(config)
    network = build_network([config], *problem.size)
    if config.training.weights:
        load_weights(network, read_weights(config.training.weights))
    problem.check(config)
    for remark in problem.description.remarks:
        log.warning("%s.", remark)
