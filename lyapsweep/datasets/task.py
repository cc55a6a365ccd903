"""The result of a task dataset: input sequences and the targets of the readout."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from lyapsweep.datasets.series import LEAST_PART, digest
from lyapsweep.registry import unknown

LEAST_SEQUENCES = 10  # of a validation or test part by default
HEADS, LOSSES = ("last", "step"), ("cross_entropy", "mse")
Part = Literal["train", "test"]


class BadTask(ValueError):
    """Inputs or targets that are not usable; the message names the part, the array and what it must be."""


@dataclass(frozen=True)
class Task:
    """Sequences of inputs and their targets, to train on and held out; sequences first, then time.

    Args:
        train_inputs: Numbers (sequences, time, inputs); or whole numbers (sequences, time) below `symbols`, each a one-
            hot
            input. One long stream is a single sequence.
        train_targets: With head "last", one answer per sequence: classes (sequences,) or numbers (sequences, outputs).
            With
            head "step", one answer per step: (sequences, time) or (sequences, time, outputs).
        test_inputs: Held-out inputs.
        test_targets: Held-out targets.
        head: "last" or "step".
        loss: "cross_entropy" of classes 0 ... outputs - 1, in nats, or "mse", the mean over outputs.
        outputs: Number of classes or of output numbers.
        baseline: Loss of the best answer without memory, or of the best constant.
        baseline_is: What the baseline is, in symbols.
        symbols: Number of symbols of one-hot inputs; None (the default) for numbers.
        mask: True at the steps that count, shape (time,), for head "step"; None (the default) counts all.
        dt: Time of one step; None (the default) if there is no time unit.
        source: Description of the data, used in messages.
        names: Names of the inputs.
        remarks: How a file was understood, where that is not obvious; empty by default.
        notes: Further numbers about the data, such as the moments of standardised targets.
        before: Targets of the step before the held-out inputs, shape (sequences, 1) or (sequences, 1, outputs), which
            conditional windows begin with; None (the default) if these continue the training part.

    Raises:
        BadTask: If shapes do not agree, a value is not usable, or the baseline is not positive.
        UnknownName: If the head or the loss is unknown.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(8, 5, 1))
        >>> task = Task(x[:6], x[:6, -1], x[6:], x[6:, -1], head="last", loss="mse", outputs=1, baseline=1.0)
        >>> task.inputs, task.length, task.stream
        (1, 5, False)
    """

    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    head: str
    loss: str
    outputs: int
    baseline: float
    baseline_is: str = ""
    symbols: int | None = None
    mask: np.ndarray | None = None
    dt: float | None = None
    source: str = ""
    names: tuple[str, ...] = ()
    notes: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    before: np.ndarray | None = None

    def __post_init__(self) -> None:
        for what, value, known in (("head", self.head, HEADS), ("loss", self.loss, LOSSES)):
            if value not in known:
                raise unknown(f"{what} of a task", value, list(known), self.source)
        if self.dt is not None and not 0 < self.dt < math.inf:
            raise BadTask(f"{self.source}: 0 < dt < inf must hold, but got {self.dt}. Give the time of one step.")
        if not (np.isfinite(self.baseline) and self.baseline > 0):
            raise BadTask(f"{self.source}: a finite baseline > 0 must hold, but got {self.baseline}.")
        for part in ("train", "test"):
            self.check_inputs(part)
            self.check_targets(part)
        if self.mask is not None and not (self.head == "step" and self.mask.any() and self.lengths == {len(self.mask)}):
            raise BadTask(f"{self.source}: a mask must be (time,), true somewhere, and under head 'step'.")

    def check_inputs(self, part: Part) -> None:
        inputs = self.part(part)[0]
        wanted = "(sequences, time, inputs)" if self.symbols is None else "(sequences, time)"
        if inputs.ndim != (3 if self.symbols is None else 2) or not inputs.size:
            raise BadTask(f"{self.source}: {part}_inputs must be {wanted} and not empty, but are {inputs.shape}.")
        self.check_values(f"{part}_inputs", inputs, self.symbols)
        if self.symbols is None and inputs.shape[2] != self.train_inputs.shape[2]:
            raise BadTask(f"{self.source}: train and test differ in inputs: {self.inputs} and {inputs.shape[2]}.")

    def check_targets(self, part: Part) -> None:
        inputs, targets = self.part(part)
        wanted = inputs.shape[:1] if self.head == "last" else inputs.shape[:2]
        wanted += () if self.classes else (self.outputs,)
        if targets.shape != wanted:
            raise BadTask(
                f"{self.source}: {part}_targets must be {wanted} under head '{self.head}' and loss '{self.loss}', "
                f"but are {targets.shape}."
            )
        self.check_values(f"{part}_targets", targets, self.outputs if self.classes else None)

    def check_values(self, what: str, values: np.ndarray, below: int | None) -> None:
        """Check for finite numbers; or, if `below` is given, for whole numbers from 0 to below it."""
        if below is None:
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                raise BadTask(f"{self.source}: {what} hold {len(bad)} values that are not finite, first at {bad[0]}.")
        elif not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() >= below:
            raise BadTask(
                f"{self.source}: {what} must be whole numbers from 0 to {below - 1}, but are {values.dtype} "
                f"from {values.min()} to {values.max()}."
            )

    def part(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of one part."""
        return (self.train_inputs, self.train_targets) if part == "train" else (self.test_inputs, self.test_targets)

    @property
    def in_time(self) -> bool:
        """Whether the held-out part is one sequence with an answer per step, so that it can be divided in time."""
        return len(self.test_inputs) == 1 and self.head == "step" and self.mask is None

    @property
    def held_out(self) -> int:
        """Number of held-out sequences, or of the rows of a held-out stream."""
        return self.test_inputs.shape[1] if self.in_time else len(self.test_inputs)

    @property
    def unit(self) -> str:
        """What `held_out` counts."""
        return "rows" if self.in_time else "sequences"

    @property
    def least(self) -> tuple[int, int]:
        """Fewest rows or sequences of a validation or test part: by default, and if asked for."""
        return LEAST_PART if self.in_time else LEAST_SEQUENCES, 1

    @property
    def reach(self) -> int:
        """Rows before a row whose values it holds: none."""
        return 0

    def held_out_part(self, first: int, end: int) -> "Task":
        """Return the task with the held-out rows or sequences `first` to `end` - 1 alone."""
        inputs, targets = self.test_inputs, self.test_targets
        if not self.in_time:
            return replace(self, test_inputs=inputs[first:end], test_targets=targets[first:end])
        before = targets[:, first - 1 : first] if first else self.before
        return replace(self, test_inputs=inputs[:, first:end], test_targets=targets[:, first:end], before=before)

    @cached_property
    def digest(self) -> str:
        """A digest of inputs and targets; equal data have equal digests."""
        return digest(self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)

    @property
    def inputs(self) -> int:
        """Number of inputs of the network at each step."""
        return self.symbols or self.train_inputs.shape[2]

    @property
    def classes(self) -> bool:
        """Whether answers are classes, which are right or wrong."""
        return self.loss == "cross_entropy"

    @property
    def length(self) -> int:
        """Number of steps of a training sequence."""
        return self.train_inputs.shape[1]

    @property
    def lengths(self) -> set[int]:
        return {self.train_inputs.shape[1], self.test_inputs.shape[1]}

    @property
    def stream(self) -> bool:
        """Whether the data are one long sequence, from which windows are cut."""
        return len(self.train_inputs) == 1
