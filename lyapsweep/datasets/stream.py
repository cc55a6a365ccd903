"""From input and target columns to a task of one long stream, split in time and standardised."""

import numpy as np

from lyapsweep.datasets.series import scaled
from lyapsweep.datasets.task import Task


def stream(
    inputs: np.ndarray,
    targets: np.ndarray,
    inputs_are: tuple[str, ...],
    targets_are: tuple[str, ...],
    test: float,
    source: str,
    notes: dict[str, float],
    dt: float = 1.0,
) -> Task:
    """The task of one long stream, inputs (time, columns) and targets (time, columns) of the same steps.

    The last `test` share is held out; moments are those of the part before it. Raises `BadSeries` for a constant
    column.
    """
    cut = len(inputs) - round(test * len(inputs))
    (x, x_mean, x_std), (y, mean, std) = (
        scaled(values[:cut], names, source, "column")
        for values, names in ((inputs, inputs_are), (targets, targets_are))
    )
    ahead, answers = (inputs[cut:] - x_mean) / x_std, (targets[cut:] - mean) / std
    moments = {
        f"{n}/{k}": float(v) for k, values in (("mean", mean), ("std", std)) for n, v in zip(targets_are, values)
    }
    weights = np.linalg.lstsq(quadratic(x), y, rcond=None)[0]
    return Task(
        x[None],
        y[None],
        ahead[None],
        answers[None],
        head="step",
        loss="mse",
        outputs=y.shape[1],
        baseline=float(np.square(answers).mean()),
        baseline_is="the held-out variance about the training mean",
        dt=dt,
        source=source,
        names=inputs_are,
        notes=notes | moments | {"memoryless": float(np.square(answers - quadratic(ahead) @ weights).mean())},
    )


def quadratic(x: np.ndarray) -> np.ndarray:
    """1, each column, and each product of two: (time, terms)."""
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)
