"""Which forcing interval suits your own series?

A tanh network at intervals from a few samples to a window's length, three seeds each. Where the best interval lies
against `lyapsweep suggest`'s predictability time, and how near the best network comes to the floor (what another piece
of the recording scores), says whether the series can be learnt, and at which interval to go on.

    lyapsweep sweep sweeps/recording_interval.py --set dataset/path=my.npy --set dataset/dt=0.01 --name my
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/recording.yaml",
    objective="state_space",
    intent="map",
    grid={
        "cell": [{"kind": "vanilla", "units": 30}],
        "forcing/interval": [4, 8, 16, 24, 32, 48, 64],
    },
    seeds=3,
)
