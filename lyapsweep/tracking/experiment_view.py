"""The experiment as it opens in MLflow: which columns, which order, which charts.

MLflow's pages keep such a view as JSON in a tag of the experiment and open it by its name in the address
(`?viewStateShareKey=...`); readers may change it for themselves. An MLflow that does not know a key leaves it out.
"""

import json
from collections.abc import Sequence
from typing import Any

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.headline import headline_map

NAME = "lyapsweep"
TAG = f"mlflow.sharedViewState.{NAME}"
TRIALS = "tags.trial_key LIKE '%'"  # every trial, not the summary
LEADING = 6  # exponents that the spectrum's chart shows at first
LINE, BAR, SCATTER, PARALLEL = "LINE", "BAR", "SCATTER", "PARALLEL"


def address(server: str, experiment_id: str, saved: bool) -> str:
    """The page of an experiment on a server, with this view where the experiment has it saved."""
    chosen = f"&viewStateShareKey={NAME}" if saved else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning{chosen}"


def state(description: SweepDescription, varied: Sequence[str], maps: Sequence[str], scale: float | None = None) -> str:
    """The view of a sweep, as the tag's value.

    `varied` are its settings, `maps` those that spectra belong to, `scale` is the data's lambda_max per unit time:
    untrained networks lie so far below that nothing else would be seen.
    """
    objective, chart = description.objective_column, Charts()
    apart = [path for path in varied if path != "seed"]  # the name of a run has its seed
    main = headline_map(maps)
    around = {"yMin": -3 * scale, "yMax": 3 * scale} if scale else {}
    above = {"xMin": 0.5, "xMax": LEADING + 0.5, "yMin": -20 * scale, "yMax": 3 * scale} if scale else {}
    chart.section("Which one won?")
    chart.add(BAR, objective, metricKey=objective)
    chart.add(PARALLEL, "settings and score", selectedParams=apart, selectedMetrics=[objective], showAllRuns=True)
    chart.add(SCATTER, "score against lambda_max", xaxis=metric(f"lambda_max/{main}"), yaxis=metric(objective))
    chart.section("Chaotic, and like the data?")
    index = "spectrum by index"
    chart.line(f"Lyapunov spectrum, {main}, by index", f"{index}/{main}", f"{index}/of the data", range=above)
    chart.line("lambda_max while training", f"lambda_max/{main}", "lambda_max/of the data", range=around)
    chart.add(BAR, "lambda_max over the data's", metricKey="lambda_max/ratio to the data")
    chart.section("How did it train?")
    chart.line("training loss", "training/loss", scaleType="log")
    chart.line("gradient norm", "training/gradient_norm", scaleType="log")
    chart.add(BAR, "seconds", metricKey="training/seconds")
    return json.dumps(
        {
            "searchFilter": TRIALS,
            "orderByKey": f"metrics.`{objective}`",
            "orderByAsc": description.direction != "maximise",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns(objective, apart),
            "compareRunCharts": chart.charts,
            "compareRunSections": chart.sections,
            "isAccordionReordered": True,
            "runsHiddenMode": "FIRST_10_RUNS",
            "hideEmptyCharts": True,
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        }
    )


def columns(objective: str, varied: Sequence[str]) -> list[str]:
    """What a reader asks of a trial, in MLflow's words: `tags.`cell``, `metrics.`measures/loss``."""
    metrics = [objective, "lambda_max/ratio to the data"]
    told = [("metrics", metrics), ("params", varied), ("tags", ("best", "chaotic", "outcome"))]
    return [f"{kind}.`{key}`" for kind, keys in told for key in keys]


def metric(key: str) -> dict[str, str]:
    return {"key": key, "type": "METRIC"}


class Charts:
    """Sections of charts, in the words of MLflow's pages."""

    def __init__(self) -> None:
        self.charts: list[dict[str, Any]] = []
        self.sections: list[dict[str, Any]] = []

    def section(self, name: str) -> None:
        uuid = f"{NAME}-{len(self.sections)}"
        told = {
            "uuid": uuid,
            "name": name,
            "display": True,
            "isReordered": True,
            "deleted": False,
            "isGenerated": False,
        }
        self.sections.append(told)

    def add(self, kind: str, name: str, **settings: Any) -> None:
        self.charts.append(
            {
                "type": kind,
                "uuid": f"{NAME}-chart-{len(self.charts)}",
                "metricSectionId": self.sections[-1]["uuid"],
                "displayName": name,
                "deleted": False,
                "isGenerated": False,
                "runsCountToCompare": 100 if kind == SCATTER else 10,
                **settings,
            }
        )

    def line(self, name: str, *metrics: str, **settings: Any) -> None:
        plain = {"lineSmoothness": 0, "xAxisScaleType": "linear", "scaleType": "linear", "xAxisKey": "step"}
        plain |= {"selectedXAxisMetricKey": "", "yAxisKey": "metric", "yAxisExpressions": [], "ignoreOutliers": False}
        plain |= {"range": {}, "useGlobalXaxisKey": False, "useGlobalLineSmoothing": True}
        self.add(LINE, name, metricKey=metrics[0], selectedMetricKeys=list(metrics), **(plain | settings))
