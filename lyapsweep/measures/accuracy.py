"""Accuracy of a task's answers."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def accuracy(evidence: Evidence) -> float:
    """Share of right held-out answers, the largest logit being the answer. Worst: 0.

    If a task has an answer per step, the share of the steps that count. Undefined (NaN) for answers that are numbers.

    Args:
        evidence: Uses `accuracies`.

    Returns:
        The share, between 0 and 1.

    Raises:
        Undefined: If answers are not classes.

    Example:
        >>> accuracy(Evidence(accuracies=np.array([1.0, 0.5])))
        0.75
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
