"""Does it help to bring exponents to zero before training, how many of them, and for which memories?

Gradient flossing (Engelken 2023) of none, 1, 8 or 24 exponents of a network of 32 units, then training on adding over
20, 40 and 80 steps and on copying over pauses of 10 and 30. Expected: nothing to gain where the task is short, more
networks that learn, and sooner, where it is long; for the LSTM less, whose cell state lives without help.
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
