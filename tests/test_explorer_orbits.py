"""The card of a trial draws its orbit, its power spectrum and its fixed points, or says what is missing and why."""

import re
import shlex
from dataclasses import replace

import exploring
import made_up_evidence
import made_up_map
import numpy as np
import pytest
from click.testing import CliRunner
from exploring import SIDE, opened, place, trial_at, written
from test_network_fixed_points import bits

from lyapsweep.analysis.networks import attractor
from lyapsweep.atlas import compression, orbits, report
from lyapsweep.atlas.view import AtlasView
from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.record import Outcome, Record
from lyapsweep.results.table import Table
from lyapsweep.trial import run_trial

pytestmark = exploring.NEEDED
browser = exploring.browser
TRUTH = made_up_evidence.lorenz(2000, (1.0, 1.0, 20.0)).astype(np.float32)
HERE = (4, 2)  # a finished trial of the map, by its column and row
RUN = 400


def generated(noise, seed=0):
    return TRUTH + noise * np.random.default_rng(seed).standard_normal(TRUTH.shape).astype(np.float32)


def moving(traces=None, **about):
    """A map whose finished trials have orbits, of one truth; `traces` are those of the trial that lies `HERE`."""
    table = made_up_map.table(SIDE, **about)
    final = table.frame["final"] & (table.frame["outcome"] == "finished")
    table.frame["measures/power_spectrum"] = np.where(final, 0.1 + 0.01 * np.arange(len(table)), np.nan)
    own = trial_at(table, *HERE).trial
    for row in np.flatnonzero(final):
        shown = {"truth": TRUTH, "generated": generated(0.05, row), "runs": np.arange(5) * RUN}
        table.traces[row] = shown | (traces or {}) if table.frame["trial"][row] == own else shown
    return table


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return written(moving(), tmp_path_factory.mktemp("orbits"))


def kept(tab, i, j):
    tab.wait_for_function("explorer.card.orbits")
    tab.mouse.click(*place(tab, i, j))


def vertices(tab, path):
    """What the path of a curve goes through: (points, 2), and how many stretches it has."""
    d = tab.get_attribute(f".card svg.motion.{path}", "d")
    return np.array([[float(v) for v in at.split(",")] for at in re.findall(r"[ML]([-\d.,]+)", d)]), d.count("M")


def in_frame(at, points, height):
    """Where points of the plane lie on the card."""
    share = (points - at.low) / (at.high - at.low)
    return np.stack((6 + share[:, 0] * 256, height - 6 - share[:, 1] * (height - 12)), axis=1)


def test_a_card_draws_both_orbits_where_the_record_has_them(browser, address):
    table = moving()
    names = table.finals.frame["trial"].tolist()
    traces = table.finals.traces[names.index(trial_at(table, *HERE).trial)]
    at = attractor.plane(TRUTH)
    drawn = attractor.curves(at, TRUTH, traces["generated"], RUN)
    with opened(browser, address) as tab:
        kept(tab, *HERE)
        height = float(tab.get_attribute(".card svg.orbit", "viewBox").split()[3])
        for kind, points in (("true", drawn.truth), ("generated", drawn.generated)):
            found, stretches = vertices(tab, f"orbit path.{kind}")
            shown = points[np.isfinite(points).all(axis=1)]
            assert found.shape == shown.shape
            np.testing.assert_allclose(found, in_frame(at, shown, height), atol=0.6)
            assert stretches == (1 if kind == "true" else np.isnan(points).any(axis=1).sum() + 1)
        said = tab.inner_text(".card")
    assert f"the first {drawn.samples} samples" in said
    assert f"({100 * at.shares[0]:.3g} % and {100 * at.shares[1]:.3g} % of its variance)" in said


