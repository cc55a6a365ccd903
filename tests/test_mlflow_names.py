"""The metrics, tags and texts of one record."""

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.tracking import images, mlflow_names, run_names

DATA = {"lambda_max": 0.02, "dt": 0.5, "digest": "0" * 40, "names": ["x"], "source": None}


def config(**changes):
    data = {"kind": "simulated", "system": "henon", "length": 100}
    return Config.of({"dataset": data, "cell": {"kind": "lstm", "units": 2}, "seed": 3} | changes)


def spectrum(first=0.03, stderr=0.001, map="closed loop", dt=0.5):
    return Spectrum(np.array([first, -0.5, -np.inf]), np.array([stderr, 0.1, 0.0]), 20, 2, map, 3, dt=dt)


def record(step=4, outcome=Outcome.FINISHED, spectra=(), of=None, traces=None, measures=None, **provenance):
    spectra = {s.map: s for s in spectra or (spectrum(),)}
    measures = {"loss": 0.123456789} if measures is None else measures
    facts = {"seconds": 7.5, "data": DATA} | provenance
    return Record(
        of or config(),
        step,
        outcome,
        spectra,
        measures,
        {"loss": 0.1},
        traces or {},
        {},
        Provenance.from_json(facts),
        {"loss": 2.0},
    )


def logged(*args, **options):
    return [(m.key, m.value, m.timestamp, m.step) for m in mlflow_names.record_metrics(*args, **options)]


def test_limits_are_mlflows():
    assert run_names.MAX_PARAM_LENGTH == 6000
    assert mlflow_names.MAX_DIGEST_LENGTH == 36
    assert run_names.MAX_NAME_LENGTH == 200
    assert (mlflow_names.MAX_CURVE_POINTS, mlflow_names.DIGITS) == (60, 5)


def test_every_metric_of_a_running_record_is_at_its_step():
    found = logged(record(2, Outcome.RUNNING), 1000)
    assert found == [
        ("measures/loss", 0.12346, 1002, 2),
        ("spectra/closed loop/maximum", 0.03, 1002, 2),
        ("spectra/closed loop/kaplan_yorke", 1.06, 1002, 2),
        ("spectra/closed loop/entropy_rate", 0.03, 1002, 2),
        ("spectra/closed loop/positive", 1.0, 1002, 2),
        ("spectra/closed loop/attractors", 1.0, 1002, 2),
        ("lambda_max/closed loop", 0.06, 1002, 2),
        ("lambda_max/of the data", 0.04, 1002, 2),
        ("lambda_max/ratio to the data", 1.5, 1002, 2),
        ("training/seconds", 7.5, 1002, 2),
    ]  # sum and mean are -inf here, and left to the file


def test_a_final_record_adds_floors_saturations_and_curves():
    traces = {"updates": np.array([0, 2, 6]), "loss": np.array([3.0, np.nan, 1.0]), "gradient_norm": np.ones(3)}
    found = {(key, step): (value, time) for key, value, time, step in logged(record(traces=traces), 1000)}
    assert found["floors/loss", 4] == (0.1, 1004)
    assert found["saturations/loss", 4] == (2.0, 1004)
    assert found["training/loss", 0] == (3.0, 1000)
    assert ("training/loss", 2) not in found  # NaN
    assert ("training/loss", 6) not in found  # beyond the record
    assert found["training/gradient_norm", 2] == (1.0, 1002)
    assert found["spectrum by index/closed loop", 1] == (0.06, 1001)
    assert found["spectrum by index/closed loop", 2] == (-1.0, 1002)
    assert ("spectrum by index/closed loop", 3) not in found
    known = [value for (key, _), (value, _) in found.items() if key == "spectrum by index/of the data"]
    assert known == pytest.approx([0.4192, -1.6232], abs=1e-3)


def test_an_interrupted_record_has_no_curves_yet():
    stopped = record(2, Outcome.STOPPED, interrupted=True)
    assert stopped.interrupted
    keys = [key for key, *_ in logged(stopped, 0)]
    assert "floors/loss" in keys
    assert not [key for key in keys if key.startswith(("training/loss", "spectrum by index"))]
    assert not record(2, Outcome.STOPPED).interrupted
    assert not record(2, Outcome.FAILED, interrupted=True).interrupted


def test_nan_is_logged_and_infinity_is_not():
    found = {key: value for key, value, *_ in logged(record(measures={"loss": math.nan, "other": math.inf}), 0)}
    assert math.isnan(found["measures/loss"])
    assert "measures/other" not in found


