"""A map over a space, of which some settings depend on others, cut short in the middle."""

from lyapsweep.sweep import Sweep
from lyapsweep.sweep.spaces import log_float


def space(trial):
    kind = trial.suggest_categorical("cell/kind", ["lstm", "vanilla"])
    log_float(trial, "training/lr", 1e-3, 1e-1)
    trial.suggest_int("forcing/interval", 2, 6)
    if kind == "vanilla":
        trial.suggest_float("init/bound", 0.2, 1.0)
    return {"training/steps": 300, "training/report_every": 150}  # long enough to be cut short


SWEEP = Sweep(base="small.yaml", objective="state_space", intent="map", space=space, trials=10, pack=2)
