"""The loss of training, on data that training did not see."""

import numpy as np

from lyapsweep.measures.evidence import Evidence
from lyapsweep.measures.measure import Measure, Undefined


def loss(evidence: Evidence) -> float:
    """Mean held-out loss under the forcing of training.

    L = mean_w L_w over the windows w of the test part; unit: that of the training loss (squared standard deviations of
    a series; of a task nats, or what its targets are in, squared). Worst: 1e6, a thousand standard deviations away.
    Scores under different forcings are not comparable: forcing helps the forecast. Undefined without windows.
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
