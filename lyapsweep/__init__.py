"""lyapsweep: hyperparameter sweeps of recurrent networks, with the Lyapunov spectrum of every trial.

Public names are imported at their first use, so that `import lyapsweep` takes no time.

Example:
    >>> import lyapsweep
    >>> config = lyapsweep.Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
    >>> config.training.steps
    5000
"""

from typing import TYPE_CHECKING

from lyapsweep.compat import install
from lyapsweep.lazy import imported_at_use

if TYPE_CHECKING:
    from lyapsweep.api import SweepResult, TrialResult, register, run_sweep, train
    from lyapsweep.atlas.findings import findings
    from lyapsweep.config import Config
    from lyapsweep.dynamics import Spectrum, lyapunov_spectra
    from lyapsweep.exponents import lyapunov_spectrum
    from lyapsweep.fitting.pipeline import fit
    from lyapsweep.loading import load
    from lyapsweep.results.record import Record
    from lyapsweep.results.table import Table
    from lyapsweep.sweep.observe.callbacks import Callback
    from lyapsweep.trial import network_spectrum, run_trial, run_trials

__version__ = "0.1.0"
__all__ = [
    "Callback",
    "Config",
    "Record",
    "Spectrum",
    "SweepResult",
    "Table",
    "TrialResult",
    "findings",
    "fit",
    "load",
    "lyapunov_spectra",
    "lyapunov_spectrum",
    "network_spectrum",
    "register",
    "run_sweep",
    "run_trial",
    "run_trials",
    "train",
]

MODULES = {
    "Config": "lyapsweep.config",
    "Record": "lyapsweep.results.record",
    "Spectrum": "lyapsweep.dynamics",
    "SweepResult": "lyapsweep.api",
    "Table": "lyapsweep.results.table",
    "TrialResult": "lyapsweep.api",
    "fit": "lyapsweep.fitting.pipeline",
    "findings": "lyapsweep.atlas.findings",
    "load": "lyapsweep.loading",
    "lyapunov_spectra": "lyapsweep.dynamics",
    "lyapunov_spectrum": "lyapsweep.exponents",
    "network_spectrum": "lyapsweep.trial",
    "run_sweep": "lyapsweep.api",
    "run_trial": "lyapsweep.trial",
    "run_trials": "lyapsweep.trial",
    "register": "lyapsweep.api",
    "train": "lyapsweep.api",
    "Callback": "lyapsweep.sweep.observe.callbacks",
}

install()


__getattr__, __dir__ = imported_at_use(__name__, MODULES)
