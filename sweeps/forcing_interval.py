"""Is the best forcing interval the predictability time of the data?

Mikhaeil et al. 2022 argue that loss gradients grow at the rate of the largest Lyapunov exponent, so that a network
should be forced to chaotic data about every ln 2 / lambda_max steps: with much shorter intervals it does not learn the
long-term dynamics, with much longer ones its gradients explode. Expected: the distance between the true and the
generated attractor (D_stsp) is lowest slightly below the predictability time, here 25.5 samples, for every cell.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/lorenz63.yaml",
    objective="state_space",
    intent="map",
    grid={
        "cell": [
            {"kind": "vanilla", "units": 30},
            {"kind": "plrnn", "units": 30},
            {"kind": "shallow_plrnn", "units": 20, "hidden": 40},
        ],
        "forcing/interval": [5, 8, 12, 16, 25, 51, 64],
    },
    seeds=3,
)
