"""Networks that solve a task: inputs drive them, their answers are compared with targets."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from lyapsweep import datasets
from lyapsweep.config import Config, ConfigError
from lyapsweep.datasets.task import Task
from lyapsweep.datasets.validation import Split
from lyapsweep.dynamics import Spectrum
from lyapsweep.evaluation import task as evaluation
from lyapsweep.evaluation.evaluation import Evaluation, double_precision
from lyapsweep.problems.problem import NetworkSize, Orbits, Problem, window_generators
from lyapsweep.readouts import READOUTS
from lyapsweep.results.provenance import DataDescription
from lyapsweep.rollout import Network
from lyapsweep.training import Objective, TrainingProgress
from lyapsweep.training.objectives import DrivenWindows
from lyapsweep.training.stateful_windows import CarriedWindows
from lyapsweep.windows import Windows


class TaskProblem(Problem):
    """A task that networks solve, on sequences or on windows of one stream.

    Args:
        config: Any config of a pack, with a dataset that is a task.

    Raises:
        BadTask: If the data cannot be learned from.
        ConfigError: If windows or readout do not fit the data.

    Example:
        >>> adding = {"kind": "adding", "length": 12, "train": 4, "test": 2}
        >>> TaskProblem(Config.of({"dataset": adding, "cell": {"kind": "gru"}})).size.steps
        12
    """

    def __init__(self, config: Config) -> None:
        self.split, self.windows = datasets.build_split(**config.dataset), config.windows
        self.task = self.split.whole
        if not isinstance(self.task, Task):
            raise ConfigError(
                f"dataset/kind: '{config.dataset['kind']}' returns a {type(self.task).__name__} but is annotated as a "
                "task. Correct the return annotation of its function."
            )
        check_windows(self.windows, self.task)
        check_policy(self.windows, self.task)
        readout = config.readout["kind"]
        if READOUTS[readout].whole and self.task.head != "last":
            raise ConfigError(
                f"readout/kind: '{readout}' answers once per sequence, but {self.task.source} asks at every step. "
                "Use affine."
            )
        self.head, held = self.task.head, self.task.outputs if self.windows.held else 0
        self.size = NetworkSize(self.task.outputs, self.task.inputs + held, self.task.length)
        self.description = describe(self.split)

    def check(self, config: Config) -> None:
        """Nothing is left to check: all members share what the constructor has checked."""

    def objective(self, network: Network, configs: Sequence[Config], device: str = "cpu") -> Objective:
        make = CarriedWindows if self.windows.carried else DrivenWindows
        return make(network, self.task, self.windows, window_generators(configs), device)

    def evaluate(self, network: Network, progress: TrainingProgress, configs: Sequence[Config]) -> list[Evaluation]:
        return evaluation.evaluate(network, progress, self.split, configs[0])

    def spectrum(self, network: Network, config: Config) -> Spectrum:
        return evaluation.driven_spectra(network, self.task, config.lyapunov, self.windows.held)[0]

    def double_precision(self, network: Network) -> Network:
        return double_precision(network, self.task.dt)

    def orbits(self, network: Network, config: Config, most: int, steps: int) -> Orbits:
        """From zero, as many and as long as `config.lyapunov` says."""
        return Orbits(*evaluation.orbits(network, self.task, config.lyapunov, self.windows.held))

    def observations(self, network: Network, z: Float[Tensor, "points state"]) -> Float[Tensor, "points features"]:
        return z[:0]


def describe(split: Split[Task]) -> DataDescription:
    """What records say about a task."""
    task = split.whole
    return DataDescription(
        source=task.source,
        digest=split.digest,
        parts=split.sentence,
        dt=task.dt,
        baseline=task.baseline,
        baseline_is=task.baseline_is,
        remarks=task.remarks,
        notes=task.notes,
    )


def check_windows(windows: Windows, task: Task) -> None:
    """Raise `ConfigError` for a window length that does not fit the sequences."""
    length = windows.length
    if length is None:
        if task.stream:
            raise ConfigError(
                f"windows/length: must be a number for {task.source}, one stream of {task.length} steps, but is null. "
                "Set the steps of a window."
            )
        return
    if task.head == "last" and length != task.length:
        raise ConfigError(
            f"windows/length: must be null for {task.source}, whose answers come after whole sequences, but is "
            f"{length}. Leave it out."
        )
    if length > task.length:
        raise ConfigError(
            f"windows/length: must not exceed the {task.length} steps of {task.source}, but is {length}. Set it lower."
        )


def check_policy(windows: Windows, task: Task) -> None:
    """Raise `ConfigError` where windows cannot follow each other, or begin with a target that does not exist."""
    policy, length, steps = windows.policy, windows.length, windows.batch * windows.steps
    if policy != "random" and not (task.stream and task.head == "step"):
        raise ConfigError(
            f"windows/policy: must be random for {task.source}, which is not one stream with a target per step, but is "
            f"'{policy}'. Leave it out."
        )
    if windows.spin_up and (task.head == "last" or length is None):
        raise ConfigError(
            f"windows/spin_up: must be 0 for {task.source}, which has one target per window, but is {windows.spin_up}. "
            "Leave it out."
        )
    if windows.carried and steps > task.length:
        raise ConfigError(
            f"windows/batch: windows/batch x windows/length must not exceed the {task.length} steps of {task.source}, "
            f"but is {windows.batch} x {length}. Set one of them lower."
        )
    if windows.held and (task.classes or windows.held >= task.length):
        raise ConfigError(
            f"windows/policy: 'conditional' needs numeric targets and more than windows/length steps, but "
            f"{task.source} has {task.loss} over {task.length} steps and length is {length}. Use another policy."
        )
