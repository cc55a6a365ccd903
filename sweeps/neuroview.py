"""If a network forgets, is the cause a vanishing gradient or a vanishing memory? Two readouts across the gain.

A tanh network adds two numbers over 50 steps. The readout uses the last state (`affine`) or all states (`neuroview`,
Barberan et al. 2022), which gives the gradient at each step a path of length zero. If contraction is harmful because
gradients vanish, NeuroView is as good at small gains as at large ones; otherwise the memory itself is lost.
Expansion should impair both.
"""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="map",
    grid={
        "cell": [{"kind": "vanilla", "units": 32}],
        "readout": [{"kind": "affine"}, {"kind": "neuroview"}],
        "init": [{"kind": "gaussian", "gain": gain} for gain in (0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0)],
    },
    seeds=5,
)
