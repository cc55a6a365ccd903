"""Importances of the columns of a table by Optuna's evaluators, in a study in memory."""

import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from lyapsweep.analysis.shared.axis import is_numeric
from lyapsweep.results.table import moves

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

AbstractEvaluator: TypeAlias = "BaseImportanceEvaluator"
Evaluator = Literal["fanova", "ped_anova", "impurity"]
MEANING = {
    "fanova": "share of the variance of ranks, main effect",
    "ped_anova": "divergence of the best tenth from all",
    "impurity": "share of the impurity removed by a forest",
}
TREES, DEPTH = 16, 5  # of forests: deeper trees fit noise, and fANOVA's time grows with the leaves squared


def make_evaluator(evaluator: Evaluator, seed: int) -> AbstractEvaluator:
    from optuna import importance

    if evaluator == "ped_anova":
        return importance.PedAnovaImportanceEvaluator()
    if evaluator == "fanova":
        return importance.FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=seed)
    return importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=seed)


def importances(columns: pd.DataFrame, y: np.ndarray, evaluator: AbstractEvaluator) -> np.ndarray:
    """The importance of each column (columns,) in a study in memory with these trials."""
    import optuna

    spaces: dict[str, Any] = {
        str(c): optuna.distributions.FloatDistribution(0, 1)
        if is_numeric(columns[c])
        else optuna.distributions.CategoricalDistribution(sorted(columns[c].unique()))
        for c in columns
    }
    fixed = [c for c in spaces if not moves(columns[c])]  # in a redrawn table
    spaces = {c: space for c, space in spaces.items() if c not in fixed}
    if not spaces or np.ptp(y) == 0:
        return np.zeros(len(columns.columns))
    kept: Any = columns[list(spaces)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study()
        optuna.logging.set_verbosity(level)
        study.add_trials(
            [
                optuna.trial.create_trial(value=float(v), params=r, distributions=spaces)
                for v, r in zip(y, kept.to_dict("records"), strict=True)
            ]
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return np.array([float(found.get(str(c), 0.0)) for c in columns])
