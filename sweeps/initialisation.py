"""Does the spectrum before training predict the outcome of training?

Three cells of two sizes on two tasks that need memory, adding (30 steps) and copying (4 symbols over 12 steps), across
the gain of the recurrent weights and the learning rate. Spectra under held-out inputs are measured before training and
after 1, 5, 10 and 30 % of it, with the held-out loss: what do they add to the settings and the early loss
(`lyapsweep.analysis.prediction.incremental`)? Expected from theory: networks that start near lambda_max = 0 transport
gradients furthest, and learn at rates at which others do not.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="map",
    grid={
        "dataset": [
            {"kind": "adding", "length": 30, "test": 500},
            {"kind": "copying", "items": 4, "alphabet": 4, "delay": 12, "test": 500},
        ],
        "cell": [{"kind": kind, "units": units} for kind in ("vanilla", "gru", "lstm") for units in (32, 64)],
        "init": [{"kind": "gaussian", "gain": gain} for gain in (0.25, 0.5, 0.8, 1.0, 1.3, 1.7, 2.5)],
        "training/lr": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
        "training/lr_end": [None],
        "training/clip": [None],
        "training/steps": [1000],
        "training/report_every": [None],
        "windows/batch": [32],
        "lyapunov/orbits": [4],
    },
    seeds=2,
)
