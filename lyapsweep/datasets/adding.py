"""The adding problem: two marked numbers of a sequence are to be added (Hochreiter and Schmidhuber 1997)."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task


def adding(*, length: int = 100, train: int = 10_000, test: int = 1000, seed: int = 0) -> Task:
    """Add the two marked numbers of a sequence: memory of about `length` steps, for one number.

    Inputs (value, marker): values uniform on (0, 1); the marker is 1 at one step of each half, uniformly drawn, else 0.
    Target, after the last step: the sum of the two marked values. Who always answers 1 loses 1/6, the variance of a sum
    of two uniform numbers. `train` and `test` are numbers of sequences. Conventions: Arjovsky, Shah, Bengio 2016.
    Raises `BadTask` below two steps or without sequences.
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
