"""The library from Python: train one network, run a sweep, hold their results, register members of one's own.

Public names are imported at their first use: one network needs neither Ray nor Optuna.
"""

from typing import TYPE_CHECKING

from lyapsweep.lazy import imported_at_use

if TYPE_CHECKING:
    from lyapsweep.api.registration import register
    from lyapsweep.api.results import SweepResult, TrialResult
    from lyapsweep.api.sweeping import run_sweep
    from lyapsweep.api.training import train

__all__ = ["SweepResult", "TrialResult", "register", "run_sweep", "train"]

MODULES = {
    "SweepResult": "lyapsweep.api.results",
    "TrialResult": "lyapsweep.api.results",
    "register": "lyapsweep.api.registration",
    "run_sweep": "lyapsweep.api.sweeping",
    "train": "lyapsweep.api.training",
}

__getattr__, __dir__ = imported_at_use(__name__, MODULES)
