"""Helpers for sweep files: values along the axes of a grid, and parameters of a define-by-run space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lyapsweep.sweep.plan.axes import log_points, points

if TYPE_CHECKING:
    import optuna

__all__ = ["cell", "kind", "log_float", "log_int", "log_points", "points", "seed"]


def cell(trial: "optuna.Trial", cells: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Suggest `cell/kind`; the same as `kind(trial, "cell", cells)`.

    Args:
        trial: The Optuna trial that the space was called with.
        cells: Kinds of cells, or a mapping of kinds to their settings.

    Returns:
        The section for the space to return; empty where `cells` has no settings.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> cell(FixedTrial({"cell/kind": "lstm"}), {"lstm": {"units": 30}, "vanilla": {"units": 60}})
        {'cell': {'kind': 'lstm', 'units': 30}}
    """
    return kind(trial, "cell", cells)


def kind(
    trial: "optuna.Trial", section: str, members: Sequence[str] | Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Suggest the member of any family, such as the forcing.

    Args:
        trial: The Optuna trial that the space was called with.
        section: The family's section of a config.
        members: Kinds, or a mapping of kinds to their settings.

    Returns:
        The section for the space to return; empty where `members` has no settings.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> kind(FixedTrial({"forcing/kind": "none"}), "forcing", {"none": {}, "sparse": {"interval": 8}})
        {'forcing': {'kind': 'none'}}
    """
    drawn = trial.suggest_categorical(f"{section}/kind", list(members))
    return {section: {"kind": drawn, **members[drawn]}} if isinstance(members, Mapping) else {}


def log_int(trial: "optuna.Trial", path: str, low: int, high: int) -> int:
    """Suggest an integer that is equally likely in every octave.

    Args:
        trial: The Optuna trial that the space was called with.
        path: The setting's path in a config.
        low: Smallest value, at least 1.
        high: Largest value.

    Returns:
        The suggested value.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> log_int(FixedTrial({"forcing/interval": 8}), "forcing/interval", 1, 64)
        8
    """
    return trial.suggest_int(path, low, high, log=True)


def log_float(trial: "optuna.Trial", path: str, low: float, high: float) -> float:
    """Suggest a log-uniform number.

    Args:
        trial: The Optuna trial that the space was called with.
        path: The setting's path in a config.
        low: Smallest value, above 0.
        high: Largest value.

    Returns:
        The suggested value.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> log_float(FixedTrial({"training/lr": 0.01}), "training/lr", 1e-4, 1e-1)
        0.01
    """
    return trial.suggest_float(path, low, high, log=True)


def seed(trial: "optuna.Trial", count: int) -> int:
    """Suggest one of the seeds 0 ... count - 1.

    Args:
        trial: The Optuna trial that the space was called with.
        count: Number of seeds.

    Returns:
        The suggested seed.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> seed(FixedTrial({"seed": 2}), 3)
        2
    """
    return trial.suggest_int("seed", 0, count - 1)