def test_the_named_measure_comes_first():
    several = record(measures={"divergence": 1.0, "loss": 0.1})
    assert logged(several, 0, first="loss")[0][0] == "measures/loss"
    assert logged(several, 0)[0][0] == "measures/divergence"


def test_data_are_compared_only_where_they_are_known():
    for data in (None, {}, {"lambda_max": None}):
        assert mlflow_names.data_comparison(record(data=data)) == {}
    driven = record(spectra=[spectrum(map="driven")])
    assert mlflow_names.data_comparison(driven) == {}
    assert mlflow_names.data_comparison(record(data={"lambda_max": 0.0})) == {"lambda_max/of the data": 0.0}
    assert mlflow_names.data_comparison(record(data={"lambda_max": 0.01, "dt": None})) == {
        "lambda_max/of the data": 0.01,
        "lambda_max/ratio to the data": 3.0,
    }
    assert "training/seconds" not in mlflow_names.scalars(record(seconds=None))


def test_curves_have_at_most_sixty_points_with_both_ends():
    updates = np.arange(500)
    curve = mlflow_names.training_curve("loss", record(400, traces={"updates": updates, "loss": updates * 2.0}))
    assert (curve[0], curve[-1], len(curve)) == ((0, 0.0), (400, 800.0), 60)
    assert mlflow_names.training_curve("loss", record(traces={"loss": updates})) == []
    few = mlflow_names.training_curve("loss", record(2, traces={"updates": updates, "loss": updates * 2.0}))
    assert few == [(0, 0.0), (1, 2.0), (2, 4.0)]
    assert set(mlflow_names.curves(record())) == {"spectrum by index/closed loop", "spectrum by index/of the data"}
    assert set(mlflow_names.curves(record(spectra=[spectrum(map="driven")]))) == {"spectrum by index/driven"}


def test_published_exponents_belong_to_a_system_with_these_parameters():
    assert len(mlflow_names.published_exponents(config())) == 2
    moved = {"kind": "simulated", "system": "henon", "length": 100, "parameters": {"a": 1.3}}
    assert mlflow_names.published_exponents(config(dataset=moved)) == ()
    task = Config.of({"dataset": {"kind": "adding"}, "cell": {"kind": "gru", "units": 2}})
    assert mlflow_names.published_exponents(task) == ()


def test_tags_known_before_training():
    assert mlflow_names.trial_tags(config(), "key") == {
        "trial_key": "key", "cell": "lstm", "dataset": "simulated", "forcing": "none", "system": "henon",
    }  # fmt: skip
    task = Config.of({"dataset": {"kind": "adding"}, "cell": {"kind": "gru", "units": 2}})
    assert "system" not in mlflow_names.trial_tags(task, "key")


@pytest.mark.parametrize(
    ("first", "stderr", "verdict"),
    [(0.03, 0.001, "yes"), (0.02, 0.01, "no"), (0.021, 0.01, "yes"), (-0.1, 0.0, "no"), (0.03, math.nan, "unknown")],
)
def test_chaos_is_an_interval_above_zero(first, stderr, verdict):
    assert mlflow_names.chaos_verdict(spectrum(first, stderr)) == verdict


def test_chaos_is_unknown_without_exponents():
    assert mlflow_names.chaos_verdict(None) == "unknown"
    assert mlflow_names.chaos_verdict(spectrum(math.nan)) == "unbounded"


def test_tags_of_the_end():
    tags = mlflow_names.final_tags(record())
    assert (tags["outcome"], tags["chaotic"], "error" in tags) == ("finished", "yes", False)
    assert tags["mlflow.note.content"] == mlflow_names.description(record())
    failed = mlflow_names.final_tags(record(outcome=Outcome.FAILED, error="x" * 7000))
    assert len(failed["error"]) == 6000


def test_the_description_of_a_run():
    steps = config().training.steps
    assert mlflow_names.description(record()) == (
        f"**Finished.** {Outcome.FINISHED.sentence} Chaotic: lambda_max = 0.06 ± 0.002 nats per unit time "
        f"(closed loop); the data's is 0.04. 4 of {steps} updates in 8 s."
    )
    plain = record(outcome=Outcome.DIVERGED, spectra=[spectrum(-0.1, dt=None)], seconds=None, data=None)
    assert mlflow_names.description(plain) == (
        f"**Diverged.** {Outcome.DIVERGED.sentence} Not chaotic: lambda_max = -0.1 ± 0.001 nats per step (closed loop)."
    )
    lost = mlflow_names.description(record(spectra=[spectrum(math.nan)], seconds=0))
    assert "Unbounded: the orbit left the finite numbers (closed loop)" in lost
    assert "updates" not in lost
    bare = Record(config(), 0, Outcome.FAILED)
    assert mlflow_names.description(bare) == f"**Failed.** {Outcome.FAILED.sentence}"
    assert mlflow_names.training_seconds(bare) == 0.0


