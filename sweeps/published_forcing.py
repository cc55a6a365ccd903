"""Which forcing interval do chaotic series need, in the published setting, at the corrected exponents?

The simulated series of Mikhaeil et al. 2022 from their equations, their three networks of 30 units, their intervals,
five seeds; scored on held-out data in their convention and in the default one. Predictability times ln 2 / lambda_max
are those of the equations: 62.8 samples for Lorenz (the paper used 46.2), 78.8 for Roessler, 30.3 for Duffing (39.3),
238.8 for Mackey-Glass (82.2).

The whole sweep needs a GPU node. Two CPU cores take less than an hour for a part of it, at a third of the updates:

    lyapsweep sweep sweeps/published_forcing.py --name lorenz --set training/steps=10000 \\
        --where dataset/system=lorenz63 --where dataset/observe=null \\
        --where "forcing/interval=[5, 15, 30, 50, 100, 200]"
"""

from lyapsweep.sweep import Sweep

LORENZ = {"kind": "simulated", "system": "lorenz63", "parameters": {"rho": 38.0}, "dt": 0.01}
SERIES = {"length": 100_000, "test": 0.2}
MACKEY_GLASS = {  # as in dysts 2021 (beta 2, gamma 1, n 9.65, delay 2, dt 0.04), with a time unit a tenth as long
    "kind": "simulated",
    "system": "mackey_glass",
    "parameters": {"n": 9.65, "delay": 20.0},
    "dt": 0.4,
    "dimension": 10,
    "delay": 5,
}

SWEEP = Sweep(
    base="configs/published.yaml",
    objective="state_space_mikhaeil2022",
    intent="map",
    grid={
        "dataset": [
            {**LORENZ, **SERIES, "standardise": "global"},
            {**LORENZ, **SERIES, "standardise": "global", "observe": ["y", "z"]},
            {"kind": "simulated", "system": "roessler", "dt": 0.1, **SERIES, "standardise": "global"},
            {"kind": "simulated", "system": "duffing", "dt": 0.1773, **SERIES, "standardise": "none"},
            {**MACKEY_GLASS, **SERIES},
        ],
        "cell": [{"kind": kind, "units": 30} for kind in ("lstm", "vanilla", "plrnn")],
        "forcing/interval": [5, 15, 30, 40, 50, 60, 70, 100, 130, 160, 200],
    },
    seeds=5,
)
