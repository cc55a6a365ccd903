"""Confirmed settings: which trials come from fresh seeds, and whether their networks meet the sweep's criteria."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lyapsweep.results.constraints import Constraint
from lyapsweep.results.table import Table


@dataclass(frozen=True)
class CriterionResult:
    """How the networks of a setting meet one criterion.

    Args:
        constraint: The bound.
        values: The score of each network that has one.

    Example:
        >>> CriterionResult(Constraint.parse("zero_exponent <= 0.1"), (0.02, 0.3)).violations
        1
    """

    constraint: Constraint
    values: tuple[float, ...]

    @property
    def violations(self) -> int:
        """Number of networks that violate the bound."""
        return sum(not self.constraint.holds({self.constraint.score: value}) for value in self.values)

    @property
    def sentence(self) -> str:
        """The criterion and how many networks meet it, such as `zero_exponent <= 0.1: 3 of 3 (0.02 to 0.05)`."""
        n, low, high = len(self.values), min(self.values), max(self.values)
        text = f"{low:.3g} to {high:.3g}" if low < high else f"{low:.3g}"
        return f"{self.constraint.text}: {n - self.violations} of {n} ({text})"


def fresh_rows(finals: Table, column: str) -> np.ndarray:
    """Mark the rows of trials that confirm a setting from fresh seeds; none for a column that is not the objective.

    Args:
        finals: Final rows of a sweep.
        column: The column that settings are judged by.

    Returns:
        A boolean array, one entry per row.
    """
    confirmation = finals.description.confirmation
    if confirmation is None or column != finals.description.objective_column:
        return np.zeros(len(finals), bool)
    return finals.frame["trial"].astype(str).isin(confirmation.fresh).to_numpy(bool)


def judge(finals: Table, rows: Sequence[int]) -> list[CriterionResult]:
    """How some networks meet the sweep's criteria; a criterion whose score none of them has is left out.

    Args:
        finals: Final rows of a sweep.
        rows: Positions of the networks.

    Returns:
        One result per criterion, in their order.

    Example:
        >>> import pandas as pd
        >>> from lyapsweep.results.description import Confirmation, SweepDescription
        >>> described = SweepDescription(confirmation=Confirmation(criteria=["zero_exponent <= 0.1"]))
        >>> table = Table(pd.DataFrame({"measures/zero_exponent": [0.02, 0.3]}), description=described)
        >>> [result.sentence for result in judge(table, [0, 1])]
        ['zero_exponent <= 0.1: 1 of 2 (0.02 to 0.3)']
    """
    confirmation, found = finals.description.confirmation, []
    for constraint in map(Constraint.parse, confirmation.criteria if confirmation else ()):
        if (name := f"measures/{constraint.score}") in finals.frame:
            column = finals.frame[name].to_numpy(float)[list(rows)]
            values = tuple(column[~np.isnan(column)].tolist())
            found += [CriterionResult(constraint, values)] if values else []
    return found
