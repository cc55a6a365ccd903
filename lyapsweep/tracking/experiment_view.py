"""The layout of an experiment on MLflow's pages: columns, order, charts.

MLflow keeps a view as JSON in a tag of the experiment and opens it by its name in the address
(`?viewStateShareKey=...`); readers may change it for themselves. MLflow ignores keys that it does not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME = "lyapsweep"
TAG = f"mlflow.sharedViewState.{NAME}"
TRIALS_FILTER = "tags.trial_key LIKE '%'"  # every trial, not the summary run
SHOWN_EXPONENTS = 6  # of the spectrum chart, before a reader zooms
BAR_RUNS, SCATTER_RUNS = 10, 100  # runs that a chart compares


@dataclass(frozen=True)
class Chart:
    """One chart in MLflow's terms; `settings` are the keys that its type needs."""

    type: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self, number: int, section: str) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "uuid": f"{NAME}-chart-{number}",
            "metricSectionId": section,
            "displayName": self.name,
            "deleted": False,
            "isGenerated": False,
            "runsCountToCompare": SCATTER_RUNS if self.type == "SCATTER" else BAR_RUNS,
            **self.settings,
        }


@dataclass(frozen=True)
class Section:
    """A titled group of charts."""

    name: str
    charts: tuple[Chart, ...]

    def to_dict(self, number: int) -> Mapping[str, Any]:
        flags = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
        return {"uuid": section_id(number), "name": self.name, **flags}


@dataclass(frozen=True)
class ExperimentView:
    """The saved view of a sweep.

    `score` is the metric by which trials are ranked, `varied` are the paths that the sweep varies, `map` is that of
    the headline spectrum. `data_exponent` is the data's lambda_max per unit time: untrained networks lie far below it
    and would otherwise set the range of the charts.
    """

    score: str
    maximise: bool
    varied: tuple[str, ...]
    map: str
    data_exponent: float | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """The varied paths without the seed, which the names of runs hold."""
        return tuple(path for path in self.varied if path != "seed")

    @property
    def test_score(self) -> str:
        """The metric of the same score on the test part."""
        return self.score.replace("measures/", "test/", 1)

    def sections(self) -> tuple[Section, ...]:
        exponent, scale = f"lambda_max/{self.map}", self.data_exponent
        history = {"yMin": -3 * scale, "yMax": 3 * scale} if scale else {}
        spectrum = {"xMin": 0.5, "xMax": SHOWN_EXPONENTS + 0.5, "yMin": -20 * scale, "yMax": 3 * scale} if scale else {}
        parallel = {"selectedParams": self.settings, "selectedMetrics": [self.score], "showAllRuns": True}
        best = (
            bar(self.score, self.score),
            Chart("PARALLEL", "settings and score", parallel),
            Chart("SCATTER", "score against lambda_max", {"xaxis": axis(exponent), "yaxis": axis(self.score)}),
        )
        by_index = (f"spectrum by index/{self.map}", "spectrum by index/of the data")
        exponents = (
            line(f"Lyapunov spectrum, {self.map}, by index", *by_index, range=spectrum),
            line("lambda_max during training", exponent, "lambda_max/of the data", range=history),
            bar("lambda_max over the data's", "lambda_max/ratio to the data"),
        )
        training = (
            line("training loss", "training/loss", scaleType="log"),
            line("gradient norm", "training/gradient_norm", scaleType="log"),
            bar("seconds", "training/seconds"),
        )
        return Section("Best trials", best), Section("Lyapunov exponents", exponents), Section("Training", training)

    def to_json(self) -> str:
        """The value of the tag `TAG`."""
        sections = self.sections()
        charts = [(chart, section_id(i)) for i, section in enumerate(sections) for chart in section.charts]
        columns = [f"metrics.`{key}`" for key in (self.score, self.test_score, "lambda_max/ratio to the data")]
        columns += [f"params.`{path}`" for path in self.settings]
        columns += [f"tags.`{key}`" for key in ("best", "chaotic", "outcome")]
        return json.dumps(
            {
                "searchFilter": TRIALS_FILTER,
                "orderByKey": f"metrics.`{self.score}`",
                "orderByAsc": not self.maximise,
                "startTime": "ALL",
                "lifecycleFilter": "Active",
                "datasetsFilter": [],
                "modelVersionFilter": "All Runs",
                "selectedColumns": columns,
                "compareRunCharts": [chart.to_dict(i, section) for i, (chart, section) in enumerate(charts)],
                "compareRunSections": [section.to_dict(i) for i, section in enumerate(sections)],
                "isAccordionReordered": True,
                "runsHiddenMode": "FIRST_10_RUNS",
                "hideEmptyCharts": True,
                "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
            }
        )


def page_address(server: str, experiment_id: str, saved: bool) -> str:
    """The address of an experiment's page, with this view if the experiment has it saved."""
    view = f"&viewStateShareKey={NAME}" if saved else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning{view}"


def section_id(number: int) -> str:
    return f"{NAME}-{number}"


def axis(key: str) -> Mapping[str, str]:
    return {"key": key, "type": "METRIC"}


def bar(name: str, metric: str) -> Chart:
    return Chart("BAR", name, {"metricKey": metric})


def line(name: str, *metrics: str, **settings: Any) -> Chart:
    defaults = {
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "range": {},
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": True,
    }
    return Chart("LINE", name, {"metricKey": metrics[0], "selectedMetricKeys": list(metrics), **defaults, **settings})
