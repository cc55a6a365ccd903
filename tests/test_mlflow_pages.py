"""What a reader of MLflow's pages finds: who won, was it chaotic, does it match the data, how did it train."""

import json
import math
import subprocess
import sys
import urllib.request
from dataclasses import replace

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep import tracking
from lyapsweep.config import Config
from lyapsweep.datasets import build as data_of
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.evaluation.series import predict, prepare
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import DataDescription, Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.tracking import experiment_view, mlflow_names, server, summary
from lyapsweep.trial import restore_network, run_trial

DESCRIPTION = SweepDescription(
    name="which", question="Which cell?\n\nThe larger one.", objective="loss", direction="minimise"
)
TINY = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
    "cell": {"kind": "vanilla", "units": 4},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 4, "report_every": 2},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}


def config(kind="vanilla", seed=0, system="lorenz63"):
    changes = {"cell": {"kind": kind, "units": 4}, "dataset": {**TINY["dataset"], "system": system}, "seed": seed}
    return Config.of(TINY | changes)


def record(of, score, outcome=Outcome.FINISHED, exponent=0.01, step=4, **traces):
    spectrum = Spectrum(np.array([exponent, -0.5]), np.full(2, 0.002), 20, 2, "closed loop", 2, dt=0.02)
    data = {"lambda_max": 0.018112, "dt": 0.02, "digest": "0123456789abcdef", "source": "lorenz63"}
    about = Provenance(seed=0, seconds=7.5, data=DataDescription(**data))
    return Record(
        of,
        step,
        outcome,
        {"closed loop": spectrum},
        {"loss": score},
        {"loss": 0.1},
        traces,
        provenance=about,
    )


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def ledger(uri, tmp_path, request):
    return tracking.prepare(request.node.name, uri, tmp_path / "artifacts")


def log(ledger, folder, records):
    for r in records:
        ledger.log_record(r, r.save(folder / "records"))
    return Table.of(records, DESCRIPTION)


# One trial


def test_the_network_and_the_data_can_be_compared_at_every_report():
    told = mlflow_names.scalars(record(config(), 0.2, Outcome.RUNNING, exponent=0.009056))
    assert told["lambda_max/of the data"] == pytest.approx(0.9056)  # per unit time, as the literature has it
    assert told["lambda_max/closed loop"] == pytest.approx(0.4528)
    assert told["lambda_max/ratio to the data"] == pytest.approx(0.5)
    assert told["training/seconds"] == 7.5


def test_where_the_data_have_no_known_exponent_nothing_is_compared():
    unknown = record(config(), 0.2)
    data = replace(unknown.provenance.data, lambda_max=None)
    unknown = replace(unknown, provenance=replace(unknown.provenance, data=data))
    assert [key for key in mlflow_names.scalars(unknown) if "data" in key] == []


def test_curves_of_training_lie_at_their_updates_and_end_where_training_did():
    updates = np.unique(np.linspace(0, 8999, 500).astype(int))
    traces = {"updates": updates, "loss": updates / 2, "gradient_norm": 2.0 * updates}
    curve = dict(mlflow_names.curves(record(config(), 0.1, step=9000, **traces))["training/loss"])
    assert len(curve) == mlflow_names.MAX_CURVE_POINTS
    assert {0, 8999} <= set(curve)
    assert all(value == update / 2 for update, value in curve.items())
    lost = record(config(), 0.1, Outcome.DIVERGED, step=3000, **traces)
    assert max(step for step, _ in mlflow_names.curves(lost)["training/gradient_norm"]) <= 3000


def test_the_systems_published_spectrum_stands_beside_the_networks():
    curves = mlflow_names.curves(record(config(), 0.1))
    assert curves["spectrum by index/of the data"][0] == (1, pytest.approx(0.9056, abs=1e-3))
    assert curves["spectrum by index/closed loop"] == [(1, 0.5), (2, -25.0)]
    noisy = config().changed({"dataset/parameters": {"rho": 35.0}})  # which nobody published
    assert "spectrum by index/of the data" not in mlflow_names.curves(record(noisy, 0.1))


@pytest.mark.parametrize(("exponent", "verdict"), [(0.01, "yes"), (0.003, "no"), (-0.1, "no"), (math.nan, "unbounded")])
def test_chaotic_is_two_standard_errors_above_zero(exponent, verdict):
    assert mlflow_names.final_tags(record(config(), 0.1, exponent=exponent))["chaotic"] == verdict


