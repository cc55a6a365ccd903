"""Many trials: what is varied (`plan`, `spaces`), running it (`execute`), and its progress (`observe`).

Public names are imported at their first use: sweep files and worker processes need neither Optuna nor MLflow, and
`lyapsweep status` needs no torch.
"""

from typing import TYPE_CHECKING

from lyapsweep.lazy import imported_at_use

if TYPE_CHECKING:
    from lyapsweep.sweep.plan.definition import Sweep, load
    from lyapsweep.sweep.plan.errors import SweepError
    from lyapsweep.sweep.plan.halving import Halving

__all__ = ["Halving", "Sweep", "SweepError", "load"]

__getattr__, __dir__ = imported_at_use(
    __name__, dict.fromkeys(("Halving", "Sweep", "load", "SweepError"), "lyapsweep.sweep.plan.definition")
)
