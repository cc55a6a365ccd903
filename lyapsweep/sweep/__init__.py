"""Many trials: what is varied (`definition`, `spaces`), who trains beside whom (`packing`), and running it (`driver`).

`driver` is not imported here: sweep files and worker processes need neither Optuna nor MLflow.
"""

from lyapsweep.sweep.plan.definition import Sweep, SweepError, load

__all__ = ["Sweep", "SweepError", "load"]
