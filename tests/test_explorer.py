"""The map explorer, driven as a reader drives it: in a headless Chromium that is refused every request but the page."""

import html
import json
import shlex
import shutil
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import made_up
import made_up_map
import numpy as np
import pytest

from lyapsweep.analysis import correlation, heatmap
from lyapsweep.atlas import alone, explorer, foretelling, page, report
from lyapsweep.atlas.view import View
from lyapsweep.config import Config
from lyapsweep.notation import parse_value
from lyapsweep.record import Outcome
from lyapsweep.table import Table

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser (the dev extra).")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="No Chromium or Chrome is installed.")
SIDE = 8
GAIN, RATE = "init/gain", "training/lr"
RUNS = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def table():
    made = made_up_map.table(SIDE)
    made.about["runs"] = {t: f"{RUNS}/#/experiments/1/runs/{t}" for t in made.frame["trial"]}
    return made


@pytest.fixture(scope="module")
def address(table, tmp_path_factory):
    return written(table, tmp_path_factory.mktemp("map"))


def written(table, folder):
    """The address of a page that holds the map alone."""
    body = page.section("The map", explorer.section(View(table)))
    path = folder / "map.html"
    path.write_text(page.page("map", body, "", explorer.SCRIPTS), "utf-8")
    return path.as_uri()


@contextmanager
def opened(browser, address, width=1100, script=None):
    """A tab with the page; at its end nothing may have been complained of, asked for or said in a dialog."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    trouble = []
    context.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    context.on("weberror", lambda e: trouble.append(str(e.error)))
    context.on("dialog", lambda d: (trouble.append(d.message), d.dismiss()))
    context.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:", RUNS)) else None)
    context.route(f"{RUNS}/**", lambda route: route.fulfill(body="<title>a run</title>", content_type="text/html"))
    tab = context.new_page()
    if script:
        tab.add_init_script(script)
    tab.goto(address)
    tab.wait_for_function("window.explorer || typeof DecompressionStream === 'undefined'")
    yield tab
    context.close()
    assert trouble == []


def cells(tab, panel=0):
    """What the page makes of a panel's places: a row a value of y."""
    picked = "({value, state, lost, rows}) => ({value, state, lost, n: rows.length})"
    return tab.evaluate(f"explorer.mapped.panels[{panel}].cells.map(row => row.map({picked}))")


def values(tab, panel=0):
    return np.array([[c["value"] if c["state"] == "value" else np.nan for c in row] for row in cells(tab, panel)])


def place(tab, i, j, panel=0):
    """Where column i, row j of a panel lies on the screen."""
    tab.locator(".explorer .panels").scroll_into_view_if_needed()
    return tab.evaluate(
        f"""() => {{ const p = explorer.drawn[{panel}], b = p.box({i}, {j}), s = p.svg.getBoundingClientRect();
        return [s.left + b.x + b.width / 2, s.top + b.y + b.height / 2]; }}"""
    )


def trial_at(table, i, j):
    gains, rates = made_up_map.axes(SIDE)
    frame = table.finals.frame
    return frame[(frame[GAIN] == gains[i]) & (frame[RATE] == rates[j])].iloc[0]


def test_the_map_is_that_of_the_analysis_and_lost_places_say_how(browser, address, table):
    found = heatmap.find(table, GAIN, RATE, "measures/loss")
    gains, rates = made_up_map.axes(SIDE)
    with opened(browser, address) as tab:
        assert tab.inner_text(".explorer .status") == f"{SIDE**2} of {SIDE**2} trials."
        np.testing.assert_allclose(values(tab), found.median, rtol=1e-3)
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
        expected = np.log(made_up_map.axes(SIDE)[0])
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


def test_hover_shows_a_place_click_keeps_it_and_the_address_holds_the_view(browser, address, table):
    here, there = trial_at(table, 4, 2), trial_at(table, 1, 1)
    with opened(browser, address) as tab:
        tab.mouse.move(*place(tab, 4, 2))
        card = tab.inner_text(".card")
        assert f"Trial {here.trial}, finished" in card
        assert f"{here['measures/loss']:.3g}" in card
        assert tab.locator(".card svg.spark polyline").count() == 2
        assert tab.locator(".card svg.spark line.truth").count() == 1
        tab.select_option("select[name=worth]", "best")
        tab.mouse.click(*place(tab, 4, 2))
        tab.mouse.move(*place(tab, 1, 1))
        assert here.trial in tab.inner_text(".card")
        sent = tab.evaluate("location.href")
    with opened(browser, sent) as tab:
        assert here.trial in tab.inner_text(".card.kept")
        assert tab.input_value("select[name=worth]") == "best"
        tab.click(".card .close")
        tab.mouse.move(*place(tab, 1, 1))
        assert there.trial in tab.inner_text(".card")


