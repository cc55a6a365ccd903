"""How a spectrum forms: every record of the trial is there, in order, and what is said of it is what was planted."""

import pickle

import numpy as np
import pandas as pd
import pytest

from lyapsweep.analysis import formation
from lyapsweep.analysis.finding import TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.table import Table

STEPS = (0, 10, 50, 100)


def table() -> Table:
    """Trial a goes from (-1, -2, -3) to (0.1, -0.5, -2), nine tenths of the way by update 10; b has one record."""
    first, last = np.array([-1.0, -2.0, -3.0]), np.array([0.1, -0.5, -2.0])
    shares = np.array([0.0, 0.9, 0.95, 1.0])
    spectra = np.concatenate([first + shares[:, None] * (last - first), first[None]])
    frame = pd.DataFrame({"trial": ["a"] * 4 + ["b"], "step": [*STEPS, 0], "final": [False] * 3 + [True] * 2})
    return Table(frame, spectra={"driven": spectra}, spectra_stderr={"driven": np.full((5, 3), 0.01)})


def test_every_record_is_there_and_the_sentence_says_what_was_planted():
    found = formation.find(table(), "a", "driven")
    assert found.steps.tolist() == list(STEPS)
    np.testing.assert_allclose(found.exponents[[0, -1], 0], [-1.0, 0.1])
    said = formation.sentence(found)
    assert "from −1 ± 0.0100 at update 0 to 0.100 ± 0.0100 nats per step at update 100" in said
    assert "half of the way of the whole spectrum was done by update 10." in said
    figure = formation.draw(found)
    assert [trace.name for trace in figure.data] == [f"update {s}" for s in STEPS]
    assert formation.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()


def test_what_is_missing_is_said():
    with pytest.raises(TooFew, match="records of trial b"):
        formation.find(table(), "b", "driven")
    with pytest.raises(UnknownName, match="'c'"):
        formation.find(table(), "c", "driven")
    with pytest.raises(UnknownName, match="Did you mean 'driven'"):
        formation.find(table(), "a", "drivn")