def test_a_spectrum_stands_over_its_frequency_and_beside_d_h(browser, tmp_path):
    t = np.arange(2000)[:, None]
    wave = lambda f: {"truth": np.sin(2 * np.pi * 0.02 * t + [0, 1]), "generated": np.sin(2 * np.pi * f * t + [0, 1])}  # noqa: E731
    table = moving(wave(0.05) | {"runs": np.arange(5) * 2000})
    score = trial_at(table, *HERE)["measures/power_spectrum"]
    with opened(browser, written(table, tmp_path)) as tab:
        kept(tab, *HERE)
        texts = tab.locator(".card svg.power text")
        ticks = dict(texts.evaluate_all("all => all.map(t => [t.textContent, +t.getAttribute('x')])"))
        for kind, frequency in (("true", 0.02), ("generated", 0.05)):
            curve, _ = vertices(tab, f"power path.{kind}")
            x = curve[curve[:, 1].argmin(), 0]
            found = 10 ** ((x - ticks["1"]) / (ticks["10"] - ticks["1"]))
            assert found == pytest.approx(frequency / 0.01, rel=0.15)  # per unit time
        assert f"D_H {score:.3g}, of the whole held-out series" in tab.inner_text(".card")
        assert "cycles per unit time" in tab.text_content(".card svg.power")


def test_orbits_that_rest_or_are_lost_are_told(browser, tmp_path):
    resting = np.broadcast_to(TRUTH[:1], TRUTH.shape)
    lost = np.where(np.arange(2000)[:, None] < 150, TRUTH, np.inf)
    outside = "850 of 1000 generated points lie outside the frame or are not finite"
    for series, count, words in ((resting, 1000, "it does not move"), (lost, 150, outside)):
        with opened(browser, written(moving({"generated": series}), tmp_path)) as tab:
            kept(tab, *HERE)
            found, _ = vertices(tab, "orbit path.generated")
            assert len(found) == count
            assert tab.locator(".card svg.orbit circle.generated").count() == (series is resting)
            assert words in tab.inner_text(".card")
            assert tab.locator(".card svg.power path.true").count() == 1
            assert not tab.get_attribute(".card svg.power path.generated", "d")


def test_a_trial_without_an_orbit_says_so_and_a_sweep_without_any_shows_no_frames(browser, address, tmp_path):
    with opened(browser, address) as tab:
        kept(tab, SIDE - 1, SIDE - 1)
        assert "The record of this trial (diverged) holds no orbit." in tab.inner_text(".card")
        assert tab.locator(".card svg.motion").count() == 0
    with opened(browser, written(made_up_map.table(SIDE), tmp_path)) as tab:
        tab.mouse.click(*place(tab, *HERE))
        assert tab.locator(".card svg.motion, .card h4, .card .lacking").count() == 0


def searched_sweep(folder):
    """A sweep of three networks of 0, 1 and 2 undecided bits, the last the best, written as a results folder."""
    base = Config.of(
        {
            "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.01},
            "cell": {"kind": "vanilla", "units": 3},
            "readout": {"kind": "identity"},
            "windows": {"length": 20, "batch": 4},
            "measures": ["loss"],
        }
    )
    for n, lr in enumerate((1e-3, 1e-2, 1e-1)):
        orbit = {"truth": TRUTH, "generated": generated(0.05, n)}
        config = base.changed({"training/lr": lr})
        Record(config, 10, Outcome.FINISHED, {}, {"loss": 3.0 - n}, traces=orbit, weights=bits(n)).save(
            folder / "records"
        )
    return Table.read(folder)


