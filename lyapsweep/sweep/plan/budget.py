"""What a run of a sweep may cost: time, or updates."""

import math
import re
from dataclasses import dataclass

from lyapsweep.sweep.plan.errors import SweepError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "u": 1.0}


@dataclass(frozen=True)
class Budget:
    """An upper limit of the elapsed time or of the updates of one run of a sweep.

    Args:
        text: As it was written.
        amount: Seconds, or updates of single networks.
        of_time: Whether the amount is one of seconds.

    Example:
        >>> Budget.parse("30m").amount, Budget.parse("2000000u").of_time
        (1800.0, False)
    """

    text: str
    amount: float
    of_time: bool

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read a budget such as 90s, 30m, 1.5h or 2000000u. Raises `SweepError`."""
        found = re.fullmatch(r"([\d.]+(?:e\d+)?)([smhu])", text.strip())
        try:
            amount = float(found[1]) * UNITS[found[2]] if found else math.nan
        except ValueError:
            amount = math.nan
        if found is None or not 0 < amount < math.inf:
            raise SweepError(
                f"budget: {text!r} is no amount of time or of updates. Write 90s, 30m, 1.5h, or 2000000u for updates."
            )
        return cls(text.strip(), amount, found[2] != "u")
