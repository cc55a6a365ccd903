"""Across architectures, does the spectrum predict which networks learn, or only the name of the cell?

Eight cells of 32 units, four learning rates, two tasks: adding over 40 steps, and digits read row by row. If spectra
contain the same information as the name, a fit on some cells predicts others
(`lyapsweep.analysis.prediction.transfer`), and spectra improve predictions from settings without the cell.
"""

from lyapsweep.sweep import Sweep

KINDS = ("vanilla", "gru", "lstm", "antisymmetric", "cornn", "scornn", "scurnn", "sbo")

SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="map",
    grid={
        "dataset": [{"kind": "adding", "length": 40, "test": 500}, {"kind": "image_rows"}],
        "cell": [{"kind": kind, "units": 32} for kind in KINDS],
        "training/lr": [1e-3, 3e-3, 1e-2, 3e-2],
        "training/lr_end": [None],
        "training/steps": [1000],
        "training/report_every": [None],
        "windows/batch": [32],
        "lyapunov/orbits": [4],
    },
    seeds=3,
)
