"""Does the rule "force at the predictability time" hold from system to system?

Lorenz, Roessler and Duffing, each sampled so that small errors double every ln 2 / lambda_max = 25.5 samples,
with lambda_max computed from the equations. If the rule holds, all networks of all systems are best at the same
interval, 25. The earlier result, on Lorenz only, was about half of it.
"""

from lyapsweep.sweep import Sweep

BASE = {"kind": "simulated", "parameters": {"substeps": 4}, "length": 20000, "test": 1.0}
SAMPLED = {"lorenz63": 0.03, "roessler": 0.309, "duffing": 0.2104}

SWEEP = Sweep(
    base="configs/lorenz63.yaml",
    objective="state_space",
    intent="map",
    grid={
        "dataset": [{**BASE, "system": system, "dt": dt} for system, dt in SAMPLED.items()],
        "cell": [
            {"kind": "vanilla", "units": 30},
            {"kind": "shallow_plrnn", "units": 20, "hidden": 40},
        ],
        "forcing/interval": [5, 8, 12, 16, 25, 38, 51],
    },
    seeds=5,
)
