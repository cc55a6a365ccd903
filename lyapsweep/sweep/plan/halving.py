"""Successive halving: after which shares of training the members of a hunt are compared, and how many train on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from lyapsweep.setting_types import as_plain, is_finite
from lyapsweep.sweep.plan.errors import SweepError

if TYPE_CHECKING:
    from lyapsweep.config.sections import Training


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and is_finite(value)


@dataclass(frozen=True, kw_only=True)
class Halving:
    """Asynchronous successive halving (ASHA, Li et al. 2020) of the trials of a hunt.

    A trial that reaches a rung trains on if its objective is among the best 1 / `reduction` of all that have reached
    the rung so far. The others end with outcome `stopped`.

    Args:
        reduction: One of so many trials trains on at each rung.
        grace: Share of training before the first rung. Measures of free runs separate good from bad networks only after
            about a third of training.
        rungs: Shares of training at which trials are compared, in increasing order; None for `grace`,
            `grace * reduction`, ... below 1. A rung lies at the first report at or after its share.
        brackets: Number of brackets of Hyperband (Li et al. 2018): trials of bracket b pass the first b rungs without a
            comparison. Each bracket gets about the same number of updates.
        patience: A trial stops when its objective did not improve in so many reports, but not before `grace`; None for
            no limit. Packs then end at every report, which costs some 0.1 s each.

    Raises:
        SweepError: If a value is out of range.

    Example:
        >>> Halving(grace=0.1).shares
        (0.1, 0.3, 0.9)
        >>> Halving().shares
        (0.3333,)
    """

    reduction: float = 3
    grace: float = 1 / 3
    rungs: Sequence[float] | None = None
    brackets: int = 1
    patience: int | None = None

    def __post_init__(self) -> None:
        for what in ("reduction", "grace", "rungs", "brackets", "patience"):
            object.__setattr__(self, what, as_plain(getattr(self, what)))
        if not is_number(self.reduction) or self.reduction <= 1:
            raise SweepError(f"halving/reduction: must be greater than 1, but is {self.reduction!r}. Use 3, or 2.")
        shares = [self.grace] if self.rungs is None else self.rungs
        if not isinstance(shares, list) or not all(is_number(s) and 0 < s < 1 for s in shares):
            raise SweepError(f"halving: rungs are shares of training, between 0 and 1, such as 0.3; got {shares!r}.")
        if sorted(set(shares)) != shares:
            raise SweepError(f"halving/rungs: must increase, but got {shares!r}. Sort them.")
        for what, value in (("brackets", self.brackets), ("patience", self.patience)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise SweepError(f"halving/{what}: a whole number >= 1 is needed, but got {value!r}.")
        if self.brackets > len(self.shares) + 1:
            raise SweepError(
                f"halving/brackets: {len(self.shares)} rungs allow at most {len(self.shares) + 1} brackets, but got "
                f"{self.brackets}. Use fewer brackets, or a smaller grace."
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The rungs as shares of training."""
        if self.rungs is not None:
            return tuple(self.rungs)
        count = math.ceil(-math.log(self.grace) / math.log(self.reduction) - 1e-9)
        return tuple(round(self.grace * self.reduction**k, 4) for k in range(count))

    def steps(self, training: "Training") -> list[int]:
        """The numbers of updates after which trials are compared: one per rung, at reports before the end."""
        reports = [step for step in sorted(training.reports) if 0 < step < training.steps]
        found = (next((step for step in reports if step >= share * training.steps), None) for share in self.shares)
        return sorted({step for step in found if step is not None})

    def stops(self, training: "Training") -> list[int]:
        """The numbers of updates after which packs end, to stop members: the rungs; with `patience`, all reports."""
        rungs = self.steps(training)
        if self.patience is None:
            return rungs
        reports = (step for step in sorted(training.reports) if self.grace * training.steps <= step < training.steps)
        return sorted({*rungs, *reports})

    def bracket(self, key: str) -> int:
        """The bracket of the trial with this key: the same in every run of the sweep."""
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
        weights = [1 / self.cost(bracket) for bracket in range(self.brackets)]
        for bracket, weight in enumerate(weights):
            drawn -= weight / sum(weights)
            if drawn < 0:
                return bracket
        return self.brackets - 1

    def cost(self, bracket: int = 0) -> float:
        """The expected share of training that a trial of a bracket gets."""
        ends = [0.0, *self.shares[bracket:], 1.0]
        return sum((b - a) / self.reduction**k for k, (a, b) in enumerate(pairwise(ends)))
