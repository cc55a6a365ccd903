"""The loss of training on held-out data."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def loss(evidence: Evidence) -> float:
    """Mean held-out loss under the forcing of training. Worst: 1e6.

    L = mean_w L_w over the windows w of the test part, in the unit of the training loss (squared standard deviations of
    a series; of a task nats, or its targets' unit squared). Scores under different forcings are not comparable, because
    forcing helps the forecast. Windows of a stream begin as in training: carried ones are one unbroken pass,
    conditional ones run in closed loop.

    Args:
        evidence: Uses `losses`.

    Returns:
        The loss.

    Raises:
        Undefined: If there is no test window.

    Example:
        >>> loss(Evidence(losses=np.array([0.1, 0.3])))
        0.2
    """
    if evidence.losses.size == 0:
        raise Undefined("no test window")
    return float(np.mean(evidence.losses, dtype=np.float64))


LOSS = Measure(
    "loss",
    loss,
    "minimise",
    worst=1e6,
    unit="1",
    title="Held-out loss",
    has_floor=False,
    data=("series", "task"),
)


def loss_reset(evidence: Evidence) -> float:
    """Mean held-out loss of windows that each begin at the zero state, whatever training did. Worst: 1e6.

    Conditional windows receive the true target before them. Scores badly if states need longer than a window to forget
    their start.

    Args:
        evidence: Uses `reset`.

    Returns:
        The loss, in the unit of `loss`.

    Raises:
        Undefined: If the data are not one long stream.

    Example:
        >>> loss_reset(Evidence(reset=np.array([[0.1], [0.3]])))
        0.2
    """
    return mean(evidence.reset)


def loss_unbroken(evidence: Evidence) -> float:
    """Mean held-out loss along one pass that is never reset, whatever training did. Worst: 1e6.

    Args:
        evidence: Uses `unbroken`, over the same steps as `reset`.

    Returns:
        The loss, in the unit of `loss`.

    Raises:
        Undefined: If the data are not one long stream, or windows are conditional.

    Example:
        >>> loss_unbroken(Evidence(unbroken=np.array([[0.1], [0.3]])))
        0.2
    """
    return mean(evidence.unbroken)


def mean(losses: np.ndarray) -> float:
    if losses.size == 0:
        raise Undefined("no windows of one long stream")
    return float(np.mean(losses, dtype=np.float64))


LOSS_RESET = Measure(
    "loss_reset",
    loss_reset,
    "minimise",
    worst=1e6,
    unit="1",
    title="Held-out loss of windows from zero",
    has_floor=False,
    data=("task",),
)
LOSS_UNBROKEN = Measure(
    "loss_unbroken",
    loss_unbroken,
    "minimise",
    worst=1e6,
    unit="1",
    title="Held-out loss of one unbroken pass",
    has_floor=False,
    data=("task",),
)