def test_fixed_points_are_those_of_the_search_and_commands_bring_the_others(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = replace(
        searched_sweep(tmp_path / "results/few"), description=SweepDescription(name="few", objective="loss")
    )
    view = report.prepared(table, tmp_path / "results/few", ())
    names = table.finals.frame.sort_values("measures/loss")["trial"].tolist()
    told = view.fixed_points
    assert list(told) == names[:1]
    with opened(browser, written(view, tmp_path)) as tab:
        kept(tab, 2, 0)
        rows = tab.locator(".card .scores").last.locator("tbody tr").all_inner_texts()
        expected = {kind: n for kind, (n, *_) in told[names[0]]["kinds"].items()}
        assert {row.split()[1]: int(row.split()[2]) for row in rows} == expected
        assert expected["stable"] == 4
        assert tab.locator(".card svg.orbit text.rest").count() > 0
        assert tab.locator(".card .command").count() == 0
        kept(tab, 1, 0)
        commands = [shlex.split(text) for text in tab.locator(".card .command").all_inner_texts()]
        assert "Fixed points of 1 of 3 trials are on this page; this one's are not." in tab.inner_text(".card")
    for words in commands:
        assert words[0] == "lyapsweep"
        done = CliRunner().invoke(main, words[1:])
        assert done.exit_code == 0, done.output
    assert "fixed" in done.output
    with opened(browser, (tmp_path / "results/few/atlas.html").as_uri()) as tab:
        kept(tab, 1, 0)
        assert "● stable" in tab.inner_text(".card")


def test_a_task_has_fixed_points_and_no_empty_frames(browser, tmp_path):
    base = Config.of(
        {
            "dataset": {"kind": "flip_flop", "bits": 1, "length": 8, "train": 20, "test": 4},
            "cell": {"kind": "vanilla", "units": 3},
            "windows": {"length": None, "batch": 2},
            "training": {"steps": 1, "report_at": []},
            "lyapunov": {"steps": 4, "warmup": 2, "orbits": 1},
            "measures": ["loss"],
        }
    )
    records = [list(run_trial(base.changed({"training/lr": lr})))[-1] for lr in (1e-3, 1e-2)]
    table = Table.of(records, SweepDescription(name="task", objective="loss"))
    with opened(browser, written(report.prepared(table, tmp_path, ()), tmp_path)) as tab:
        heads, said = [], []
        for i in (0, 1):
            kept(tab, i, 0)
            heads.append(tab.locator(".card h4").all_inner_texts())
            said.append(tab.inner_text(".card"))
            assert tab.locator(".card svg.motion").count() == 0
    assert heads == [["Fixed points"]] * 2
    assert sum("inputs held at their mean" in words for words in said) == 1
    assert sum("Fixed points of 1 of 2 trials are on this page" in words for words in said) == 1


def test_the_budget_holds_what_was_asked_for_then_the_best_then_others_evenly(monkeypatch):
    monkeypatch.setattr(orbits, "BEST", 4)
    table = moving()
    finals = table.finals.frame
    ranked = finals[finals["outcome"] == "finished"].sort_values("measures/loss").index.tolist()
    asked = finals["trial"][ranked[-2]]
    view = AtlasView(table, trials=(asked,))
    held = orbits.orbit_data(view, 45_000)
    shown = list(held["orbits"])
    assert 8 < len(shown) < len(ranked) == held["has_orbit"].count("1")
    assert shown[:5] == [ranked[-2], *ranked[:4]]
    places = np.sort([ranked.index(i) for i in shown[5:]])
    assert np.diff([4, *places, len(ranked)]).max() <= 2 * len(ranked) / len(places)
    assert len(held["truths"]) == 1
    monkeypatch.setattr(orbits, "BUDGET", 45_000)
    assert (
        0.8 * 45_000 < len(compression.packed(compression.compact_json(orbits.orbit_data(view)))) < 1.2 * 45_000 + 5000
    )  # the truth comes on top
    assert list(orbits.orbit_data(view, 0)["orbits"]) == [ranked[-2]]  # whatever it weighs


def test_a_trial_that_did_not_fit_is_told_with_the_command_that_shows_it(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(orbits, "BUDGET", 30_000)
    table = moving(name="border")
    held = orbits.orbit_data(AtlasView(table), 30_000)
    missing = next(i for i, has in enumerate(held["has_orbit"]) if has == "1" and i not in held["orbits"])
    row = table.finals.frame.iloc[missing]
    gains, rates = made_up_map.axes(SIDE)
    with opened(browser, written(table, tmp_path)) as tab:
        kept(tab, gains.index(row["init/gain"]), rates.index(row["training/lr"]))
        assert f"Orbits of {len(held['orbits'])} of 64 trials are on this page" in tab.inner_text(".card")
        assert tab.inner_text(".card .command") == f"lyapsweep atlas border --trial {row.trial}"


def test_orbits_and_commands_fit_a_narrow_screen(browser, address):
    with opened(browser, address, width=400) as tab:
        kept(tab, *HERE)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        card = tab.locator(".card.kept").bounding_box()
        for svg in tab.locator(".card svg").all():
            box = svg.bounding_box()
            assert card["x"] <= box["x"] < box["x"] + box["width"] <= card["x"] + card["width"]
