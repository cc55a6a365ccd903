"""Sweeps in which no setting differs: the winner's test score is unbiased, the score by which it was chosen is not."""

import numpy as np
import pandas as pd
import pytest

from lyapsweep.results.best import best_setting
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

SWEEPS, SETTINGS, SEEDS, MEAN, NOISE = 200, 21, 3, 10.0, 1.0
DESCRIPTION = SweepDescription(objective="loss", direction="minimise")


def winners(spread: float, test: bool) -> np.ndarray:
    """Of each sweep: median score of the winner by which it was chosen, reported score, true score of its networks.

    Networks differ by `spread` from seed to seed, their scores on either part by `NOISE` from that. (sweeps, 3)
    """
    random, found = np.random.default_rng(7), []
    runs = SETTINGS * SEEDS
    frame = pd.DataFrame({"trial": [f"{i:02d}" for i in range(runs)], "outcome": "finished", "step": 9, "final": True})
    frame["forcing/interval"] = np.repeat(np.arange(SETTINGS), SEEDS)
    frame["seed"] = np.tile(np.arange(SEEDS), SETTINGS)
    for _ in range(SWEEPS):
        truth = MEAN + spread * random.standard_normal(runs)
        frame["measures/loss"] = truth + NOISE * random.standard_normal(runs)
        if test:
            frame["test/loss"] = truth + NOISE * random.standard_normal(runs)
        best = best_setting(Table(frame, description=DESCRIPTION))
        found.append((best.median, best.test if test else best.median, np.median(truth[list(best.rows)])))
    return np.array(found)


def excess(scores: np.ndarray, truth: np.ndarray | float) -> tuple[float, float]:
    """Mean excess of reported over true scores, and its standard error."""
    differences = scores - truth
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def test_the_reported_score_of_a_winner_is_unbiased_where_the_one_it_was_chosen_by_is_optimistic():
    chosen, reported, _ = winners(spread=0.0, test=True).T
    bias, error = excess(reported, MEAN)
    assert abs(bias) < 2 * error
    assert error < 0.06
    optimism, _ = excess(chosen, MEAN)
    assert optimism == pytest.approx(-1.3, abs=0.1), "docs/mathematics/measures.md states it"


def test_without_a_validation_part_the_reported_score_is_that_optimistic():
    _, reported, _ = winners(spread=0.0, test=False).T
    assert excess(reported, MEAN)[0] == pytest.approx(-1.3, abs=0.1)


def test_the_test_score_is_that_of_the_winners_networks_also_where_seeds_differ():
    """Not that of the setting: its seeds were lucky, and new ones would be worse."""
    chosen, reported, truth = winners(spread=1.0, test=True).T
    bias, error = excess(reported, truth)
    assert abs(bias) < 2 * error
    assert excess(chosen, truth)[0] < -0.5
    assert excess(reported, MEAN)[0] == pytest.approx(-0.75, abs=0.15)
