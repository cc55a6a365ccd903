"""Does the LSTM need sparse forcing, like the other cells?

The question of forcing_interval.py for the LSTM only, which costs as much as the three cells there together.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/lorenz63.yaml",
    objective="state_space",
    intent="map",
    grid={"cell": [{"kind": "lstm", "units": 20}], "forcing/interval": [5, 8, 12, 16, 25, 51, 64]},
    seeds=3,
)