def test_the_data_of_a_run():
    used = mlflow_names.dataset_input(record())
    assert (used.dataset.name, used.dataset.digest, used.dataset.source_type) == ("henon", "0" * 36, "code")
    assert json.loads(used.dataset.profile) == {"lambda_max": 0.02, "dt": 0.5, "names": ["x"]}
    assert json.loads(json.loads(used.dataset.source)["tags"]["dataset"])["system"] == "henon"
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    for data in (None, {}, {"digest": ""}):
        assert mlflow_names.dataset_input(record(data=data)) is None


@pytest.mark.parametrize(("path", "name"), [("a/b.csv", "b.csv"), (["c.csv", "d.csv"], "c.csv")])
def test_recorded_data_are_named_after_their_file(path, name):
    of = config(dataset={"kind": "recorded", "path": path})
    used = mlflow_names.dataset_input(record(of=of)).dataset
    first = path if isinstance(path, str) else path[0]
    assert (used.name, used.source_type, json.loads(used.source)) == (name, "local", {"uri": first})


def test_a_task_is_named_after_its_kind():
    task = Config.of({"dataset": {"kind": "adding"}, "cell": {"kind": "gru", "units": 2}})
    assert mlflow_names.dataset_input(record(of=task)).dataset.name == "adding"


def test_names_of_runs():
    assert run_names.run_name(config(), []) == "lstm seed=3"
    assert run_names.run_name(config(), ["seed", "cell/units"]) == "seed=3 units=2"
    assert run_names.run_name(config(), ["dataset/length", "windows/length"]).startswith("dataset/length=100 windows")
    assert run_names.run_name(config(), ["cell/kind", "dataset/kind"]) == "lstm simulated"
    assert run_names.run_name(config(), ["cell/missing"]) == ""
    long = config(dataset={"kind": "recorded", "path": "x" * 300})
    assert len(run_names.run_name(long, ["dataset/path"])) == 200


def test_names_of_runs_fit_the_column_of_mlflows_table():
    of = config(cell={"kind": "shallow_plrnn"}, forcing={"kind": "sparse", "interval": 16})
    name = run_names.short_name(of, ["cell/kind", "forcing/interval", "seed"])
    assert name == "shallow_plrnn int=16 s3"
    assert len(name) <= run_names.COLUMN
    assert run_names.short_name(config(), ["cell/kind", "seed"]) == "lstm seed=3"


def test_the_swept_settings_come_first_where_runs_are_compared():
    of = config(forcing={"kind": "sparse", "interval": 16})
    params = dict(run_names.swept_params(of, ["forcing/interval", "training/lr", "seed", "cell/kind", "cell/units"]))
    assert params == {"1 forcing/interval": 16, "2 training/lr": 0.001, "3 cell/kind": "lstm"}
    assert sorted([*params, *of.flat])[:3] == list(params)


def orbits(rows=400):
    time = np.arange(rows) * 0.1
    truth = np.stack([np.sin(time), np.cos(time), np.sin(3 * time)], axis=1).astype(np.float32)
    return {"truth": truth, "generated": np.roll(truth, 40, axis=0), "runs": np.array([0, rows])}


def test_images_of_a_finished_run():
    found = images.images(record(traces=orbits()))
    assert set(found) == {"orbit.svg", "power_spectrum.svg", "spectrum.svg"}
    for document in found.values():
        root = ElementTree.fromstring(document)
        assert root.tag.endswith("svg")
        assert "network" in document
    assert sum(map(len, found.values())) < 40_000
    assert "cycles per unit time" in found["power_spectrum.svg"]
    assert "nats per unit time" in found["spectrum.svg"]
    assert found["spectrum.svg"].count("<circle") == 3  # two finite exponents and the data's largest


@pytest.mark.parametrize("last", [np.nan, np.inf, 1e30])
def test_images_of_an_orbit_that_escapes(last):
    traces = orbits()
    traces["generated"] = traces["generated"].copy()
    traces["generated"][200:] = last
    found = images.images(record(traces=traces))
    assert "points outside" in found["orbit.svg"]
    assert "nan" not in "".join(found.values())


def test_parameters_as_text():
    assert [run_names.param_text(v) for v in ("a b", 1, 0.5, None, [1, "x"])] == [
        "a b", "1", "0.5", "null", '[1, "x"]',
    ]  # fmt: skip
    assert len(run_names.param_text("x" * 7000)) == 6000
