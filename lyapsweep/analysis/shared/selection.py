"""The rules that all analyses share: which trials count, which value is better, how numbers and columns are written.

Every analysis has `find(table, ...)`, which returns a finding, a NamedTuple of arrays, numbers and strings, and
`draw(finding)`, which returns a plotly figure and computes nothing. A finding can be pickled and drawn elsewhere.

A trial is lost if it diverged or failed. A lost trial counts as the worst score in medians, best values and ranks:
without it, a region where networks diverge would be judged by its surviving trials alone. A trial that ended
unbounded keeps its scores and has no exponents.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np

from lyapsweep.config import Config
from lyapsweep.measures import MEASURES
from lyapsweep.registry import readable, unknown
from lyapsweep.results.best import direction
from lyapsweep.results.floors import Direction as Direction
from lyapsweep.results.table import Table

LOST = ("diverged", "failed")
ENDED = ("finished", "unbounded", *LOST)
STATISTICS = {
    "maximum": "λ₁",
    "sum": "Σ λ",
    "mean": "mean λ",
    "kaplan_yorke": "D_KY",
    "entropy_rate": "entropy rate",
    "positive": "positive exponents",
}


class TooFew(ValueError):
    """Too few rows to answer a question; the message has the number of rows and the number needed."""


class HuntTableError(ValueError):
    """The question needs evenly sampled trials, but the sampler of a hunt chose them."""


class EndedTrials(NamedTuple):
    """The final rows of the trials that finished or were lost, with one value each.

    `values` (trials,) is the worst value (inf or -inf) where a trial was `lost` and NaN where the value is undefined.
    Of a quantity without a direction, such as an exponent, the value of a lost trial is NaN.
    """

    table: Table
    values: np.ndarray
    lost: np.ndarray

    def take(self, rows: np.ndarray) -> "EndedTrials":
        """Return the trials of a boolean mask."""
        return EndedTrials(self.table.take(rows), self.values[rows], self.lost[rows])


def ended_trials(table: Table, column: str) -> EndedTrials:
    """Return the trials that finished, unbounded or not, or were lost; running and stopped ones are left out."""
    table.column(column)
    finals = table.finals
    ended = finals.take(finals.frame["outcome"].astype(str).isin(ENDED).to_numpy(bool))
    lost = ended.frame["outcome"].isin(LOST).to_numpy(bool)
    worst = {"minimise": math.inf, "maximise": -math.inf}[direction(table, column)] if is_measure(column) else math.nan
    return EndedTrials(ended, np.where(lost, worst, numbers(ended, column)), lost)


def numbers(table: Table, column: str) -> np.ndarray:
    """A column as floats, NaN where it is empty."""
    values = table.column(column)
    try:
        return values.astype(float).to_numpy()
    except (TypeError, ValueError):
        raise ValueError(f"table: column '{column}' must hold numbers, but holds {values.iloc[0]!r}.") from None


def distinct(table: Table, column: str, most: int = 3) -> list[float]:
    """The distinct finite values of a column to six digits; empty if there are more than `most` or no such column."""
    if column not in table.frame:
        return []
    values = numbers(table, column)
    unique = sorted({float(f"{v:.6g}") for v in values[np.isfinite(values)]})
    return unique if len(unique) <= most else []


def named(table: Table, group: str | Sequence[str]) -> np.ndarray:
    """The group of each row (rows,): the value of one column, or the combined values of several."""
    columns = [table.column(g).astype(str) for g in ([group] if isinstance(group, str) else group)]
    return np.array([", ".join(values) for values in zip(*columns, strict=True)])


def is_measure(column: str) -> bool:
    """Whether some values of this column are better than others."""
    return column.startswith(("measures/", "test/"))


def final_row(table: Table, trial: str) -> int:
    """The position of a trial in `table.finals`. Raises `UnknownName` if there is no such trial."""
    names = table.finals.frame["trial"].astype(str).tolist()
    if trial not in names:
        raise unknown("trial", trial, names, "table")
    return names.index(trial)


def check_map(table: Table, map: str) -> None:
    """Raise `UnknownName` if the table has no spectra of this map."""
    if map not in table.spectra:
        raise unknown("map with a spectrum", map, list(table.spectra), "table")


def network_of(table: Table, trial: str) -> tuple[Config, Mapping[str, np.ndarray]]:
    """The configuration and the weights in the last record of a trial.

    Raises `UnknownName` if there is no such trial, `TooFew` if its record holds no weights.
    """
    row, finals = final_row(table, trial), table.finals
    config, weights = finals.networks[row] if finals.networks else (None, {})
    if config is None or not weights:
        raise TooFew(f"The record of trial {trial} holds no weights; final records do.")
    return config, weights


def require(have: int, need: int, what: str) -> None:
    """Raise `TooFew` if there are fewer than `need`."""
    if have < need:
        raise TooFew(f"Too few {what}: there {'is' if have == 1 else 'are'} {have}, and {need} must be.")


def refuse_hunt(table: Table, hunted: bool) -> None:
    """Raise `HuntTableError` for the trials of a hunt, unless the caller passes `hunted=True`."""
    if table.description.intent == "hunt" and not hunted:
        raise HuntTableError(
            "These trials come from a hunt: the sampler preferred successful regions and the scheduler stopped bad "
            "trials, so the sample is biased toward success and correlations in it say little about the region. "
            'Run the sweep with intent="map", or pass hunted=True and report it with the numbers.'
        )


def label(column: str) -> str:
    """The readable name of a column, with its unit if it has one."""
    kind, _, name = column.partition("/")
    if kind in ("measures", "test") and name in MEASURES and readable(name):
        measure, part = MEASURES[name], " on the test part" if kind == "test" else ""
        return measure.title + part if measure.unit in ("", "1") else f"{measure.title}{part} ({measure.unit})"
    if kind == "spectra":
        which, _, statistic = name.rpartition("/")
        return f"{STATISTICS.get(statistic, statistic)}, {which}"
    return name if kind in ("measures", "floors") else column


def digits(number: SupportsFloat) -> str:
    """A number to three significant digits; whole numbers below a million in full."""
    value = float(number)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    rounded = float(f"{value:.2e}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}".replace("-", "−")


def interval(value: SupportsFloat, low: SupportsFloat, high: SupportsFloat) -> str:
    """A value with its confidence interval."""
    return f"{digits(value)} [{digits(low)}, {digits(high)}]"


def decimals(value: SupportsFloat) -> str:
    """A correlation to two decimals."""
    return f"{float(value):.2f}".replace("-", "−")


def decimal_interval(low: SupportsFloat, high: SupportsFloat) -> str:
    """The interval of a correlation to two decimals."""
    return f"{decimals(low)} to {decimals(high)}"


def left_out(without: int) -> str:
    """How many trials without a spectrum were left out, as a part of a sentence."""
    return f"; {without} without a spectrum left out" if without else ""
