"""The library from Python: train one network, run a sweep, hold their results, register members of one's own."""

from lyapsweep.api.registration import register
from lyapsweep.api.results import SweepResult, TrialResult
from lyapsweep.api.sweeping import run_sweep
from lyapsweep.api.training import train

__all__ = ["SweepResult", "TrialResult", "register", "run_sweep", "train"]
