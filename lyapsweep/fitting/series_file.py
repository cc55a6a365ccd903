"""A series that is held in memory as a file beside its results, so that config and sweep file can name it."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lyapsweep.arrays import real_array
from lyapsweep.results.experiment import atomic_write
from lyapsweep.sweep.plan.errors import SweepError

if TYPE_CHECKING:
    import pandas as pd
    import torch

    Series = str | Path | np.ndarray | pd.DataFrame | pd.Series | torch.Tensor


def series_file(series: "Series", folder: Path) -> str:
    """The file of a series; one in memory is written to a folder.

    Args:
        series: A file; an array or tensor (time, columns) or (time,); a frame of pandas, whose index is the time unless
            it counts rows.
        folder: Where to.

    Returns:
        The path of the file: as given, or `folder/series.npy` or `folder/series.parquet`.

    Raises:
        BadArray: If an array holds no real numbers.
        SweepError: If the folder holds another series.

    Example:
        >>> series_file("my.csv", Path("results/my"))
        'my.csv'
    """
    if isinstance(series, str | Path):
        return str(series)
    if hasattr(series, "to_frame"):  # a column of pandas
        series = series.to_frame(name=series.name if series.name is not None else "x")
    if hasattr(series, "to_parquet"):
        frame = series if is_counter(series.index) else series.reset_index()
        frame = frame.rename(columns=str)
        content, file = frame.to_parquet(index=False), folder / "series.parquet"
    else:
        values = real_array(series.detach().cpu() if hasattr(series, "detach") else series, "series")
        buffer = io.BytesIO()
        np.save(buffer, values[:, None] if values.ndim == 1 else values)
        content, file = buffer.getvalue(), folder / "series.npy"
    if file.is_file() and file.read_bytes() != content:
        raise SweepError(f"{folder}: it holds another series ({file.name}). Give this one another name=.")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as target:
        target.write(content)
    return str(file)


def is_counter(index: "pd.Index") -> bool:
    """Whether an index only counts rows."""
    return index.dtype.kind in "iu" and index.name is None and bool((np.diff(index.to_numpy()) == 1).all())
