"""How long must a window be, and does it matter when the state is carried?

Segments of a long stream are trained from the zero state (random), from the target before them (conditional), or from
the state that the window before them ended in (stateful, sequential): Xu et al. 2023. A state forgets its start at the
network's largest driven exponent, so a window from zero is dominated by its spin-up unless it is much longer than
ln(100) / |lambda_1|. Expected: the loss of random windows falls until length x |lambda_1| is a few, that of carried
ones hardly depends on it; against length x |lambda_1| the curves of networks with different memories collapse. The data
remember 99.5 days.
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