def test_a_lost_trial_is_shown_as_one(browser, address, table):
    lost = trial_at(table, SIDE - 1, SIDE - 1)
    with opened(browser, address) as tab:
        tab.mouse.move(*place(tab, SIDE - 1, SIDE - 1))
        assert f"Trial {lost.trial}, diverged" in tab.inner_text(".card")
        assert "half or more diverged" in tab.inner_text(".key")


def test_the_keyboard_goes_everywhere(browser, address, table):
    with opened(browser, address) as tab:
        tab.focus(".panels svg")
        for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):  # the first goes to the corner
            tab.keyboard.press(key)
        assert trial_at(table, 1, 1).trial in tab.inner_text(".card.kept")
        tab.keyboard.press("Escape")
        assert tab.locator(".card.kept").count() == 0


def test_the_link_leads_to_the_run(browser, address, table):
    trial = trial_at(table, 4, 2).trial
    with opened(browser, address) as tab:
        tab.mouse.click(*place(tab, 4, 2))
        with tab.context.expect_page() as opening:
            tab.click(".card a.run")
        assert opening.value.url == f"{RUNS}/#/experiments/1/runs/{trial}"


def test_the_command_of_a_trial_makes_its_config(browser, address, table):
    gains, rates = made_up_map.axes(SIDE)
    with opened(browser, address) as tab:
        tab.mouse.click(*place(tab, 4, 2))
        words = shlex.split(tab.inner_text(".card .alone"))
    assert words[:3] == ["lyapsweep", "run", "configs/border.yaml"]
    assert words[3::2] == ["--set", "--set"]
    changes = {path: parse_value(value) for path, value in (word.split("=", 1) for word in words[4::2])}
    assert changes == {GAIN: gains[4], RATE: rates[2]}
    assert Config.of(made_up_map.BASE).changed(changes).id == trial_at(table, 4, 2).trial


def test_a_command_replaces_sections_of_other_settings_whole_and_a_config_is_yaml():
    base, wanted = made_up.config("vanilla", 10), made_up.config("shallow_plrnn", 20, seed=3)
    words = shlex.split(alone.command(wanted, "a b.yaml", base.to_dict()))
    changes = {path: parse_value(value) for path, value in (word.split("=", 1) for word in words[4::2])}
    assert words[2] == "a b.yaml"
    assert base.changed(changes).id == wanted.id
    assert Config.of(parse_value(alone.written(wanted))).id == wanted.id


def test_panels_mix_no_sets_of_data_unless_asked(browser, tmp_path):
    records = [made_up.record(c, x, s) for c in made_up.CELLS for x in made_up.INTERVALS for s in (0, 1)]
    table = Table.of(records, made_up.ABOUT | {"varied": ["cell/kind", "dataset/system", "forcing/interval", "seed"]})
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
    made = replace(table, frame=frame, about=made_up_map.ABOUT | {"varied": None})
    first = explorer.trials(View(made))["choice"]
    assert first == {
        "x": GAIN,
        "y": RATE,
        "colour": "measures/loss",
        "panels": "cell/kind",
        "only": {"dataset/kind": "adding"},
    }


def test_medians_of_several_trials_count_lost_ones_as_the_worst(browser, tmp_path):
    table = made_up.table()
    found = heatmap.find(table, "forcing/interval", "cell/kind", "measures/state_space")
    with opened(browser, written(table, tmp_path)) as tab:
        np.testing.assert_allclose(values(tab), found.median, rtol=1e-3)
        got = cells(tab)
        assert (got[2][6]["state"], got[2][6]["n"], got[2][6]["lost"]) == ("diverged", 2, 1)
        tab.select_option("select[name=worth]", "best")
        assert cells(tab)[2][6]["state"] == "value"


