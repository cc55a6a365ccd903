"""Where is the border between networks that learn and networks that are lost, and how rough is it?

4096 tanh networks of 16 units on the flip-flop, one seed, plain gradient descent without clipping: the gain of the
recurrent weights against the learning rate. Expected: the border is fractal (Sohl-Dickstein 2024), and networks stop
learning near the gain at which lambda_max before training becomes positive.
"""

from lyapsweep.sweep import Sweep
from lyapsweep.sweep.spaces import log_points, points

SWEEP = Sweep(
    base="configs/flip_flop.yaml",
    objective="loss",
    intent="map",
    grid={"init/gain": points(0.05, 4, 64), "training/lr": log_points(3e-3, 3, 64)},
    threshold=0.363,  # half of the loss of a network without memory
    pack=256,
)
