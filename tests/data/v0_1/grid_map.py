"""Does a grid of two cells, two intervals and two seeds read as it did?"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="small.yaml",
    objective="state_space",
    intent="map",
    grid={
        "cell": [{"kind": "vanilla", "units": 4}, {"kind": "shallow_plrnn", "units": 3, "hidden": 4}],
        "forcing/interval": [4, 8],
    },
    seeds=2,
    pack=2,
)
