"""Which network learns the adding problem over 50 steps best, and does flossing before training help it?

A hunt over five cells of 16 to 64 units, three initialisations with their gain, the number of exponents that flossing
moves to zero before training (Engelken 2023), and the learning rate. The best three settings are trained again from
three fresh seeds, whose median decides. For copying:

    lyapsweep sweep sweeps/hunt_memory.py --name hunt_copying \\
        --set "dataset={kind: copying, items: 4, alphabet: 4, delay: 20}"
"""

from lyapsweep.sweep import Sweep
from lyapsweep.sweep.spaces import cell, kind, log_float, log_int


def space(trial):
    cell(trial, ["vanilla", "lstm", "gru", "scornn", "antisymmetric"])
    log_int(trial, "cell/units", 16, 64)
    kind(trial, "init", ["uniform", "gaussian", "orthogonal"])
    if trial.params["init/kind"] != "uniform":
        log_float(trial, "init/gain", 0.5, 2.0)
    trial.suggest_categorical("flossing/exponents", [0, 4, 16])
    rate = log_float(trial, "training/lr", 1e-3, 3e-2)
    return {"training/lr_end": rate / 10, "flossing/steps": 200}


SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="hunt",
    space=space,
    trials=40,
    confirm=3,
    candidates=3,
)
