"""How a spectrum forms: every record of the trial is there, in order, and what is said of it is what was planted."""

import pickle

import numpy as np
import pandas as pd
import pytest

from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.analysis.spectra import spectrum_history
from lyapsweep.registry import UnknownName
from lyapsweep.results.table import Table

STEPS = (0, 10, 50, 100)


def table() -> Table:
    """Trial a goes from (-1, -2, -3) to (0.1, -0.5, -2), nine tenths of the way by update 10; b has one record."""
    first, last = np.array([-1.0, -2.0, -3.0]), np.array([0.1, -0.5, -2.0])
    shares = np.array([0.0, 0.9, 0.95, 1.0])
    spectra = np.concatenate([first + shares[:, None] * (last - first), first[None]])
    frame = pd.DataFrame({"trial": ["a"] * 4 + ["b"], "step": [*STEPS, 0], "final": [False] * 3 + [True] * 2})
    return Table(frame, spectra={"driven": spectra}, spectra_stderr={"driven": np.full((5, 3), 0.01)})


def test_every_record_is_there_and_the_sentence_says_what_was_planted():
    found = spectrum_history.find(table(), "a", "driven")
    assert found.steps.tolist() == list(STEPS)
    np.testing.assert_allclose(found.exponents[[0, -1], 0], [-1.0, 0.1])
    said = spectrum_history.sentence(found)
    assert "from −1 ± 0.0100 at update 0 to 0.100 ± 0.0100 nats per step at update 100" in said
    assert "half of the change of the whole spectrum was complete by update 10." in said
    figure = spectrum_history.draw(found)
    assert [trace.name for trace in figure.data] == [f"update {s}" for s in STEPS]
    assert spectrum_history.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()


def test_what_is_missing_is_said():
    with pytest.raises(TooFew, match="records of trial b"):
        spectrum_history.find(table(), "b", "driven")
    with pytest.raises(UnknownName, match="'c'"):
        spectrum_history.find(table(), "c", "driven")
    with pytest.raises(UnknownName, match="Did you mean 'driven'"):
        spectrum_history.find(table(), "a", "drivn")
