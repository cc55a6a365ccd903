"""Optuna's samplers by name."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from lyapsweep.sweep.plan.errors import SweepError

if TYPE_CHECKING:
    from lyapsweep.sweep.plan.definition import Sweep

MAKERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "cmaes": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsga2": lambda seed: NSGAIISampler(seed=seed),
    "qmc": lambda seed: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    "random": lambda seed: RandomSampler(seed=seed),
}
CONDITIONAL = ("tpe", "nsga2", "random")  # those that learn from parameters that only some trials have


def make_sampler(sweep: "Sweep", seed: int) -> BaseSampler:
    """The sampler of a hunt, by its name or as it is.

    Args:
        sweep: Its `sampler` is a name or a sampler of Optuna.
        seed: Seed of a sampler that is given by name.

    Raises:
        SweepError: If the sampler needs a package that is missing, or cannot optimise several objectives.
    """
    if isinstance(sweep.sampler, BaseSampler):
        return sweep.sampler
    if sweep.sampler == "cmaes" and sweep.further:
        raise SweepError("sampler: 'cmaes' optimises one objective only. Use 'tpe', 'gp' or 'nsga2'.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return MAKERS[sweep.sampler](seed)
        except ImportError as error:
            raise SweepError(
                f"sampler: '{sweep.sampler}' needs the package {error.name or 'cmaes'}. Install it."
            ) from error
