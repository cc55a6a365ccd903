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
    from lyapsweep.config import Config
    from lyapsweep.dynamics import Spectrum, lyapunov_spectra
    from lyapsweep.exponents import lyapunov_spectrum
    from lyapsweep.fitting.pipeline import fit
    from lyapsweep.loading import load
    from lyapsweep.results.record import Record
    from lyapsweep.results.table import Table
    from lyapsweep.trial import network_spectrum, run_trial, run_trials

__version__ = "0.1.0"
__all__ = [
    "Config",
    "Record",
    "Spectrum",
    "Table",
    "fit",
    "load",
    "lyapunov_spectra",
    "lyapunov_spectrum",
    "network_spectrum",
    "run_trial",
    "run_trials",
]

MODULES = {
    "Config": "lyapsweep.config",
    "Record": "lyapsweep.results.record",
    "Spectrum": "lyapsweep.dynamics",
    "Table": "lyapsweep.results.table",
    "fit": "lyapsweep.fitting.pipeline",
    "load": "lyapsweep.loading",
    "lyapunov_spectra": "lyapsweep.dynamics",
    "lyapunov_spectrum": "lyapsweep.exponents",
    "network_spectrum": "lyapsweep.trial",
    "run_trial": "lyapsweep.trial",
    "run_trials": "lyapsweep.trial",
}

install()


__getattr__ = imported_at_use(__name__, MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
