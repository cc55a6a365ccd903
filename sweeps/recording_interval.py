"""Which networks learn your own series, and at which forcing interval?

A tanh network, an LSTM and a PLRNN of 30 units at intervals from a few samples to the length of a window, three seeds
each. Compare the best interval with the predictability time of `lyapsweep suggest`, and the best score with the floor
(the score of another piece of the recording): this shows whether the series can be learned, and at which interval to
continue. `--where cell/kind=vanilla` trains only the cheapest cell.

    lyapsweep sweep recording_interval --set dataset/path=my.npy --set dataset/dt=0.01 --name my
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
