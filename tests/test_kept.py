"""The network that a final record holds: the last one, or the best one at a report."""

import numpy as np
import pytest
from same import same_to_the_bit
from test_checkpoints import SERIES, assert_same, pack

from lyapsweep.config import Config, ConfigError
from lyapsweep.evaluation import evaluation
from lyapsweep.trial import run_trial, run_trials

WORSE = {"training__steps": 12, "training__lr": 1e-3, "training__lr_end": 3.0, "training__optimizer": "sgd"}


@pytest.fixture(autouse=True)
def short_products_of_jacobians(monkeypatch):
    monkeypatch.setattr(evaluation, "LONGEST_LAG", 20)


def test_the_best_network_by_validation_is_kept_with_its_step_and_its_test_score():
    """The learning rate grows until training gets worse."""
    configs = pack(SERIES, 3, **WORSE, dataset__test=2.0)  # so that there are a validation and a test part
    last = [list(run_trial(c)) for c in configs]
    kept = list(run_trials([c.changed({"training/keep": "loss"}) for c in configs]))[-1]
    steps = [min(range(len(r)), key=lambda i: r[i].measures["loss"]) for r in last]
    assert any(0 < i < len(last[0]) - 1 for i in steps)
    for records, i, record in zip(last, steps, kept):
        final = records[-1]
        assert record.measures["loss"] == pytest.approx(records[i].measures["loss"], rel=1e-12)
        assert record.provenance.kept == (None if i == len(records) - 1 else records[i].step)
        assert (record.step, record.outcome) == (final.step, final.outcome)
        assert (record.test != final.test) == (i < len(records) - 1)
        assert record.spectra["closed loop"].steps == SERIES["lyapunov"]["steps"]  # of full length, not of a report


def test_a_member_keeps_the_same_network_alone_and_in_a_pack():
    configs = pack(SERIES, 3, **WORSE, training__keep="loss")
    together = list(run_trials(configs))[-1]
    for config, record in zip(configs, together):
        alone = list(run_trial(config))[-1]
        assert alone.provenance.kept == record.provenance.kept
        for name, weight in alone.weights.items():
            np.testing.assert_allclose(record.weights[name], weight, rtol=1e-6)


@pytest.mark.parametrize("cuts", [(2,), (3, 1)])
def test_what_was_kept_survives_a_checkpoint(cuts, tmp_path):
    assert_same(pack(SERIES, 2, **WORSE, training__keep="loss"), tmp_path, cuts)


def test_the_last_network_is_kept_by_default_and_ids_stay():
    config = Config.of(SERIES)
    assert config.id == config.changed({"training/keep": "last"}).id != config.changed({"training/keep": "loss"}).id
    for one, other in zip(run_trial(config), run_trial(config.changed({"training/keep": "last"}))):
        same_to_the_bit(one, other)
        assert one.provenance.kept is None


def test_a_measure_that_is_not_measured_is_refused():
    with pytest.raises(ConfigError, match=r"training/keep must be last or one of the measures \(loss\)"):
        Config.of(SERIES).changed({"training/keep": "state_space"})
