"""Does moving exponents to zero before training help, how many of them, and for which memory spans?

Gradient flossing (Engelken 2023) of none, 1, 8 or 24 exponents of a network of 32 units, then training on adding over
20, 40 and 80 steps and on copying over pauses of 10 and 30. Expected: no gain on short tasks; on long tasks more
networks learn, and sooner; a smaller gain for the LSTM, whose cell state needs no flossing.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="map",
    grid={
        "dataset": [
            *({"kind": "adding", "length": length, "test": 500} for length in (20, 40, 80)),
            *({"kind": "copying", "items": 4, "alphabet": 4, "delay": delay, "test": 500} for delay in (10, 30)),
        ],
        "cell": [{"kind": kind, "units": 32} for kind in ("vanilla", "lstm")],
        "flossing": [{"exponents": k, "steps": 200, "length": 55, "lr": 1e-2} for k in (0, 1, 8, 24)],
        "training/steps": [1500],
        "training/report_every": [None],
        "windows/batch": [32],
        "lyapunov/orbits": [4],
    },
    seeds=5,
)
