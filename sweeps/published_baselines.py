"""Do the usual remedies for exploding gradients replace sparse forcing? An LSTM on the published Lorenz series.

Windows of 200 samples, three predictability times, without any forcing: starting from the data, from a state of zero
(windowing), and with the gradient cut every 30 steps (truncated backpropagation); each without and with clipping of
gradients to norm 1. For comparison, forcing at random intervals around 30, which was published to work for spreads up
to 30 and to fail from 50 on, and at an interval that grows from 1 to 46 during training. Published (Mikhaeil et al.
2022): without forcing every run ends at D_stsp >= 7, at an interval of 30 below 0.1.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/published.yaml",
    objective="state_space_mikhaeil2022",
    intent="map",
    grid={
        "cell": [{"kind": "lstm", "units": 30}],
        "forcing": [
            {"kind": "none"},
            {"kind": "none", "start": "zero"},
            {"kind": "truncated", "interval": 30},
            {"kind": "random", "interval": 30, "spread": 10},
            {"kind": "random", "interval": 30, "spread": 25},
            {"kind": "random", "interval": 30, "spread": 50},
            {"kind": "annealed", "interval": 46},
        ],
        "training/clip": [None, 1.0],
    },
    seeds=3,
)
