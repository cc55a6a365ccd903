"""Sections of a config: the families, the dataclasses of plain sections, and their defaults."""

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lyapsweep.cells import CELLS
from lyapsweep.config.parsing import ConfigError
from lyapsweep.datasets import DATASETS
from lyapsweep.flossing import Flossing
from lyapsweep.forcing import FORCINGS
from lyapsweep.inits import INITS
from lyapsweep.readouts import READOUTS
from lyapsweep.registry import Registry, unknown
from lyapsweep.regularisation import Regularisation
from lyapsweep.setting_types import Count, CountOrZero, Positive, Share, check_fields
from lyapsweep.windows import Windows

OPTIMIZERS = ["adam", "radam", "sgd"]
LAST = "last"  # of `training/keep`


@dataclass(frozen=True)
class Training:
    """Settings of gradient descent. The learning rate decays geometrically, lr(t) = lr (lr_end / lr)^(t / steps).

    Args:
        steps: Number of updates. Default 5000.
        lr: Learning rate at the first update. Default 1e-3.
        lr_end: Learning rate at the last update; None keeps `lr` constant.
        optimizer: "adam", "radam" or "sgd". Default "adam".
        clip: Largest norm of a network's gradient; None does not clip.
        clip_value: Largest absolute value of each entry of the gradient; None does not clip.
        report_every: Number of updates between records; None writes only the first record, those of `report_at`, and
            the last.
        report_at: Fractions of `steps` after which a record is written, each in (0, 1).
        weights: File of the weights that training starts from, of a record or as `numpy.savez` writes arrays by name;
            None (the default) starts from the initialisation.
        keep: Which network the final record holds: "last" (the default), or the name of one of the config's measures:
            the network that is best by it, on the part of the data by which networks are judged, among all reports.

    Raises:
        ValueError: If a value is out of range.
        UnknownName: If `optimizer` is not known.

    Example:
        >>> sorted(Training(steps=100, report_every=50, report_at=[0.1]).reports)
        [0, 10, 50, 100]
    """

    steps: CountOrZero = 5000
    lr: Positive = 1e-3
    lr_end: Positive | None = None
    optimizer: str = "adam"
    clip: Positive | None = None
    clip_value: Positive | None = None
    report_every: Count | None = None
    report_at: list[Share] = field(default_factory=list)
    weights: str | None = None
    keep: str = LAST

    def __post_init__(self) -> None:
        check_fields(self, "training")
        if self.optimizer not in OPTIMIZERS:
            raise unknown("optimizer", self.optimizer, OPTIMIZERS, "training/optimizer")

    @cached_property
    def reports(self) -> frozenset[int]:
        """Numbers of updates after which a record is written: 0, `report_every`, `report_at`, and `steps`."""
        every = range(self.report_every, self.steps, self.report_every) if self.report_every else ()
        return frozenset({0, self.steps, *every, *(max(1, round(f * self.steps)) for f in self.report_at)})


@dataclass(frozen=True)
class Lyapunov:
    """Settings of the measurement of Lyapunov spectra.

    Args:
        steps: Number of counted time steps per orbit. Default 2000.
        warmup: Number of time steps before `steps`, in which state and frame settle. Default 200.
        orbits: Number of orbits. Default 4.
        exponents: Number of leading exponents; None computes all.
        segments: Number of segments that each orbit is split into. They run in parallel, each after a warmup of its
            own, so that fewer steps follow one another. Default 1.
        forced: Whether the spectrum under the forcing of training is measured too. Default False.
        early: Number of counted time steps during training; None takes `steps`.

    Raises:
        ConfigError: If a value is out of range.

    Example:
        >>> Lyapunov(steps=1000, early=64).during().steps
        64
    """

    steps: Count = 2000
    warmup: CountOrZero = 200
    orbits: Count = 4
    exponents: Count | None = None
    segments: Count = 1
    forced: bool = False
    early: Count | None = None

    def __post_init__(self) -> None:
        check_fields(self, "lyapunov")
        require(self.segments <= self.steps, "lyapunov/segments", "<= lyapunov/steps", self.segments)
        enough = self.early is None or self.early >= self.segments
        require(enough, "lyapunov/early", ">= lyapunov/segments or null", self.early)

    def during(self) -> "Lyapunov":
        """Return the settings used during training: `steps` and `warmup` are at most `early`."""
        early = self.early or self.steps
        return dataclasses.replace(self, steps=min(self.steps, early), warmup=min(self.warmup, early))


def require(holds: bool, path: str, what: str, value: object) -> None:
    """Raise `ConfigError` unless `holds`."""
    if not holds:
        raise ConfigError(f"{path} must be {what}, but got {value}.")


FAMILIES: dict[str, Registry] = {
    "dataset": DATASETS,
    "cell": CELLS,
    "readout": READOUTS,
    "init": INITS,
    "forcing": FORCINGS,
}
PLAIN: dict[str, Any] = {
    "flossing": Flossing,
    "windows": Windows,
    "training": Training,
    "regularisation": Regularisation,
    "lyapunov": Lyapunov,
}
DEFAULTS: dict[str, Any] = {
    "readout": {"kind": "linear"},
    "init": {"kind": "uniform"},
    "forcing": {"kind": "none"},
    "measures": ["loss", "state_space"],
    "seed": 0,
}
# A task's sequences are trained whole, and spectra are recorded from the first updates on.
DEFAULTS_OF_TASKS: dict[str, Any] = {
    "readout": {"kind": "affine"},
    "measures": ["loss", "solved"],
    "windows": {"length": None},
    "training": {"report_at": [0.01, 0.05, 0.1, 0.3]},
    "lyapunov": {"steps": 1000, "early": 64},
}


def defaults_of(section: str, task: bool) -> Any:
    """Return the default of a section, of the measures or of the seed, for a task or for a series; None without one."""
    default = DEFAULTS_OF_TASKS.get(section) if task else None
    return DEFAULTS.get(section) if default is None else default
