"""Attribution over time: sums to the answer, finds the steps that count, and draws from the Finding alone."""

import pickle

import numpy as np
import pytest

from lyapsweep.analysis.networks import attribution
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.config import Config
from lyapsweep.registry import UnknownName
from lyapsweep.results.table import Table
from lyapsweep.trial import run_trial

CONTENT = {
    "dataset": {"kind": "adding", "length": 10, "train": 400, "test": 100},
    "cell": {"kind": "gru", "units": 8},
    "readout": {"kind": "neuroview"},
    "windows": {"length": None, "batch": 32},
    "training": {"steps": 300, "lr": 1e-2},
    "lyapunov": {"steps": 8, "warmup": 1, "orbits": 5},
    "measures": ["loss"],
}


@pytest.fixture(scope="module")
def table():
    kinds = ({"kind": "neuroview"}, {"kind": "affine"})
    return Table.of([list(run_trial(Config.of(CONTENT | {"readout": kind})))[-1] for kind in kinds])


def trial(table, kind):
    frame = table.finals.frame
    return str(frame.loc[frame["readout/kind"] == kind, "trial"].iloc[0])


def test_steps_sum_to_the_answer(table):
    found = attribution.find(table, trial(table, "neuroview"))
    assert found.spread.shape == found.contributions.shape == (1, 10)
    np.testing.assert_allclose(found.bias + found.contributions.sum(axis=1), found.answer, atol=1e-12)
    assert found.importance.sum(axis=1) == pytest.approx(1.0)
    assert found.sequences == 100


def test_a_stored_finding_draws_the_same_figure(table):
    found = attribution.find(table, trial(table, "neuroview"))
    figure = attribution.draw(found)
    assert attribution.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()
    np.testing.assert_allclose(figure.data[0].y, found.spread[0])


def test_what_cannot_be_attributed(table):
    with pytest.raises(TooFew, match="only neuroview"):
        attribution.find(table, trial(table, "affine"))
    with pytest.raises(UnknownName, match="No trial"):
        attribution.find(table, "nothing")
