"""Whether a task was learnt at all."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def solved(evidence: Evidence, fraction: float = 0.5) -> float:
    """1 where the held-out loss is below `fraction` of what an answer without memory loses, else 0. Worst: 0.

    The baseline is the task's own (`Task.baseline`): below half of it a network uses what it remembers. Undefined (NaN)
    without a baseline or a held-out window.
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
