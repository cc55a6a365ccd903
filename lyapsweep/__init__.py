"""lyapsweep: which recurrent networks can learn a series, why, and with which forcing interval.

Names are imported when they are first used, so that `import lyapsweep` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

WHERE = {
    "Config": "lyapsweep.config",
    "Record": "lyapsweep.results.record",
    "Spectrum": "lyapsweep.dynamics",
    "Table": "lyapsweep.results.table",
    "load": "lyapsweep.loading",
    "lyapunov_spectra": "lyapsweep.dynamics",
    "lyapunov_spectrum": "lyapsweep.exponents",
    "network_spectrum": "lyapsweep.trial",
    "run_trial": "lyapsweep.trial",
    "run_trials": "lyapsweep.trial",
}

__all__ = list(WHERE)


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module 'lyapsweep' has no attribute '{name}'")
    return getattr(importlib.import_module(WHERE[name]), name)
