"""The adding problem: add two marked numbers of a sequence (Hochreiter and Schmidhuber 1997)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Seed


def adding(*, length: Count = 100, train: Count = 10_000, test: Count = 1000, seed: Seed = 0) -> Task:
    """The adding problem: add the two marked numbers of a sequence, a memory of one number over about `length` steps.

    Inputs are (value, marker): values uniform on (0, 1); the marker is 1 at one random step of each half, else 0. The
    target, after the last step, is the sum of the two marked values. Always answering 1 loses 1/6, the variance of a
    sum of two uniform numbers.

    Args:
        length: Steps of a sequence, 100 by default.
        train: Number of training sequences, 10000 by default.
        test: Number of held-out sequences, 1000 by default.
        seed: Seed of the sequences, 0 by default.

    Returns:
        A task with head "last" and loss "mse".

    Raises:
        BadTask: If `length` is below 2 or there are no sequences.

    Source: Hochreiter and Schmidhuber 1997; conventions of Arjovsky, Shah, Bengio 2016.

    Example:
        >>> adding(length=10, train=4, test=2).train_targets.shape
        (4, 1)
    """
    if length < 2 or min(train, test) < 1:
        raise BadTask(
            f"adding: length >= 2, train >= 1 and test >= 1 must hold, but got length={length}, train={train}, "
            f"test={test}."
        )
    random = np.random.default_rng(seed)
    values = random.random((train + test, length))
    half, rows = length // 2, np.arange(train + test)
    marked = random.integers([0, half], [half, length], (train + test, 2))
    markers = np.zeros_like(values)
    markers[rows[:, None], marked] = 1
    inputs = np.stack([values, markers], axis=2)
    targets = values[rows[:, None], marked].sum(axis=1, keepdims=True)
    return Task(
        inputs[:train],
        targets[:train],
        inputs[train:],
        targets[train:],
        head="last",
        loss="mse",
        outputs=1,
        baseline=1 / 6,
        baseline_is="1/6, the variance of the sum",
        source=f"adding, {length} steps",
        names=("value", "marker"),
    )
