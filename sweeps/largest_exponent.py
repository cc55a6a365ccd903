"""Does a network trained under sparse forcing have the exponents of its data?

Four standard RNNs, set up as in Mikhaeil et al. 2022, learn the Lorenz system at rho = 38, whose largest exponent is
1.1042 per unit time, 0.01104 per sample. Expected: the largest exponent of each network is within 8 % of it, and the
second one is zero, as in every flow.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/mikhaeil2022.yaml",
    objective="state_space",
    intent="map",
    grid={"forcing/interval": [30]},
    seeds=4,
)
