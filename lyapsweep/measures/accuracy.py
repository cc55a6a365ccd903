"""How often a task's answer is the right class."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def accuracy(evidence: Evidence) -> float:
    """Share of right answers among the held-out ones: the largest logit is that of the class. Worst: 0.

    Where a task asks at every step, of the steps that count. Undefined (NaN) where answers are numbers, not classes.
    """
    if evidence.accuracies.size == 0:
        raise Undefined("answers are not classes")
    return float(np.mean(evidence.accuracies, dtype=np.float64))


ACCURACY = Measure(
    "accuracy",
    accuracy,
    "maximise",
    worst=0.0,
    unit="1",
    title="Held-out accuracy",
    has_floor=False,
    data=("task",),
)