def test_what_users_write_is_text(browser, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    table = made_up.table()
    table.frame["cell/kind"] = table.frame["cell/kind"].replace("lstm", evil)
    table.about["runs"] = dict.fromkeys(table.frame["trial"], "javascript:alert(2)")
    with opened(browser, written(table, tmp_path)) as tab:
        tab.mouse.click(*place(tab, 3, 0))
        assert evil in tab.inner_text(".card")
        assert tab.locator("img").count() == tab.locator(".card a").count() == 0
        tab.click(".filters summary")
        assert evil in tab.inner_text(".filters")


def test_a_table_without_spectra_configs_or_a_second_axis_has_its_map(browser, tmp_path):
    table = Table.of([made_up.record("lstm", x, 0) for x in (5, 80)])
    bare = Table(table.frame.drop(columns=[c for c in table.frame if c.startswith(("spectra/", "data/"))]))
    with opened(browser, written(bare, tmp_path)) as tab:
        assert values(tab).shape == (1, 2)
        tab.mouse.move(*place(tab, 1, 0))
        assert "finished" in tab.inner_text(".card")
        assert tab.locator(".card .alone, .card svg").count() == 0


def test_a_narrow_screen_shows_it_all(browser, address):
    with opened(browser, address, width=400) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        tab.mouse.click(*place(tab, 4, 2))
        box = tab.locator(".card.kept").bounding_box()
        assert box["y"] + box["height"] <= 901
        assert tab.locator(".card .close").is_visible()


def test_figures_wait_until_they_are_seen(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html")
    with opened(browser, path.as_uri()) as tab:
        assert tab.locator(".chart .main-svg").count() == 0
        assert tab.evaluate("typeof Plotly") == "undefined"
        scroll_through(tab)
        assert tab.locator(".chart:has(.plot-container)").count() == tab.locator(".chart").count() == 7
        assert tab.locator('.contents a[aria-current="true"]').inner_text() == "Data"
        tab.click(".contents a >> nth=0")
        tab.wait_for_function("document.querySelector('.contents a').hasAttribute('aria-current')")


def test_inside_another_page_without_an_address_of_its_own_it_works_as_well(browser, tmp_path):
    """As MLflow shows an artifact: in a sandbox, where links to anchors would lead out."""
    inner = report.write(made_up.table(), tmp_path / "atlas.html").read_text("utf-8")
    path = tmp_path / "outer.html"
    frame = f'<iframe sandbox="allow-scripts" style="width: 1000px; height: 700px" srcdoc="{html.escape(inner)}">'
    path.write_text(f"<script>window.explorer = 1</script>{frame}</iframe>", "utf-8")
    with opened(browser, path.as_uri()) as tab:
        within = tab.frame_locator("iframe")
        within.locator("select[name=worth]").select_option("best")
        assert within.locator(".status").inner_text() == "42 of 42 trials."
        within.locator(".contents a", has_text="Data").click()
        within.locator('.contents a[aria-current="true"]', has_text="Data").wait_for()


def test_a_browser_that_cannot_unpack_says_so_and_shows_the_words(browser, tmp_path):
    path = report.write(made_up.table(), tmp_path / "atlas.html")
    with opened(browser, path.as_uri(), script="delete window.DecompressionStream") as tab:
        said = tab.locator(".note", has_text="needs a newer browser")
        assert said.count() == 8  # seven figures and the map
        assert "shallow_plrnn at forcing/interval 80" in tab.inner_text(".verdict")


def test_a_page_of_4096_trials_is_light_and_its_words_come_first(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(foretelling, "ENOUGH", 10**6)  # what is learned from spectra takes minutes, and little room
    monkeypatch.setattr(correlation, "find", partial(correlation.find, resamples=50))
    table = made_up_map.table(64, exponents=32)
    path = report.write(table, tmp_path / "atlas.html")
    assert path.stat().st_size < 5e6 - 1e6  # a megabyte for what was left out
    with opened(browser, path.as_uri()) as tab:
        paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert paint < 6000  # 0.3 s on a quiet machine
        assert values(tab).shape == (64, 64)
        scroll_through(tab)
        assert tab.locator(".chart:has(.plot-container)").count() == tab.locator(".chart").count()
        rows = tab.locator("#all-trials tbody tr")
        assert rows.count() == 4096
        tab.locator("#all-trials thead th", has_text=GAIN).click()
        assert json.loads(rows.nth(0).locator("td").nth(2).get_attribute("data-v")) == 0.1


def scroll_through(tab):
    """Down to the end, as fast as figures are drawn."""
    for chart in tab.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".plot-container").first.wait_for(timeout=60_000)
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    tab.wait_for_function("!document.querySelector('script[data-kind=rows]')")
