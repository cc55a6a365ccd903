"""Which networks learn your own series, and at which forcing interval?

A tanh network, an LSTM and a PLRNN of 30 units at intervals from a few samples to a window's length, three seeds each.
Where the best interval lies against `lyapsweep suggest`'s predictability time, and how near the best network comes to
the floor (what another piece of the recording scores), says whether the series can be learnt, and at which interval to
go on. `--where cell/kind=vanilla` asks the cheapest of them alone.

    lyapsweep sweep sweeps/recording_interval.py --set dataset/path=my.npy --set dataset/dt=0.01 --name my
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/recording.yaml",
    objective="state_space",
    intent="map",
    grid={
        "cell": [{"kind": kind, "units": 30} for kind in ("vanilla", "lstm", "plrnn")],
        "forcing/interval": [4, 8, 16, 24, 32, 48, 64],
    },
    seeds=3,
)
