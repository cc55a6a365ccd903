"""The content of a sweep's summary run: best trials, varied settings, description, view."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.provenance import Provenance
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.tracking import summary

ABOUT = SweepDescription("which", "Which?\n\nThis one.", objective="loss", direction="minimise")


def config(kind="vanilla", seed=0, system="lorenz63"):
    data = {"kind": "simulated", "system": system, "length": 600}
    return Config.of({"dataset": data, "cell": {"kind": kind, "units": 4}, "seed": seed})


def record(of, score, outcome=Outcome.FINISHED, exponent=0.01, map="closed loop", stderr=0.002, **data):
    spectrum = Spectrum(np.array([exponent, -0.5]), np.full(2, stderr), 20, 2, map, 2, dt=0.02)
    about = {"seconds": 7.5, "data": {"lambda_max": 0.018112, "dt": 0.02} | data}
    return Record(
        of, 4, outcome, {map: spectrum}, {"loss": score}, {"loss": 0.1}, provenance=Provenance.from_json(about)
    )


def sweep():
    return [
        record(config(), 0.3),
        record(config(seed=1), 0.2),
        record(config("lstm"), 0.5, exponent=-0.1),
        record(config("lstm", 1), 0.01, Outcome.DIVERGED),
        record(config("lstm", 2), math.nan),
        record(config("lstm", 3), math.inf),
    ]


def table(records=None, **about):
    return Table.of(sweep() if records is None else records, replace(ABOUT, **about))


def scopes(table):
    return [(best.trial, best.scope) for best in summary.best_trials(table)]


def test_the_best_finished_trial_of_each_cell_the_best_of_all_first():
    assert scopes(table()) == [(config(seed=1).id, "of the sweep"), (config("lstm").id, "of its cell")]
    upwards = table(direction="maximise")
    assert scopes(upwards) == [(config().id, "of the sweep"), (config("lstm").id, "of its cell")], (
        "half of lstm is lost"
    )


def test_there_is_no_best_without_an_objective_or_a_finished_trial():
    assert scopes(Table.of(sweep())) == []
    assert scopes(table(objective="other")) == []
    assert scopes(table(sweep()[3:])) == []
    assert scopes(table([])) == []


def test_trials_on_different_data_are_not_compared():
    both = [record(config(), 0.3), record(config(system="roessler"), 0.1)]
    assert scopes(table(both)) == [(config(system="roessler").id, "of its cell"), (config().id, "of its cell")]


def test_settings_are_listed_or_given_as_a_range():
    told = {setting.path: setting.values for setting in summary.varied_settings(table())}
    assert told == {"cell/kind": "lstm, vanilla", "seed": "0, 1, 2, 3"}
    listed = summary.listed
    assert listed(pd.Series([2.0, 1.0, np.nan, 0.5])) == "0.5, 1, 2"
    assert listed(pd.Series(["b", 1, "a"], dtype=object)) == "1, a, b"
    assert listed(pd.Series(range(12))) == ", ".join(map(str, range(12)))
    assert listed(pd.Series(np.linspace(0, 1.23456789, 13))) == "0 to 1.235 (13 values)"
    assert listed(pd.Series([f"x{i}" for i in range(13)])) == "13 values"


def test_the_description_has_the_result_first():
    blocks = summary.description(table()).split("\n\n")
    assert blocks == [
        "Which?",
        "**The lowest Held-out loss is that of vanilla: test 0.25 (0.225 to 0.275), by which it was chosen, so that "
        "this score is optimistic; median and quartiles of 2 seeds (2.50 times the floor).**",
        "- The best of the others: lstm (half of its trials or more were lost).\n"
        "- 1 of 6 trials were lost (1 diverged); in medians they count as the worst.",
        "Best settings by `loss` over seeds (2 of 2):",
        "| setting | median | quartiles | seeds | lost |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| vanilla | 0.25 | 0.225 to 0.275 | 2 | 0 |\n"
        "| lstm | inf | 0.5 to 0.5 | 1 | 1 |",
        "Best trials of the best settings by `loss` (minimised):",
        "| trial | loss | test | floor | chaotic | lambda_max | of the data | seconds |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| vanilla seed=1 | 0.2 |  | 0.1 | yes | 0.5 | 0.9056 | 7.5 |\n"
        "| lstm seed=0 | 0.5 |  | 0.1 | no | -5 | 0.9056 | 7.5 |",
        "Trials: 5 finished, 1 diverged.",
        "Varied:",
        "- `cell/kind`: lstm, vanilla\n- `seed`: 0, 1, 2, 3",
        "This one.",
    ]
    assert "(maximised)" in summary.description(table(direction="maximise"))


def test_the_description_of_little():
    assert summary.description(Table.of([], SweepDescription(question="Why?"))) == "Why?"
    assert summary.description(Table.of([])) == ""
    assert summary.description(table([record(config(), 1.0, Outcome.FAILED)])) == (
        "Which?\n\nTrials: 1 failed.\n\nThis one."
    )


def test_unknown_values_leave_their_cells_empty():
    bare = Record(config(), 4, Outcome.FINISHED, {}, {"loss": 0.2})
    row = summary.best_row(table([bare]).finals, 0, ["seed"])
    assert row == ["seed=0", "0.2", "", "", "unknown", "", "", ""]
    text = summary.description(table([bare]))
    assert "is that of the only setting: test 0.2, by which it was chosen" in text
    assert "| vanilla seed=0 | 0.2 |  |  | unknown |" in text


def test_both_scores_of_the_best_setting_and_its_ties_are_in_the_description():
    made = [(config(seed=s), 0.2 + 0.1 * s) for s in (0, 1)] + [(config("lstm", s), 0.22 + 0.2 * s) for s in (0, 1)]
    tested = [replace(record(c, score), test={"loss": score + 0.1}) for c, score in made]
    text = summary.description(table(tested))
    assert "is that of vanilla: validation 0.25 (0.225 to 0.275), test 0.35 (0.325 to 0.375); median and" in text
    assert "| vanilla | 0.25 | 0.225 to 0.275 | 2 | 0 |" in text
    assert "Tied with lstm: these trials do not tell them apart." in text


@pytest.mark.parametrize(
    ("exponent", "stderr", "chaotic"), [(0.0099, 0.005, "no"), (0.0101, 0.005, "yes"), (0.1, math.nan, "unknown")]
)
def test_chaos_in_a_row_is_a_95_percent_interval_above_zero(exponent, stderr, chaotic):
    made = table([record(config(), 0.2, exponent=exponent, stderr=stderr)])
    assert summary.best_row(made.finals, 0, [])[4] == chaotic


def test_the_headline_exponent_is_that_of_the_closed_loop_or_of_the_driven_network():
    driven = table([record(config(), 0.2, map="driven", dt=None)])
    found = summary.leading_exponent(driven.finals, 0)
    assert (found.value, found.chaotic, found.dt) == (0.01, "yes", 1.0)
    none = summary.leading_exponent(table([record(config(), 0.2, exponent=math.nan)]).finals, 0)
    assert math.isnan(none.value)
    assert (none.chaotic, none.dt) == ("unknown", 1.0)
    both = table([record(config(), 0.2), record(config(seed=1), 0.2, map="driven", exponent=0.5)])
    rows = list(both.finals.frame["trial"])
    assert summary.leading_exponent(both.finals, rows.index(config().id)).value == 0.01
    assert summary.leading_exponent(both.finals, rows.index(config(seed=1).id)).value == 0.5


def test_the_exponent_of_the_data_is_the_largest_that_is_positive():
    assert summary.data_exponent(table()) == pytest.approx(0.9056)
    assert summary.data_exponent(table([record(config(), 0.2, dt=None)])) == pytest.approx(0.018112)
    assert summary.data_exponent(table([record(config(), 0.2, lambda_max=-0.1)])) is None
    assert summary.data_exponent(table([record(config(), 0.2, lambda_max=0.0)])) is None
    assert summary.data_exponent(table([Record(config(), 0, Outcome.RUNNING)])) is None
    two = [record(config(), 0.2), record(config(seed=1), 0.2, lambda_max=0.04)]
    assert summary.data_exponent(table(two)) == pytest.approx(2.0)


def test_the_view_needs_an_objective_and_a_spectrum():
    found = summary.view(table())
    assert (found.score, found.maximise, found.varied) == ("measures/loss", False, ("cell/kind", "seed"))
    assert (found.map, found.data_exponent) == ("closed loop", pytest.approx(0.9056))
    assert summary.view(table(direction="maximise")).maximise
    assert summary.view(Table.of(sweep())) is None
    assert summary.view(table([Record(config(), 0, Outcome.RUNNING)])) is None
