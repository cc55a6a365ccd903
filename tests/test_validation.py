"""The validation part: how held-out data are divided, what is judged by which part, and how 0.1's trials continue."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyapsweep import datasets
from lyapsweep.config import Config, ConfigError
from lyapsweep.evaluation import series as evaluation
from lyapsweep.problems import problem_of
from lyapsweep.results.record import Outcome, Record
from lyapsweep.sweep.execute.planning import as_begun
from lyapsweep.training.examples import Examples
from lyapsweep.trial import run_trial

HENON = {"kind": "simulated", "system": "henon", "length": 500, "test": 1.0}
TINY = {
    "dataset": HENON,
    "cell": {"kind": "vanilla", "units": 3},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 4, "report_every": 2},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss", "state_space", "prediction_error", "gradients"],
}
TASK = {"kind": "adding", "length": 12, "train": 32, "test": 40}


def with_validation(validation, **changes) -> Config:
    return Config.of(TINY | {"dataset": HENON | {"validation": validation} | changes})


def test_the_first_half_of_the_held_out_part_is_the_validation_part():
    whole = datasets.build(**HENON)
    found = datasets.build_split(**HENON)
    assert found.rows == (250, 250)
    assert np.array_equal(found.judged.test, whole.test[:250])
    assert np.array_equal(found.test.test, whole.test[250:])
    assert np.array_equal(found.judged.train, whole.train)
    assert found.digest == whole.digest, "checkpoints and MLflow know the data by it"
    assert found.sentence == "judged on 250 rows of validation, reported on 250 rows of test too"


@pytest.mark.parametrize(("length", "rows"), [(399, (399, 0)), (400, (200, 200))])
def test_short_series_have_no_validation_part_and_say_so(length, rows):
    found = datasets.build_split(**HENON | {"length": length})
    assert found.rows == rows
    assert found.sentence.startswith("no validation part") == (found.test is None)


def test_a_share_can_be_asked_for_and_is_refused_where_too_little_is_left():
    assert datasets.build_split(**HENON, validation=0.2).rows == (100, 400)
    assert datasets.build_split(**HENON, validation=None).test is None
    with pytest.raises(ValueError, match=r"henon: dataset/validation 0.01 of 500 held-out rows leaves 5 .* Choose"):
        datasets.build_split(**HENON, validation=0.01)


def test_no_delay_of_a_test_row_lies_in_the_validation_part():
    embedded = HENON | {"observe": ["x"], "dimension": 3, "delay": 4}
    found = datasets.build_split(**embedded)
    assert found.rows == (250, 242)
    assert found.test.test[0, 2] not in found.judged.test


def test_inputs_are_divided_as_rows_are():
    found = datasets.build_split(**HENON, inputs=["y"])
    assert found.test.test_inputs.shape == (250, 1)
    assert np.array_equal(found.test.test_inputs, found.whole.test_inputs[250:])


def test_tasks_are_divided_by_sequences_and_streams_in_time():
    sequences = datasets.build_split(**TASK)
    assert sequences.rows == (20, 20)
    assert np.array_equal(sequences.test.test_targets, sequences.whole.test_targets[20:])
    assert datasets.build_split(**TASK | {"test": 19}).test is None
    stream = datasets.build_split("buckets", years=5)
    half = stream.rows[0]
    assert stream.sentence.startswith(f"judged on {half} rows")
    assert np.array_equal(stream.test.test_inputs, stream.whole.test_inputs[:, half:])
    assert np.array_equal(stream.test.before, stream.whole.test_targets[:, half - 1 : half])


def test_conditional_windows_of_the_test_part_begin_with_the_last_answer_before_it():
    stream = datasets.build_split("buckets", years=5)
    for data, known in ((stream.judged, stream.whole.train_targets[0, -1]), (stream.test, stream.test.before[0, -1])):
        examples = Examples(data, "test", 10, "cpu", torch.float64, held=10)
        assert np.allclose(examples.before[0, 0], known)


def test_a_file_is_a_validation_part_in_the_units_of_training():
    rows = np.random.default_rng(0).normal(size=(900, 2)).cumsum(axis=0)
    np.save("a.npy", rows[:600])
    np.save("b.npy", rows[600:])
    asked = {"kind": "recorded", "path": "a.npy", "dimension": 2, "delay": 3}
    found = datasets.build_split(**asked, validation="b.npy")
    assert found.rows == (297, 147)
    assert np.allclose(found.judged.test[:, 0] * found.whole.std[0] + found.whole.mean[0], rows[603:, 0])
    assert np.array_equal(found.test.test, datasets.build(**asked).test)
    assert "(b.npy)" in found.sentence
    assert found.digest != found.whole.digest
    with pytest.raises(ValueError, match="there is no such file"):
        datasets.build_split(**asked, validation="c.npy")


@pytest.mark.parametrize("value", [0, 1.0, -0.5, True, "file.csv"])
def test_values_that_divide_nothing_are_refused(value):
    with pytest.raises(ConfigError, match="dataset/validation must be auto, a share of the held-out part"):
        with_validation(value)


def test_networks_are_judged_on_validation_and_the_test_part_is_used_once(monkeypatch):
    config = with_validation(0.5)
    problem, seen = problem_of(config), []
    evidence = evaluation.held_out_evidence

    def counted(network, progress, series, config):
        seen.append("test" if np.array_equal(series.test, problem.split.test.test) else "validation")
        return evidence(network, progress, series, config)

    monkeypatch.setattr(evaluation, "held_out_evidence", counted)
    records = list(run_trial(config))
    assert seen == ["validation", "validation", "validation", "test"]
    assert [bool(record.test) for record in records] == [False, False, True]
    last = records[-1]
    assert last.test.keys() == {"loss", "state_space", "prediction_error"}, "gradients do not depend on the part"
    assert last.test["loss"] != last.measures["loss"]
    assert {name.partition("/")[0] for name in last.test_floors} == {"state_space", "prediction_error"}
    assert last.provenance.data.parts.startswith("judged on 250 rows of validation")


def test_training_and_exponents_do_not_depend_on_how_held_out_data_are_divided():
    *_, divided = run_trial(with_validation(0.5))
    *_, whole = run_trial(with_validation(None))
    for name, weight in whole.weights.items():
        assert np.array_equal(weight, divided.weights[name])
    assert np.array_equal(whole.traces["loss"], divided.traces["loss"])
    assert np.array_equal(whole.spectrum.exponents, divided.spectrum.exponents)
    assert whole.measures["gradients"] == divided.measures["gradients"]
    assert whole.measures["state_space"] != divided.measures["state_space"]
    assert whole.test == {}


def test_twice_the_held_out_steps_leave_the_former_scores_as_validation_scores():
    """What the first example does: its 40000 held-out steps begin with the 20000 that it had."""
    *_, before = run_trial(with_validation(None))
    *_, after = run_trial(with_validation(0.5, test=2.0))
    assert after.measures | {"gradients": 0} == before.measures | {"gradients": 0} | {
        name: value for name, value in after.measures.items() if name.startswith("gradients/")
    }
    assert after.floors == before.floors


def test_a_task_is_judged_on_validation_too():
    *_, record = run_trial(Config.of(TINY | {"dataset": TASK, "measures": ["loss", "solved"], "windows": {"batch": 4}}))
    assert record.test.keys() == {"loss", "solved"}
    assert record.test["loss"] != record.measures["loss"]


def test_test_scores_survive_the_file(tmp_path):
    *_, record = run_trial(with_validation(0.5))
    again = Record.load(record.save(tmp_path))
    for scores in ("measures", "floors", "saturations", "surrogates", "test", "test_floors"):
        assert json.dumps(getattr(again, scores)) == json.dumps(getattr(record, scores))


def test_a_sweep_that_was_begun_without_a_validation_part_continues_without(caplog):
    new, old = with_validation("auto"), with_validation(None)
    record = Record(old, 4, Outcome.FINISHED)
    assert as_begun(new, {}) is new
    assert as_begun(new, {old.id: record}) == old
    assert "continues without one" in caplog.text
    assert as_begun(new, {old.id: record, new.id: replace(record, config=new)}) is new
    asked = with_validation(0.25)
    assert as_begun(asked, {old.id: record}) is asked


def test_data_sets_of_a_grid_are_divided_as_the_base_says():
    changed = with_validation(None).changed({"dataset": {"kind": "simulated", "system": "lorenz63"}})
    assert changed.dataset["validation"] is None
    named = changed.changed({"dataset": HENON | {"validation": 0.5}})
    assert named.dataset["validation"] == 0.5


def test_records_of_0_1_mean_no_validation_part():
    folder = Path(__file__).parent / "data" / "v0_1" / "results" / "run" / "records"
    record = Record.load(next(folder.glob("*.npz")))
    assert record.config.dataset["validation"] is None
    assert record.trial in record.config.legacy_ids
    assert record.test == {}
