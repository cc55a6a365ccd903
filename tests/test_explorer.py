"""The map: what its places hold, axes, colours, panels, lines and filters."""

from dataclasses import replace

import exploring
import made_up
import made_up_map
import numpy as np
import pytest
from exploring import GAIN, RATE, SIDE, cells, opened, place, values, written

from lyapsweep.analysis.settings import phase_plane, setting_curve
from lyapsweep.atlas import explorer
from lyapsweep.atlas.view import AtlasView
from lyapsweep.results.record import Outcome
from lyapsweep.results.table import Table

pytestmark = exploring.NEEDED
address, browser, table = exploring.address, exploring.browser, exploring.table


def test_the_map_is_that_of_the_analysis_and_lost_places_say_how(browser, address, table):
    found = phase_plane.find(table, GAIN, RATE, "measures/loss")
    gains, rates = made_up_map.axes(SIDE)
    with opened(browser, address) as tab:
        assert tab.inner_text(".explorer .status") == f"{SIDE**2} of {SIDE**2} trials."
        np.testing.assert_allclose(values(tab), found.median[0], rtol=1e-3)
        states = [[c["state"] for c in row] for row in cells(tab)]
    planted = [[made_up_map.outcome(gain, lr) for gain in gains] for lr in rates]
    assert states == [["value" if o is Outcome.FINISHED else o.value for o in row] for row in planted]
    assert {"diverged", "failed"} <= {s for row in states for s in row}


def test_axes_and_colours_are_chosen(browser, address, table):
    with opened(browser, address) as tab:
        losses = values(tab)
        tab.select_option("select[name=x]", RATE)
        tab.select_option("select[name=y]", GAIN)
        np.testing.assert_array_equal(values(tab), losses.T)
        assert tab.locator(".panels svg text.name").all_text_contents() == [RATE, GAIN]
        tab.select_option("select[name=colour]", "spectra/closed loop/maximum@0")
        expected = np.log(made_up_map.axes(SIDE)[0]) / table.finals.frame["dataset/dt"].iloc[0]  # per unit time
        np.testing.assert_allclose(values(tab), np.broadcast_to(expected[:, None], (SIDE, SIDE)), rtol=1e-3)
        assert "before" in tab.inner_text(".key .scale")
        tab.select_option("select[name=colour]", "share lost")
        assert set(np.unique(values(tab))) == {0.0, 1.0}


def test_the_lines_of_zero_exponents_lie_where_they_were_planted(browser, address):
    with opened(browser, address) as tab:
        at = tab.evaluate("explorer.drawn[0].px(explorer.drawn[0].map.x.at(1))")
        for when in ("before", "after"):
            d = tab.get_attribute(f".panels svg path.zero.{when}", "d")
            across = [float(point.split(" ")[0]) for point in d.lstrip("M").split("L")]
            assert "M" not in d[1:]  # one line
            np.testing.assert_allclose(across, at, atol=0.2)
        tab.get_by_label("λ₁ = 0 before training").uncheck()
        assert tab.locator(".panels svg path.before").count() == 0
        assert tab.locator(".panels svg path.after").count() == 1


def test_the_predictability_time_stands_on_the_interval(browser, tmp_path):
    with opened(browser, written(made_up.table(), tmp_path)) as tab:
        left, right = (tab.evaluate(f"explorer.drawn[0].px(explorer.drawn[0].map.x.centres[{i}])") for i in (3, 4))
        share = (float(tab.get_attribute(".panels line.time", "x1")) - left) / (right - left)
    expected = np.log(np.log(2) / made_up.LAMBDA_MAX / 40) / np.log(80 / 40)
    assert share == pytest.approx(expected, abs=0.01)


