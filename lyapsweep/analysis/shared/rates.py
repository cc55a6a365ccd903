"""Exponents per unit time, where the time of a step is known; one unit for all figures and tables of a data set."""

import numpy as np

from lyapsweep.analysis.shared.selection import label, numbers
from lyapsweep.results.table import ENDS, Table

RATES = ("maximum", "sum", "mean", "entropy_rate")  # statistics of a spectrum that are rates
PER_STEP, PER_TIME = "nats per step", "nats per unit time"


def is_rate(column: str) -> bool:
    """Whether a column holds rates, nats per step.

    Example:
        >>> [is_rate(c) for c in ("spectra/driven/maximum", "spectra/driven/kaplan_yorke", "data/lambda_max", "seed")]
        [True, False, True, False]
    """
    kind, _, name = column.partition("/")
    return column == "data/lambda_max" or (kind == "spectra" and name.rpartition("/")[2] in RATES)


def step_times(table: Table) -> np.ndarray:
    """The time of one step of each row (rows,); 1 for all where a row with a spectrum has none.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "data/dt": [0.1, None], "spectra/free/maximum": [1.0, None]})
        >>> step_times(Table(frame)).tolist(), step_times(Table(frame.assign(**{"spectra/free/maximum": 1.0}))).tolist()
        ([0.1, 1.0], [1.0, 1.0])
    """
    if not timed(table):
        return np.ones(len(table))
    times = numbers(table, "data/dt")
    return np.where(times > 0, times, 1.0)


def timed(table: Table) -> bool:
    """Whether the time of a step is known of every row with a spectrum."""
    if "data/dt" not in table.frame:
        return False
    known = numbers(table, "data/dt") > 0
    columns = [c for c in map(str, table.frame.columns) if c.startswith("spectra/") and c.endswith("/maximum")]
    measured = table.frame[columns].notna().to_numpy(bool).any(axis=1) if columns else np.ones(len(table), bool)
    return bool(known.any() and known[measured].all())


def unit(table: Table) -> str:
    """The unit of the exponents of a table: per unit time if the time of a step is known."""
    return PER_TIME if timed(table) else PER_STEP


def in_unit(table: Table, column: str) -> np.ndarray:
    """A column as floats, NaN where it is empty; rates in the `unit` of the table."""
    values = numbers(table, column)
    return values / step_times(table) if is_rate(column) else values


def dimensions(table: Table, column: str) -> np.ndarray:
    """The Kaplan-Yorke dimensions of a column (rows,); the middle of what the errors allow, where these are known.

    The dimension of a spectrum whose lambda_1 is zero within its error is between 0 and that of a limit cycle or more:
    the sign of the estimate alone would decide which.

    Example:
        >>> import pandas as pd
        >>> name = "spectra/free/kaplan_yorke"
        >>> frame = pd.DataFrame({name: [0.0, 2.0], f"{name}/low": [0.0, None], f"{name}/high": [1.0, None]})
        >>> dimensions(Table(frame), name).tolist()
        [0.5, 2.0]
    """
    values = numbers(table, column)
    ends = [numbers(table, f"{column}/{end}") for end in ENDS if f"{column}/{end}" in table.frame]
    middle = np.mean(ends, axis=0) if len(ends) == len(ENDS) else np.full(len(values), np.nan)
    return np.where(np.isfinite(middle), middle, values)


def statistic(table: Table, column: str) -> np.ndarray:
    """A column as floats for ranks: of a Kaplan-Yorke dimension with regard to the errors (`dimensions`)."""
    return dimensions(table, column) if column.endswith("/kaplan_yorke") else numbers(table, column)


def label_with_unit(table: Table, column: str) -> str:
    """The readable name of a column, that of a rate with its unit."""
    return f"{label(column)} ({unit(table)})" if is_rate(column) else label(column)
