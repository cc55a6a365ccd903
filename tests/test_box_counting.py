"""The dimension of a border: known curves have theirs, noise has two; a planted border of a table is found and told."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon

from lyapsweep.analysis.settings import box_counting as analysis
from lyapsweep.analysis.settings.box_counting import box_counting
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import RefinedGrid, SweepDescription
from lyapsweep.results.table import Table

GAINS, RATES = np.linspace(0.5, 2.0, 32), np.geomspace(1e-3, 1, 24)
PLACE = ("init/gain", "training/lr", "measures/loss")


def plane(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.arange(n), np.arange(n))


def koch(level: int) -> np.ndarray:
    """The corners of Koch's snowflake, as complex numbers."""
    corners = np.exp(-2j * np.pi * np.arange(4) / 3)
    for _ in range(level):
        a, d = corners[:-1], np.diff(corners) / 3
        corners = np.append(np.stack([a, a + d, a + d * (1 + np.exp(1j * np.pi / 3)), a + 2 * d], 1), corners[0])
    return corners


def snowflake(n: int, level: int) -> np.ndarray:
    edge, curve = np.linspace(-1.1, 1.1, n), koch(level)
    points = np.stack([axis.ravel() for axis in np.meshgrid(edge, edge)], 1)
    return Polygon(np.stack([curve.real, curve.imag], 1)).contains_points(points).reshape(n, n)


@pytest.mark.parametrize("n", [32, 64, 256])
def test_smooth_lines_have_dimension_one(n):
    x, y = plane(n)
    for inside in (y > n // 3, y > 0.37 * x + n / 4.1, y > 3.1 * x - n, np.hypot(x - n / 2, y - n / 2) < n / 3.3):
        found = box_counting(inside)
        assert found.dimension == pytest.approx(1, abs=0.02)
        assert found.stderr < 0.15
    assert box_counting(y > n // 3).stderr == pytest.approx(0, abs=1e-12)


def test_koch_curves_have_nearly_their_dimension_and_the_more_so_the_finer_the_grid():
    """log 4 / log 3 = 1.262. Bounds from measurement: 1.20 on 64 x 64 cells, 1.236 on 512 x 512."""
    coarse, fine = (box_counting(snowflake(n, 6)).dimension for n in (64, 512))
    truth = np.log(4) / np.log(3)
    assert truth - 0.08 < coarse < truth
    assert truth - 0.035 < fine < truth + 0.01


def test_noise_has_dimension_two_and_its_error_is_small():
    found = box_counting(np.random.default_rng(0).random((64, 64)) < 0.5)
    assert found.dimension == pytest.approx(2, abs=0.01)
    assert found.stderr < 0.01


def test_mirrored_and_inverted_planes_have_the_same_border():
    inside = snowflake(96, 5)
    for other in (~inside, inside.T):
        assert box_counting(other).dimension == pytest.approx(box_counting(inside).dimension, abs=0.01)


def test_no_border_or_too_few_cells():
    with pytest.raises(TooFew, match="same outcome"):
        box_counting(np.ones((32, 32), bool))
    with pytest.raises(TooFew, match="cells along an axis"):
        box_counting(np.eye(15, dtype=bool))


def made_up(skip=lambda i, j: False, lost_above: float = 0.3) -> Table:
    """Learning rates above 0.3 lose a network; below, the loss is the gain: 0.5 ... 2. lambda_max = ln gain before."""
    rows = []
    for (i, gain), (j, lr) in ((a, b) for a in enumerate(GAINS) for b in enumerate(RATES)):
        for step in (0, 9):
            if skip(i, j):
                continue
            outcome = "running" if not step else "diverged" if lr > lost_above else "finished"
            trial = {"trial": f"{i} {j}", "step": step, "final": step == 9, "outcome": outcome, "init/gain": gain}
            scores = {"measures/loss": gain, "spectra/driven/maximum": np.log(gain) if not step else -lr}
            rows.append(trial | {"training/lr": lr, "cell/kind": "vanilla"} | scores)
    return Table(pd.DataFrame(rows), description=SweepDescription(objective="loss", direction="minimise"))


def test_a_planted_border_is_found_at_its_place():
    found = analysis.find(made_up(), *PLACE)
    np.testing.assert_array_equal(found.inside, np.tile(RATES[:, None] <= 0.3, (1, 32)))
    np.testing.assert_array_equal(found.lost, ~found.inside)
    assert found.boxes.dimension == pytest.approx(1, abs=1e-9)
    assert (found.y_log, found.x_log) == (True, False)
    np.testing.assert_allclose(found.before[0], np.log(GAINS))
    learnt = analysis.find(made_up(), *PLACE, threshold=1.0)
    np.testing.assert_array_equal(learnt.inside, (GAINS < 1) & (RATES[:, None] <= 0.3))
    said = analysis.sentence(learnt)
    assert f"{learnt.inside.mean():.0%} of 768 cells have Held-out loss < 1" in said
    assert "from boxes of 2 to 4 cells of 32 × 24" in said
    assert "With λ_max ≥ 0" not in said
    assert "with λ_max ≥ 0 0% of" in said  # ln gain >= 0 is a loss of 1 or more


def test_what_was_not_trained_has_the_nearest_answer():
    """As a refined map is stored: every other gain, of which sweep.json alone knows the others."""
    table = made_up(skip=lambda i, j: i % 2 == 1 and i < 31)
    refined = RefinedGrid(axes={"init/gain": GAINS.tolist(), "training/lr": RATES.tolist()})
    table = replace(table, description=replace(table.description, refined=refined))
    found = analysis.find(table, *PLACE)
    whole = analysis.find(made_up(), *PLACE)
    np.testing.assert_array_equal(found.inside, whole.inside)
    assert found.trained.mean() < 0.6
    assert "of the cells were trained" in analysis.sentence(found)


def test_shuffled_outcomes_have_no_line_for_a_border():
    table = made_up()
    rng, finals = np.random.default_rng(0), table.frame["final"].to_numpy(bool)
    table.frame.loc[finals, "outcome"] = rng.permutation(table.frame.loc[finals, "outcome"].to_numpy())
    assert analysis.find(table, *PLACE).boxes.dimension > 1.4


def test_what_cannot_be_told_says_why():
    with pytest.raises(UnknownName, match="training/lr"):
        analysis.find(made_up(), "init/gain", "training/rl", "measures/loss")
    with pytest.raises(TooFew, match="values of init/gain"):
        analysis.find(made_up(skip=lambda i, j: i > 10), *PLACE)
    twice = made_up()
    twice = Table(pd.concat([twice.frame, twice.frame.assign(trial="again")]), description=twice.description)
    with pytest.raises(ValueError, match="2 trials have the same init/gain and training/lr"):
        analysis.find(twice, *PLACE)


def test_a_stored_finding_draws_the_same_figure_and_is_saved(tmp_path):
    found = analysis.find(made_up(), *PLACE, threshold=1.0)
    figure = analysis.draw(found)
    assert analysis.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    shown = [trace for trace in figure.data if trace.type == "heatmap" and trace.coloraxis == "coloraxis"]
    np.testing.assert_array_equal(np.isnan(np.array(shown[0].z, float)), found.lost)
    for name in ("border.html", "border.png", "border.svg"):
        analysis.save(found, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