def test_filters_leave_trials_out_and_are_told(browser, address, table):
    outcomes = table.finals.frame["outcome"]
    losses = table.finals.frame["measures/loss"]
    with opened(browser, address) as tab:
        tab.click(".filters summary")
        tab.locator("fieldset", has_text="outcome").get_by_label("diverged").uncheck()
        kept = (outcomes != "diverged").sum()
        assert tab.inner_text(".status").startswith(f"{kept} of {SIDE**2} trials; {SIDE**2 - kept} filtered out")
        assert "outcome failed, finished" in tab.inner_text(".filters summary")
        assert {c["state"] for row in cells(tab) for c in row} == {"value", "failed", "empty"}
        gain = made_up_map.axes(SIDE)[0][0]
        tab.locator("fieldset", has_text=GAIN).get_by_label(f"{gain:g}", exact=True).uncheck()
        assert all(row[0]["n"] == 0 for row in cells(tab))
        tab.select_option(".range select", "measures/loss")
        tab.fill(".range input >> nth=1", "1")
        tab.press(".range input >> nth=1", "Tab")
        frame = table.finals.frame
        kept = ((outcomes != "diverged") & (frame[GAIN] != gain) & (losses <= 1)).sum()
        assert tab.inner_text(".status").startswith(f"{kept} of")


def test_panels_mix_no_sets_of_data_unless_asked(browser, tmp_path):
    records = [made_up.record(c, x, s) for c in made_up.CELLS for x in made_up.INTERVALS for s in (0, 1)]
    table = Table.of(
        records, replace(made_up.DESCRIPTION, varied=("cell/kind", "dataset/system", "forcing/interval", "seed"))
    )
    table.frame["dataset/system"] = np.where(table.frame["seed"] == 0, "lorenz63", "roessler")
    with opened(browser, written(table, tmp_path)) as tab:
        assert tab.locator(".panels figcaption").all_inner_texts() == ["lorenz63", "roessler"]
        assert tab.inner_text(".status") == "42 of 42 trials."
        tab.select_option("select[name=panels]", "")
        assert "places mix 2 sets of data" in tab.inner_text(".status")
        tab.click(".filters summary")
        tab.locator("fieldset", has_text="dataset/system").get_by_label("roessler").uncheck()
        assert tab.inner_text(".status") == "21 of 42 trials; 21 filtered out."
        assert "dataset/system lorenz63" in tab.inner_text(".filters summary")


def test_what_is_shown_first_is_one_set_of_data_and_two_numbers(table):
    frame = table.frame.copy()
    frame["cell/kind"] = np.where(frame["trial"] > "8", "lstm", "vanilla")
    frame["dataset/kind"] = np.where(frame[RATE] > 0.01, "adding", "copying")
    made = replace(table, frame=frame, description=replace(made_up_map.DESCRIPTION, varied=()))
    first = explorer.map_data(AtlasView(made))["choice"]
    assert first == {
        "x": GAIN,
        "y": RATE,
        "colour": "measures/loss",
        "panels": "cell/kind",
        "only": {"dataset/kind": "adding"},
    }


def test_medians_of_several_trials_count_lost_ones_as_the_worst(browser, tmp_path):
    table = made_up.table()
    found = setting_curve.find(table, "forcing/interval", "measures/state_space", "cell/kind")
    median = found.median[np.argsort(found.groups)]
    with opened(browser, written(table, tmp_path)) as tab:
        np.testing.assert_allclose(values(tab), np.where(np.isfinite(median), median, np.nan), rtol=1e-3)
        got = cells(tab)
        assert (got[2][6]["state"], got[2][6]["n"], got[2][6]["lost"]) == ("diverged", 2, 1)
        tab.select_option("select[name=worth]", "best")
        assert cells(tab)[2][6]["state"] == "value"


def test_a_table_without_spectra_configs_or_a_second_axis_has_its_map(browser, tmp_path):
    table = Table.of([made_up.record("lstm", x, 0) for x in (5, 80)])
    bare = Table(table.frame.drop(columns=[c for c in table.frame if c.startswith(("spectra/", "data/"))]))
    with opened(browser, written(bare, tmp_path)) as tab:
        assert values(tab).shape == (1, 2)
        tab.mouse.move(*place(tab, 1, 0))
        assert "finished" in tab.inner_text(".card")
        assert tab.locator(".card .run-command, .card svg").count() == 0
