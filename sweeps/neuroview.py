"""When a network forgets, is it the gradient that vanished or the memory? Two read-outs across the gain.

A tanh network adds two numbers over 50 steps. Its last state is asked (`affine`), or every state at once (`neuroview`,
Barberan et al. 2022), to which the gradient of a step has a path of length zero. If contraction hurts because
gradients vanish, NeuroView is as good at small gains as at large ones; where it is not, the memory itself is gone.
Expansion should hurt both.
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
