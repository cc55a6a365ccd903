"""Data in memory as files of an experiment, which configs name: records stay complete, and workers can read them.

A file lies below `results/<name>/data` under a digest of its contents (`lyapsweep.content_files`), written once.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from lyapsweep.arrays import real_array
from lyapsweep.content_files import FOLDER
from lyapsweep.datasets import BadSeries, BadTask
from lyapsweep.results.experiment import atomic_write

TIME = "time"


def dataset_section(
    data: Any, experiment: Path, given: Mapping[str, Any] | None = None, dt: float | None = None
) -> dict[str, Any]:
    """Write data to files of an experiment, and return the section `dataset` that reads them.

    Args:
        data: A series: an array or tensor (time,) or (time, features), a frame or series of pandas (an index of times
            is its time column), a list of trajectories, which may differ in length, or an array (trajectories, time,
            features). A task: a tuple (inputs, targets) of arrays, one row per step (one long stream) or sequences
            first; or a torch Dataset of such pairs. A path is taken as it is.
        experiment: The folder `results/<name>`.
        given: Further settings of the section, such as `test` or `delay`.
        dt: Time between rows.

    Returns:
        The section: `recorded`, `recorded_task` or `sequences`.

    Raises:
        BadSeries: If these are no numbers.
        BadTask: If inputs and targets do not belong together.

    Example:
        >>> section = dataset_section(np.zeros((90, 2)), Path("results/mine"), {"test": 0.2}, dt=0.1)
        >>> section["kind"], section["test"], section["dt"], Path(section["path"]).parent.name
        ('recorded', 0.2, 0.1, 'data')
    """
    given = {key: value for key, value in (given or {}).items() if key != "kind"}
    given |= {} if dt is None else {"dt": float(dt)}
    if isinstance(data, str | Path):
        return {"kind": "recorded", **given, "path": str(data)}
    if isinstance(data, Dataset):
        data = pairs(data)
    if isinstance(data, tuple):
        return task_section(data, experiment, given)
    paths = [trajectory_file(each, experiment) for each in trajectories(data)]
    return {"kind": "recorded", **given, "path": paths[0] if len(paths) == 1 else paths}


def trajectories(data: Any) -> list[Any]:
    """The trajectories in what a user passed as a series."""
    if isinstance(data, list) and data and not is_row(data[0]):
        return data
    if isinstance(data, pd.DataFrame | pd.Series):
        return [data]
    values = as_array(data, "data")
    if values.ndim == 3:
        return list(values)
    if values.ndim not in (1, 2) or not values.size:
        raise BadSeries(
            f"data: an array (time,), (time, features) or (trajectories, time, features) is needed, but got "
            f"{values.shape}. Reshape it."
        )
    return [values]


def is_row(value: Any) -> bool:
    """Whether an entry of a list is one time step: a number, or a list of numbers."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    return isinstance(first, int | float | np.number)


def trajectory_file(data: Any, experiment: Path) -> str:
    """The file of one trajectory: typed columns of a frame, NPY of an array."""
    if isinstance(data, pd.Series):
        data = data.to_frame(data.name or "x")
    if isinstance(data, pd.DataFrame):
        frame = with_times(data)
        parts = [part for name, column in frame.items() for part in (name, column.to_numpy())]
        return keep(experiment, digest_of(*parts), ".parquet", lambda file: write_parquet(frame, file))
    values = as_array(data, "data")
    return keep(experiment, digest_of(values), ".npy", lambda file: np.save(file, values))