def test_a_run_says_in_words_what_it_was(ledger, tmp_path):
    log(ledger, tmp_path, [record(config(), 0.1)])
    (run,) = ledger.search()
    assert (
        "Chaotic: lambda_max = 0.5 ± 0.1 nats per unit time (closed loop); the data's is 0.9056."
        in (run.data.tags["mlflow.note.content"])
    )
    assert run.info.end_time - run.info.start_time == 7500  # as the record says, whenever it is logged


def test_the_data_of_a_run_are_known_by_their_digest(ledger, tmp_path):
    records = [record(config(), 0.2, Outcome.RUNNING, step=2), record(config(), 0.1)]
    for _ in range(2):
        log(ledger, tmp_path, records)
    (run,) = ledger.search()
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("lorenz63", "0123456789abcdef")
    assert json.loads(used.dataset.profile)["lambda_max"] == 0.018112


def test_data_have_one_digest_where_they_hold_the_same_numbers():
    one = data_of(**config().dataset)
    assert data_of(**config(seed=1).dataset).digest == one.digest
    moved = replace(one, train=one.train + 1e-3)
    assert len({one.digest, moved.digest, replace(one, test=one.test[:-1]).digest}) == 3


def test_the_measure_that_a_sweep_is_judged_by_comes_first():
    several = replace(record(config(), 0.1), measures={"divergence": 1.0, "loss": 0.1})
    assert next(mlflow_names.record_metrics(several, 0, "loss")).key == "measures/loss"


# A sweep


def sweep():
    lstm, other = config("lstm"), config("vanilla", 1)
    return [
        record(config(), 0.3),
        record(other, 0.2),
        record(lstm, 0.5, exponent=-0.1),
        record(config("lstm", 1), 0.01, Outcome.DIVERGED),  # low and worthless
        record(config("lstm", 2), math.nan),
    ]


def scopes(table):
    return {best.trial: best.scope for best in summary.best_trials(table)}


def test_winners_are_the_best_that_finished_of_each_cell():
    table = Table.of(sweep(), DESCRIPTION)
    assert scopes(table) == {config("vanilla", 1).id: "of the sweep", config("lstm").id: "of its cell"}
    upwards = Table.of(sweep(), replace(DESCRIPTION, direction="maximise"))
    assert scopes(upwards) == {config().id: "of the sweep"} | {
        config("lstm").id: "of its cell"
    }  # two of three were lost
    assert scopes(Table.of(sweep())) == {}  # nobody said what it was judged by


def test_data_sets_are_not_compared_with_each_other():
    records = [record(config(), 0.3), record(config(system="roessler"), 0.001)]
    assert set(scopes(Table.of(records, DESCRIPTION)).values()) == {"of its cell"}


def test_the_summary_tells_the_answer_first(ledger, tmp_path):
    ledger.log_summary(log(ledger, tmp_path, sweep()), [], {}, models=False)
    (run,) = ledger.search("tags.summary = 'yes'")
    question, answer, *rest = run.data.tags["mlflow.note.content"].split("\n\n")
    assert question == "Which cell?"
    assert answer.startswith("**The lowest Held-out loss is that of vanilla: test 0.25 (0.225 to 0.275)")
    assert "| lstm seed=0 | 0.5 |  | 0.1 | no | -5 | 0.9056 | 7.5 |" in "\n".join(rest)
    assert rest[-1] == "The larger one."
    assert run.data.tags["space/cell/kind"] == "lstm, vanilla"


def test_only_the_best_are_crowned_and_a_new_best_takes_the_crown(ledger, tmp_path):
    def crowned():
        return {r.data.tags["trial_key"]: r.data.tags["best"] for r in ledger.search("tags.best LIKE '%'")}

    ledger.log_summary(log(ledger, tmp_path, sweep()), [], {}, models=False)
    assert crowned() == {config("vanilla", 1).id: "of the sweep", config("lstm").id: "of its cell"}
    better = record(config("vanilla", 2), 0.05)
    ledger.log_summary(log(ledger, tmp_path, [*sweep(), better]), [], {}, models=False)
    assert crowned() == {config("vanilla", 2).id: "of the sweep", config("lstm").id: "of its cell"}


