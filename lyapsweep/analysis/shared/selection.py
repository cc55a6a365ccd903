"""What a finding is, and the rules that all analyses share: which trials count, and what is better.

A Finding is a NamedTuple of arrays, floats and strings: the numbers of one figure. `find(table, ...)` makes it and
raises `UnknownName` for a column that is not there and `TooFew` where there is not enough to say anything;
`draw(finding)` paints it and computes nothing, so that a finding can be stored, sent and drawn elsewhere.

One rule for lost trials: a trial that diverged or failed counts as the worst score there is, in medians, in best
values and in ranks. Leaving it out would make every region where networks diverge look as good as its survivors.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lyapsweep.config import Config
from lyapsweep.measures import MEASURES
from lyapsweep.registry import unknown
from lyapsweep.results.best import Direction as Direction
from lyapsweep.results.best import direction
from lyapsweep.results.table import Table

LOST = ("diverged", "failed")
STATISTICS = {
    "maximum": "λ₁",
    "sum": "Σ λ",
    "mean": "mean λ",
    "kaplan_yorke": "D_KY",
    "entropy_rate": "entropy rate",
    "positive": "positive exponents",
}


class TooFew(ValueError):
    """Not enough rows to say anything; the message says how many there are and how many are needed."""


class JudgedTrials(NamedTuple):
    """The finished and the lost trials of a table, and one value of each.

    `values` (trials,) is the worst value (inf or -inf) where a trial was lost and NaN where the value is undefined;
    of a quantity that is neither good nor bad (an exponent), a lost trial's value is NaN.
    """

    table: Table
    values: np.ndarray
    lost: np.ndarray


def judged(table: Table, column: str) -> JudgedTrials:
    """Final rows that came to an end of their own: those still running or stopped early are left out."""
    table.column(column)
    finals = table.finals
    outcome = finals.frame["outcome"].astype(str)
    ended = finals.take(outcome.isin(["finished", *LOST]).to_numpy(bool))
    lost = ended.frame["outcome"].isin(LOST).to_numpy(bool)
    values = numbers(ended, column)
    worst = {"minimise": math.inf, "maximise": -math.inf}[direction(table, column)] if scored(column) else math.nan
    return JudgedTrials(ended, np.where(lost, worst, values), lost)


def numbers(table: Table, column: str) -> np.ndarray:
    """A column as floats, NaN where it holds none."""
    values = table.column(column)
    try:
        return values.astype(float).to_numpy()
    except (TypeError, ValueError):
        raise ValueError(f"table: column '{column}' must hold numbers, but holds {values.iloc[0]!r}.") from None


def named(table: Table, group: str | Sequence[str]) -> np.ndarray:
    """The group of each row (rows,): the value of a column, or of several the combination of their values."""
    columns = [table.column(g).astype(str) for g in ([group] if isinstance(group, str) else group)]
    return np.array([", ".join(values) for values in zip(*columns, strict=True)])


def scored(column: str) -> bool:
    """Whether some values of this column are better than others."""
    return column.startswith("measures/")


def network_of(table: Table, trial: str) -> tuple[Config, Mapping[str, np.ndarray]]:
    """The configuration and the weights that the last record of a trial holds.

    Raises `UnknownName` where there is no such trial, `TooFew` where its record holds no weights.
    """
    finals = table.finals
    names = finals.frame["trial"].astype(str).tolist()
    if trial not in names:
        raise unknown("trial", trial, names, "table")
    config, weights = finals.networks[names.index(trial)] if finals.networks else (None, {})
    if config is None or not weights:
        raise TooFew(f"The record of trial {trial} holds no weights; final records do.")
    return config, weights


def require(have: int, need: int, what: str) -> None:
    if have < need:
        raise TooFew(f"Too few {what}: there {'is' if have == 1 else 'are'} {have}, and {need} must be.")


def label(column: str) -> str:
    """What a reader calls a column, with its unit where it has one."""
    kind, _, name = column.partition("/")
    if kind == "measures" and name in MEASURES:
        measure = MEASURES[name]
        return measure.title if measure.unit in ("", "1") else f"{measure.title} ({measure.unit})"
    if kind == "spectra":
        which, _, statistic = name.rpartition("/")
        return f"{STATISTICS.get(statistic, statistic)}, {which}"
    return name if kind in ("measures", "floors") else column


def digits(value: float) -> str:
    """A number to three significant digits; whole numbers below a million as they are."""
    value = float(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    rounded = float(f"{value:.2e}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}".replace("-", "−")