def write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    frame.to_parquet(file, index=False)


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy whose columns are texts, with an index of times or numbers as its first column."""
    index, frame = frame.index, frame.rename(columns=str).reset_index(drop=True)
    if isinstance(index, pd.MultiIndex):
        raise BadSeries("data: the frame has an index of several levels. Pass one frame per trajectory, as a list.")
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.TimedeltaIndex):
        index = pd.Index(index / pd.Timedelta(seconds=1))
    counted = isinstance(index, pd.RangeIndex) or not (
        isinstance(index, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(index)
    )
    if not counted and TIME not in frame.columns:
        frame.insert(0, TIME, index)
    return frame


def task_section(data: tuple[Any, ...], experiment: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The section of inputs and targets: one stream where inputs are numbers (time, columns), else sequences."""
    if len(data) not in (2, 4):
        raise BadTask(
            f"data: (inputs, targets) or (inputs, targets, test_inputs, test_targets) is needed, but the tuple has "
            f"{len(data)} entries. Pass trajectories as a list."
        )
    x, y = (as_array(part, what, whole=True) for part, what in zip(data[:2], ("inputs", "targets")))
    if len(x) != len(y):
        raise BadTask(f"data: inputs {x.shape} and targets {y.shape} differ in length. Give one target per input.")
    if len(data) == 2 and x.ndim <= 2 and x.dtype.kind == "f":
        columns = np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1, dtype=np.float64)
        driving, width = x.reshape(len(x), -1).shape[1], columns.shape[1]
        path = keep(experiment, digest_of(columns), ".npy", lambda file: np.save(file, columns))
        places = {"inputs": list(range(driving)), "targets": list(range(driving, width)), "time": None}
        return {"kind": "recorded_task", **places, **given, "path": path}
    names = ("inputs", "targets", "test_inputs", "test_targets")
    arrays: Mapping[str, Any] = {name: as_array(part, name, whole=True) for name, part in zip(names, data)}
    path = keep(experiment, digest_of(*arrays.values()), ".arrays", lambda file: np.savez(file, **arrays))
    return {"kind": "sequences", **given, "path": path}


def pairs(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a torch Dataset of pairs, all of one shape."""
    if not hasattr(data, "__len__"):
        raise BadTask("data: the torch Dataset has no length. Pass one with __len__, or arrays (inputs, targets).")
    items = [data[i] for i in range(len(data))]  # type: ignore[arg-type]
    if not items or not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        raise BadTask("data: the torch Dataset must hold pairs (input, target). Wrap it, or pass arrays.")
    columns = [[as_array(item[i], "input" if i == 0 else "target", whole=True) for item in items] for i in (0, 1)]
    if any(len({value.shape for value in column}) > 1 for column in columns):
        raise BadTask("data: the sequences of the torch Dataset differ in shape. Pad or cut them to one length.")
    return np.stack(columns[0]), np.stack(columns[1])


def as_array(values: Any, what: str, whole: bool = False) -> np.ndarray:
    """Real numbers of arrays, tensors, frames and lists as doubles; whole numbers stay so where they mean classes."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    kind = np.asarray(values).dtype.kind if whole else "f"
    array = real_array(values, what)
    return array.astype(np.int64 if kind in "iu" else np.float64)


def weights_file(weights: Mapping[str, np.ndarray], experiment: Path) -> str:
    """Write weights by name to a file of an experiment, for `training/weights`; return its path."""
    parts = [part for name in sorted(weights) for part in (name, np.asarray(weights[name]))]
    arrays: Mapping[str, Any] = dict(weights)
    return keep(experiment, digest_of(*parts), ".weights", lambda file: np.savez(file, **arrays))


def digest_of(*parts: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of arrays and texts.

    Example:
        >>> digest_of(np.zeros(3)) == digest_of(np.zeros(3)), digest_of(np.zeros(3)) == digest_of(np.zeros((3, 1)))
        (True, False)
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "O":
            found.update(repr(part.tolist()).encode())
        elif isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            found.update(str(part).encode() + b"\0")
    return found.hexdigest()[:16]


def keep(experiment: Path, digest: str, ending: str, write: Callable[[IO[bytes]], None]) -> str:
    """Write a file of an experiment unless it is there already; return its absolute path."""
    path = experiment.absolute() / FOLDER / f"{digest}{ending}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            write(file)
    return str(path)
