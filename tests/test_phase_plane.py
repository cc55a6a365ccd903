"""The border: planted lines and places are found, lost ones are told apart, shuffled exponents draw no line there."""

import pickle

import numpy as np
import pandas as pd
import pytest

from lyapsweep.analysis.settings import phase_plane
from lyapsweep.analysis.shared.selection import TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

GAINS, RATES = (0.5, 0.8, 1.25, 2.0), (1e-3, 1e-2, 1e-1)
PLACE = ("init/gain", "training/lr", "measures/loss", "cell/kind", "driven")


def made_up(cells=("gru", "vanilla")) -> Table:
    """lambda_max = ln gain before training, ln(gain lr / 0.01) after; the loss is least at gain 1.25, lr 0.01; gain 2
    with the largest rate is lost."""
    rows = []
    for kind in cells:
        for gain in GAINS:
            for lr in RATES:
                lost = gain == 2.0 and lr == 0.1
                trial = {"trial": f"{kind} {gain} {lr}", "cell/kind": kind, "init/gain": gain, "training/lr": lr}
                loss = 0.1 + abs(np.log(gain / 1.25)) + abs(np.log10(lr / 0.01))
                for step, exponent in ((0, np.log(gain)), (9, np.log(gain * lr / 0.01))):
                    state = {"step": step, "final": step == 9, "outcome": "running" if step == 0 else "finished"}
                    state |= {"outcome": "diverged"} if lost and step else {}
                    scores = {"measures/loss": loss, "spectra/driven/maximum": exponent}
                    rows.append(trial | state | scores)
    return Table(pd.DataFrame(rows), description=SweepDescription(objective="loss", direction="minimise"))


def test_the_planted_place_its_exponents_and_the_lost_corner_are_found():
    found = phase_plane.find(made_up(), *PLACE)
    assert found.panels == ("gru", "vanilla")
    at = (found.y_labels.index("0.01"), found.x_labels.index("1.25"))
    for p in range(2):
        assert np.unravel_index(np.nanargmin(found.median[p]), found.median[p].shape) == at
        assert found.before[p][at] == pytest.approx(np.log(1.25))
        np.testing.assert_array_equal(found.before[p] < 0, np.tile([True, True, False, False], (3, 1)))
        corner = (found.y_labels.index("0.1"), found.x_labels.index("2"))
        assert found.lost[p][corner] == 1
        assert np.isnan(found.median[p][corner])
    said = phase_plane.sentence(found, 0)
    assert "at init/gain 1.25 and training/lr 0.01 (n = 1 setting, 1 run)" in said
    assert "λ_max < 0 before training has" in said


def test_the_lines_are_drawn_where_the_exponent_changes_sign():
    found = phase_plane.find(made_up(("gru",)), *PLACE)
    figure = phase_plane.draw(found)
    lines = {trace.name: trace for trace in figure.data if trace.type == "contour"}
    assert set(lines) == {"λ<sub>max</sub> = 0 before training", "λ<sub>max</sub> = 0 after training"}
    before = np.array(lines["λ<sub>max</sub> = 0 before training"].z, float)
    assert (before[:, :2] < 0).all()
    assert (before[:, 2:] > 0).all()
    assert phase_plane.draw(pickle.loads(pickle.dumps(found))).to_json() == figure.to_json()


def test_without_exponents_there_is_a_map_without_lines():
    table = made_up()
    found = phase_plane.find(
        Table(table.frame.drop(columns="spectra/driven/maximum"), description=table.description), *PLACE
    )
    assert np.isnan(found.before).all()
    assert np.isfinite(found.median).sum() == 2 * (len(GAINS) * len(RATES) - 1)


def test_what_is_missing_is_said():
    with pytest.raises(UnknownName, match="init/gain"):
        phase_plane.find(made_up(), "init/gian", *PLACE[1:])
    one = made_up().take(np.arange(2))
    with pytest.raises(TooFew, match="two values"):
        phase_plane.find(one, *PLACE)
