"""The layout of an experiment on MLflow's pages, key by key."""

import json
from pathlib import Path

from lyapsweep.tracking.experiment_view import TAG, ExperimentView, page_address

EXPECTED = Path(__file__).parent / "data" / "experiment_view.json"


def view(**changes):
    given = {
        "score": "measures/loss",
        "maximise": False,
        "varied": ("cell/kind", "seed"),
        "map": "closed loop",
    }
    return ExperimentView(**given | {"data_exponent": 2.0} | changes)


def charts(**changes):
    return {chart["displayName"]: chart for chart in json.loads(view(**changes).to_json())["compareRunCharts"]}


def test_the_view_is_what_mlflow_was_seen_to_open():
    assert json.loads(view().to_json()) == json.loads(EXPECTED.read_text())


def test_a_larger_objective_can_be_better():
    assert json.loads(view(maximise=True).to_json())["orderByAsc"] is False


def test_without_a_known_exponent_of_the_data_charts_choose_their_range():
    for exponent in (None, 0.0):
        found = charts(data_exponent=exponent)
        assert found["lambda_max during training"]["range"] == {}
        assert found["Lyapunov spectrum, closed loop, by index"]["range"] == {}


def test_charts_are_of_the_headline_map():
    assert "Lyapunov spectrum, driven, by index" in charts(map="driven")
    assert charts(map="driven")["lambda_max during training"]["metricKey"] == "lambda_max/driven"


def test_the_address_of_a_page():
    assert TAG == "mlflow.sharedViewState.lyapsweep"
    plain = "http://x/#/experiments/3/runs?workflowType=machine_learning"
    assert page_address("http://x/", "3", saved=False) == plain
    assert page_address("http://x", "3", saved=True) == f"{plain}&viewStateShareKey=lyapsweep"
