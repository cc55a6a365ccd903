"""Which small network is good?"""

from lyapsweep.sweep import Sweep
from lyapsweep.sweep.spaces import cell, log_float, log_int


def space(trial):
    log_float(trial, "training/lr", 1e-3, 1e-1)
    log_int(trial, "forcing/interval", 1, 16)
    return cell(trial, {"gru": {"units": 3}, "vanilla": {"units": 4}})


SWEEP = Sweep(base="small.yaml", objective="loss", intent="hunt", space=space, trials=6)
