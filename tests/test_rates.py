"""Exponents have one unit on a page, and dimensions respect the errors of the exponents."""

import re
from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest

from lyapsweep.analysis.settings import importance, setting_curve
from lyapsweep.analysis.shared.rates import PER_STEP, PER_TIME
from lyapsweep.analysis.shared.spectrum_features import summaries
from lyapsweep.analysis.spectra import correlation, spectrum_beside_data, spectrum_history
from lyapsweep.atlas import appendix, explorer, report
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.table import Table

MAX = "spectra/closed loop/maximum"


@pytest.fixture(scope="module")
def table():
    return made_up.table()


def test_every_figure_and_table_is_per_unit_time(table):
    view = AtlasView(table)
    per_step = table.finals.frame[MAX].to_numpy(float)
    curve = setting_curve.find(table, "forcing/interval", MAX)
    assert curve.unit == PER_TIME
    known = per_step[(table.finals.frame["outcome"] == "finished").to_numpy()]
    np.testing.assert_allclose(np.sort(curve.seed_value), np.sort(known[np.isfinite(known)] / made_up.DT))
    assert "0.906" in str(curve.horizontals)
    twice = table.frame["trial"][table.frame["outcome"] == "running"].iloc[0]  # the trial with two records
    history = spectrum_history.find(table, twice, "closed loop")
    assert history.unit == PER_TIME
    row = table.finals.frame["trial"].tolist().index(twice)
    assert history.exponents[-1, 0] == pytest.approx(per_step[row] / made_up.DT)
    data = explorer.map_data(view)
    assert data["unit"] == PER_TIME
    assert data["data"]["lambda_max"][0] == pytest.approx(0.906)
    columns = {c["name"]: c for c in data["columns"]}
    assert columns[MAX]["values"][view.best] == pytest.approx(per_step[view.best] / made_up.DT, rel=1e-5)
    assert PER_TIME in columns[MAX]["label"]
    assert data["spectra"]["after"][view.best][1] == pytest.approx(per_step[view.best] / made_up.DT, rel=1e-2)
    trials = str(appendix.trials(view))
    assert f"({PER_TIME})" in trials
    assert f'data-v="{float(per_step[view.best] / made_up.DT)!r}"' in trials
    page = re.sub(r"<script.*?</script>", "", str(report.render_page(view)), flags=re.DOTALL)
    assert "per step" not in page


def test_data_without_time_are_per_step(table):
    frame = table.frame.drop(columns="data/dt")
    assert setting_curve.find(replace(table, frame=frame), "forcing/interval", MAX).unit == PER_STEP
    assert explorer.map_data(AtlasView(replace(table, frame=frame)))["unit"] == PER_STEP


def test_the_spectrum_of_a_task_has_no_data_beside_it_and_is_per_step():
    empty = {"data/dt": None, "data/lambda_max": None, "data/lambda_stderr": None}
    frame = pd.DataFrame([{"trial": "a", "step": 9, "outcome": "finished", "final": True} | empty], dtype=object)
    spectra = {"driven": np.array([[-0.1, -0.5]])}
    found = spectrum_beside_data.find(Table(frame, spectra, {"driven": np.full((1, 2), 0.01)}), "a", "driven")
    assert (found.unit, found.truth.size) == (PER_STEP, 0)
    assert spectrum_beside_data.draw(found).data


def test_the_dimension_of_a_limit_cycle_is_not_that_of_a_fixed_point():
    """lambda_1 of a limit cycle is zero within its error, whatever the sign of the estimate."""
    spectra = np.array([[-1e-3, -0.5], [1e-3, -0.5], [-0.3, -0.5]])
    errors = np.full(spectra.shape, 2e-3)
    assert summaries(spectra)["kaplan_yorke"].tolist()[0] == 0
    found = summaries(spectra, stderr=errors)["kaplan_yorke"]
    assert found.tolist() == [1.0, 1.0, 0.0]


def test_correlations_take_the_middle_of_the_dimensions_that_errors_allow():
    rng = np.random.default_rng(0)
    name, score = "spectra/free/kaplan_yorke", np.sort(rng.normal(size=20))
    frame = pd.DataFrame({"trial": np.arange(20), "step": 9, "outcome": "finished", "final": True})
    noisy = np.where(np.arange(20) % 2, 0.0, 1.0)  # the estimate alone: the sign of noise
    frame = frame.assign(**{"measures/loss": score, name: noisy, f"{name}/low": score, f"{name}/high": score + 1})
    found = correlation.find(Table(frame))
    assert found.statistics == (name,)
    assert found.rho[0] == pytest.approx(1.0)


def test_importance_takes_errors_into_account(table):
    rows = importance.spectrum_rows(table, "measures/state_space", "closed loop")
    noisy = rows.spectra.copy()
    noisy[:, 0] = np.where(np.arange(len(noisy)) % 2, 1e-9, -1e-9)
    columns = importance.statistic_columns(rows.__class__(**{**vars(rows), "spectra": noisy}), ["kaplan_yorke"])
    exact = importance.statistic_columns(
        rows.__class__(**{**vars(rows), "spectra": noisy, "stderr": None}), ["kaplan_yorke"]
    )
    assert np.corrcoef(exact["kaplan_yorke"], noisy[:, 0])[0, 1] > 0.8
    assert columns.empty or abs(np.corrcoef(columns["kaplan_yorke"], noisy[:, 0])[0, 1]) < 0.5
