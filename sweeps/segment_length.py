"""How long must a window be, and does the length matter if the state is carried over?

Windows of a long stream start from the zero state (random), from the previous target (conditional), or from the last
state of the previous window (stateful, sequential): Xu et al. 2023. The effect of the initial state decays at the
largest driven exponent of the network, so a window from zero is dominated by its spin-up unless it is much longer than
ln(100) / |lambda_1|. Expected: the loss of random windows falls until length x |lambda_1| is a few, that of carried
states hardly depends on it; against length x |lambda_1| the curves of networks with different memories collapse. The
memory of the data is 99.5 days.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/buckets.yaml",
    objective="loss",
    intent="map",
    grid={
        "windows/policy": ["random", "conditional", "stateful", "sequential"],
        "windows/length": [16, 32, 64, 128, 256],
    },
    seeds=3,
)