def test_the_experiment_opens_on_its_trials_the_best_first(ledger, uri, tmp_path):
    ledger.log_summary(log(ledger, tmp_path, sweep()), [], {}, models=False)
    tags = ledger.client.get_experiment(ledger.experiment_id).tags
    page = json.loads(tags[experiment_view.TAG])
    assert (page["orderByKey"], page["orderByAsc"]) == ("metrics.`measures/loss`", True)
    shown = list(ledger.search(page["searchFilter"]))
    assert len(shown) == len(sweep())  # every trial, and not the summary
    logged = {key for run in shown for key in run.data.metrics}
    drawn = [chart["metricKey"] for chart in page["compareRunCharts"] if "metricKey" in chart]
    drawn += [key for chart in page["compareRunCharts"] for key in chart.get("selectedMetricKeys", ())]
    assert [key for key in drawn if key not in logged and not key.startswith("training/")] == []
    sections = {section["uuid"] for section in page["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in page["compareRunCharts"]} == sections
    assert f"/#/experiments/{ledger.experiment_id}/runs?" in server.page(ledger.name, uri, "http://x")
    assert "viewStateShareKey=lyapsweep" in server.page(ledger.name, uri, "http://x/")


# Models


@pytest.fixture
def trained(ledger, tmp_path):
    """A tiny network, trained, logged and kept as a model."""
    torch.set_default_dtype(torch.float32)
    records = list(run_trial(config()))
    table = log(ledger, tmp_path, records)
    for _ in range(2):
        ledger.log_summary(table, [], {})
    return records[-1]


def test_the_best_network_is_one_model_that_forecasts_in_the_units_of_the_data(ledger, uri, trained):
    (model,) = ledger.client.search_logged_models([ledger.experiment_id])
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    network, problem = restore_network(trained.config, trained.weights)
    series = problem.series
    observed = pd.DataFrame(series.test[:3] * series.std + series.mean, columns=list(series.names))
    forecast = loaded.predict(observed, params={"steps": 5})
    assert list(forecast.columns) == ["x", "y", "z"]
    network, test, _ = prepare(network, series)
    with torch.no_grad():
        known, _ = predict(network, test[2:9], 5)  # which starts from the same row
    np.testing.assert_allclose(forecast, known[0, 0].numpy() * series.std + series.mean, rtol=1e-6)
    (run,) = ledger.search("tags.best = 'of the sweep'")
    assert model.source_run_id == run.info.run_id
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


def test_a_model_is_a_record_and_nothing_is_pickled(ledger, trained, tmp_path):
    (model,) = ledger.client.search_logged_models([ledger.experiment_id])
    folder = mlflow.artifacts.download_artifacts(model.artifact_location, dst_path=str(tmp_path / "model"))
    files = [p.name for p in (tmp_path / "model").rglob("*") if p.is_file()]
    assert [name for name in files if name.endswith((".pkl", ".py", ".pickle"))] == []
    assert trained.filename in files
    assert "lyapsweep==" in next((tmp_path / "model").rglob("requirements.txt")).read_text(), folder


def test_models_can_be_left_out(ledger, tmp_path):
    ledger.log_summary(log(ledger, tmp_path, list(run_trial(config()))), [], {}, models=False)
    assert ledger.client.search_logged_models([ledger.experiment_id]) == []


# Pages


def test_a_name_that_no_experiment_has_is_told_with_the_nearest(ledger, uri):
    with pytest.raises(UnknownName, match=f"Did you mean '{ledger.name}'"):
        server.page(ledger.name + "x", uri, "http://x")


def test_a_port_that_is_taken_is_told():
    import socket

    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(tracking.TrackingError, match=f"Port {port} cannot be used"):
            server.usable_port(port)


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(tracking.TrackingError, match="did not start"), server.serve("gopher://nowhere"):
        pass


def test_open_shows_the_experiment_until_it_is_interrupted(ledger, uri, tmp_path):
    """The command as it is typed: an address on which MLflow answers, and no process left behind."""
    ledger.log_summary(log(ledger, tmp_path, sweep()), [], {}, models=False)
    command = [sys.executable, "-m", "lyapsweep", "open", ledger.name, "--tracking-uri", uri, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            root = address.partition("/#/")[0]
            with urllib.request.urlopen(f"{root}/health", timeout=30) as answer:
                assert answer.read() == b"OK"
            asked = f"{root}/api/2.0/mlflow/experiments/get?experiment_id={ledger.experiment_id}"
            with urllib.request.urlopen(asked, timeout=30) as answer:
                assert json.load(answer)["experiment"]["name"] == ledger.name
        finally:
            process.terminate()
        assert process.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{root}/health", timeout=5)
