"""A task of recorded sequences: arrays of inputs and of targets in one file."""

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Share

ARRAYS = ("inputs", "targets", "test_inputs", "test_targets")


def sequences(*, path: str, test: Share = 0.25, loss: str | None = None) -> Task:
    """Answer recorded sequences: arrays `inputs` and `targets` of an NPZ file.

    Inputs are numbers (sequences, time, inputs), or whole numbers (sequences, time), symbols that enter one-hot.
    Targets are one per sequence, or one per step: classes, if they are whole numbers, else numbers; the shape decides.
    Held out are `test_inputs` and `test_targets` of the file, else the last sequences. Nothing is standardised.
    Baseline: the best constant answer of the training part (class frequencies, or the mean), on the held-out part.

    Args:
        path: The file, as `numpy.savez(path, inputs=..., targets=...)` writes it.
        test: Share of the sequences that is held out where the file holds no test arrays; 0.25 by default.
        loss: "cross_entropy" or "mse"; None (the default) takes the first for classes.

    Returns:
        A task.

    Raises:
        BadTask: If the file holds no such arrays, or their shapes do not agree.

    Example:
        >>> random = np.random.default_rng(0)
        >>> np.savez("pairs.npz", inputs=random.normal(size=(8, 5, 2)), targets=random.integers(0, 3, 8))
        >>> task = sequences(path="pairs.npz")
        >>> task.head, task.loss, task.outputs, len(task.test_inputs)
        ('last', 'cross_entropy', 3, 2)
    """
    arrays = read(path)
    x, y = arrays["inputs"], arrays["targets"]
    if len(x) != len(y) or x.ndim not in (2, 3) or y.ndim not in (1, 2, 3):
        raise BadTask(
            f"{path}: inputs (sequences, time, inputs) and targets of as many sequences are needed, but got {x.shape} "
            f"and {y.shape}. Put the sequences first."
        )
    if not ("test_inputs" in arrays and "test_targets" in arrays):
        cut = len(x) - round(test * len(x))
        if not 0 < cut < len(x):
            raise BadTask(f"{path}: test={test} of {len(x)} sequences leaves a part empty. Give more sequences.")
        arrays = {"inputs": x[:cut], "targets": y[:cut], "test_inputs": x[cut:], "test_targets": y[cut:]}
    whole = all(np.issubdtype(arrays[name].dtype, np.integer) for name in ("targets", "test_targets"))
    loss = loss or ("cross_entropy" if whole else "mse")
    return as_task(path, arrays, loss)


def read(path: str) -> dict[str, np.ndarray]:
    """The arrays of the file that a task is made of."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ARRAYS if name in file.files}
            names = ", ".join(file.files)
    except Exception as error:  # numpy and zipfile raise many types
        raise BadTask(f"{path}: not arrays of numpy ({error}). Write them with numpy.savez.") from error
    if not {"inputs", "targets"} <= set(found):
        raise BadTask(f"{path}: arrays `inputs` and `targets` are needed, but it holds {names}. Name them so.")
    return found


def as_task(path: str, arrays: dict[str, np.ndarray], loss: str) -> Task:
    """The task of four arrays."""
    classes = loss == "cross_entropy"
    symbols = arrays["inputs"].ndim == 2
    if symbols and not np.issubdtype(arrays["inputs"].dtype, np.integer):
        raise BadTask(
            f"{path}: inputs (sequences, time) must be whole numbers, which enter one-hot, but are "
            f"{arrays['inputs'].dtype}. Add an axis for numbers: inputs[:, :, None]."
        )
    x, ahead = (arrays[k] if symbols else arrays[k].astype(np.float64) for k in ("inputs", "test_inputs"))
    kind = np.int64 if classes else np.float64
    y, answers = (arrays[k].astype(kind) for k in ("targets", "test_targets"))
    per_step = y.ndim == (2 if classes else 3) or (not classes and y.ndim == 2 and y.shape == x.shape[:2])
    if not classes and y.ndim == (2 if per_step else 1):  # one number per answer
        y, answers = y[..., None], answers[..., None]
    outputs = int(max(y.max(), answers.max())) + 1 if classes else y.shape[-1]
    return Task(
        x,
        y,
        ahead,
        answers,
        head="step" if per_step else "last",
        loss=loss,
        outputs=outputs,
        baseline=cross_entropy(y, answers, outputs) if classes else float(np.square(answers - mean(y)).mean()),
        baseline_is="the cross-entropy of the training part's class frequencies"
        if classes
        else "the variance about the training mean",
        symbols=int(max(x.max(), ahead.max())) + 1 if symbols else None,
        source=f"sequences: {path}",
    )


def mean(targets: np.ndarray) -> np.ndarray:
    return targets.reshape(-1, targets.shape[-1]).mean(axis=0)


def cross_entropy(train: np.ndarray, test: np.ndarray, classes: int) -> float:
    """Of the frequencies of the training part, each class counted once more (Laplace), on the held-out part; nats."""
    counts = np.bincount(train.ravel(), minlength=classes) + 1
    return float(-np.log(counts / counts.sum())[test.ravel()].mean())
