"""Whether a task was learnt."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def solved(evidence: Evidence, fraction: float = 0.5) -> float:
    """1 if the held-out loss is below `fraction` of the loss of an answer without memory, else 0. Worst: 0.

    Args:
        evidence: Uses `losses` and `baseline` (`Task.baseline`).
        fraction: Share of the baseline, 0.5 by default.

    Returns:
        1.0 or 0.0.

    Raises:
        Undefined: If there is no baseline or no held-out window.

    Example:
        >>> solved(Evidence(losses=np.array([0.1]), baseline=1.0))
        1.0
    """
    if evidence.baseline is None or evidence.losses.size == 0:
        raise Undefined("no baseline, or no test window")
    return float(np.mean(evidence.losses, dtype=np.float64) < fraction * evidence.baseline)


def further(evidence: Evidence) -> dict[str, float]:
    """The held-out loss in units of the baseline."""
    if evidence.baseline is None or evidence.losses.size == 0:
        return {"relative": np.nan}
    return {"relative": float(np.mean(evidence.losses, dtype=np.float64)) / evidence.baseline}


SOLVED = Measure(
    "solved",
    solved,
    "maximise",
    worst=0.0,
    unit="1",
    title="Solved",
    further=further,
    has_floor=False,
    data=("task",),
)
