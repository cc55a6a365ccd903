"""The loss of training, on data that training did not see."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def loss(evidence: Evidence) -> float:
    """Mean held-out loss under the forcing of training.

    L = mean_w L_w over the windows w of the test part; unit: that of the training loss (squared standard deviations of
    a series; of a task nats, or what its targets are in, squared). Worst: 1e6, a thousand standard deviations away.
    Scores under different forcings are not comparable: forcing helps the forecast. Windows of a stream begin as in
    training: carried ones are one unbroken pass, conditional ones run in closed loop. Undefined without windows.
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
    """Mean held-out loss of windows that each begin at the zero state, whatever training did.

    Conditional windows are told the true target before them. Unit as of `loss`. Worst: 1e6. Worst where states need
    longer than a window to forget their start. Undefined (NaN) unless the data are one long stream.
    """
    return mean(evidence.reset)


def loss_unbroken(evidence: Evidence) -> float:
    """Mean held-out loss along one pass that is never reset, whatever training did.

    Unit as of `loss`. Worst: 1e6; over the same steps as `loss_reset`. Undefined (NaN) unless the data are one long
    stream, and for conditional windows.
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
