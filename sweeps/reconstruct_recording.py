"""Which network reconstructs your own series best: cell, size, initialisation, forcing, learning rate?

The hunt of reconstruct.py for a file. Tell the largest exponent that `lyapsweep suggest` estimates, so that winners are
held to it; without it they are held to stable fixed points only.

    lyapsweep suggest my.npy --dt 0.01
    lyapsweep sweep sweeps/reconstruct_recording.py --name my --set dataset/path=my.npy --set dataset/dt=0.01 \\
        --set dataset/lambda_max=0.9

The best four settings are trained again from three fresh seeds, whose median decides.
"""

from lyapsweep.sweep import Sweep
from lyapsweep.sweep.spaces import cell, kind, log_float, log_int


def space(trial):
    cell(trial, ["plrnn", "shallow_plrnn", "alrnn", "vanilla", "gru"])
    log_int(trial, "cell/units", 10, 60)
    if trial.params["cell/kind"] == "shallow_plrnn":
        log_int(trial, "cell/hidden", 20, 120)
    if trial.params["cell/kind"] == "alrnn":
        log_int(trial, "cell/rectified", 2, 10)
    kind(trial, "init", ["uniform", "orthogonal", "near_identity"])
    kind(trial, "forcing", ["sparse", "annealed", "generalised"])
    if trial.params["forcing/kind"] == "generalised":
        log_float(trial, "forcing/alpha", 0.02, 0.5)
    else:
        log_int(trial, "forcing/interval", 4, 60)
    return {"training/lr_end": log_float(trial, "training/lr", 2e-3, 3e-2) / 100}


SWEEP = Sweep(
    base="configs/recording.yaml",
    objective="state_space",
    intent="hunt",
    space=space,
    trials=40,
    confirm=3,
    candidates=4,
)
